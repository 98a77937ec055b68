//! `GET /_int/tenancy/ping`: who am I to the database. Reads the session context back, so that it proves the whole way.

use axum::Json;
use rowhouse::ids::{ProjectId, TenantId, UserId};
use rowhouse::{Result, TenantTx, keys};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::config::Settings;
use crate::connection::Target;
use crate::error::Problem;
use crate::output::Output;

/// The caller's context, as Postgres has it.
#[derive(Serialize, ToSchema)]
pub struct Pong {
    tenant_id: TenantId,
    user_id: Option<UserId>,
    projects: Vec<ProjectId>,
    /// Mode of `rowhouse.resources`: off, shadow or enforce.
    mode: String,
}

/// Who the caller is, as Postgres has it.
#[utoipa::path(get, path = "/_int/tenancy/ping", tag = "service", responses((status = 200, body = Pong)), security(("caller" = [])))]
pub async fn ping(caller: Caller) -> Result<Json<Pong>, Problem> {
    let mut tx = caller.begin().await?;
    let pong = who(&mut tx).await?;
    tx.commit().await?;
    tracing::Span::current().record("tenant_id", tracing::field::display(pong.tenant_id));
    Ok(Json(pong))
}

/// `rowhouse ping`: the same, for whoever holds a key.
pub async fn command(target: &Target, settings: &Settings, key: &str, out: Output) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let context = keys::authenticate(&house, key).await?;
    let mut tx = house.begin(&context).await?;
    let pong = who(&mut tx).await?;
    tx.commit().await?;
    out.show(&pong, |pong| {
        format!("inside {}, resources: {}", pong.tenant_id, pong.mode)
    })
}

async fn who(tx: &mut TenantTx) -> Result<Pong> {
    let row = tx
        .one(
            "select rowhouse.current_tenant() as tenant_id, rowhouse.current_user_id() as user_id,
               rowhouse.current_projects() as projects, m.mode
             from rowhouse.managed_tables m
             where m.schema_name = 'rowhouse' and m.table_name = 'resources'",
            &[],
        )
        .await?;
    Ok(Pong {
        tenant_id: row.get("tenant_id"),
        user_id: row.get("user_id"),
        projects: row.get("projects"),
        mode: row.get("mode"),
    })
}
