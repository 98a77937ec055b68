//! `/api/v1/tenants/{tenant}/provision`: for operators.

use axum::http::StatusCode;
use rowhouse::provisioning::{self, Run};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::auth::Operator;
use crate::error::Problem;
use crate::input::{Change, Once, Path};
use crate::tenants::api::TenantPath;

/// For whom a tenant is set up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// Who is invited as its first owner: a plain e-mail address.
    #[schema(min_length = 3, max_length = 254)]
    admin_email: String,
}

/// Set the tenant up: the steps are done afterwards, and whoever asks again is told how far they are.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/provision", tag = "tenants", operation_id = "provision",
    params(TenantPath, Once),
    request_body(content = Provision, example = json!({ "admin_email": "admin@initech.example" })),
    responses((status = 202, body = Run)),
    security(("operator" = [])),
)]
pub async fn start(
    operator: Operator,
    Path(path): Path<TenantPath>,
    change: Change<Provision>,
) -> Result<Answer, Problem> {
    let mut tx = operator.inside(path.tenant()).await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            let run = provisioning::start(tx, Some(&change.body.admin_email)).await?;
            Answer::with(StatusCode::ACCEPTED, &run)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// How far it is.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/provision", tag = "tenants", operation_id = "provisioning",
    params(TenantPath),
    responses((status = 200, body = Run)),
    security(("operator" = [])),
)]
pub async fn get(operator: Operator, Path(path): Path<TenantPath>) -> Result<Answer, Problem> {
    let mut tx = operator.inside(path.tenant()).await?;
    let run = provisioning::get(&mut tx).await?;
    tx.commit().await?;
    Answer::ok(&run)
}
