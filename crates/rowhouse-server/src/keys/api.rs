//! `/api/v1/tenants/{tenant}/keys`: for owners and admins, and for operators while the tenant has no owner.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::KeyId;
use rowhouse::keys::{self, Key, MadeKey, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::Answer;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Change, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which key.
#[derive(Deserialize, IntoParams)]
pub struct KeyPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    key: KeyId,
}

/// Which keys.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// A key that was just made. Only its schema is used: the answer is put together by `Answer::showing_once`.
#[derive(Serialize, ToSchema)]
pub struct KeyWithSecret {
    #[serde(flatten)]
    key: Key,
    /// `tk_` and 32 characters. A repeated request with the same `Idempotency-Key` is answered without it.
    secret: Option<String>,
}

/// List the keys, also those that were revoked, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/keys", tag = "keys",
    params(TenantPath, List),
    responses((status = 200, body = Listing<Key>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<Key>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let mut tx = insider.begin().await?;
    let keys = keys::list(&mut tx, page.after(), page.limit()).await?;
    tx.commit().await?;
    Ok(Json(
        page.listing(keys, |key| (key.created_at, key.id.uuid())),
    ))
}

/// Make a key. Its `secret` is shown here and never again.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/keys", tag = "keys",
    params(TenantPath, Once),
    request_body(content = NewKey, example = json!({ "name": "ci", "permissions": ["read", "write"] })),
    responses((status = 201, body = KeyWithSecret)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn create(insider: Insider, change: Change<NewKey>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            shown(&keys::create(tx, change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

fn shown(made: &MadeKey) -> Result<Answer, Problem> {
    Ok(Answer::created(&made.key)?.showing_once("secret", &made.secret))
}

/// The key, without its secret.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/keys/{key}", tag = "keys",
    params(KeyPath),
    responses((status = 200, body = Key)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<KeyPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let key = keys::get(&mut tx, path.key).await?;
    tx.commit().await?;
    Answer::ok(&key)
}

/// How a key is to be replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reroll {
    /// How long the old key goes on beside the new one, in seconds: at most 30 days, a day when not given.
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: u64,
}

fn a_day() -> u64 {
    24 * 60 * 60
}

/// Make a key that takes the place of this one, which ends after the overlap.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/keys/{key}/reroll", tag = "keys",
    params(KeyPath, Once),
    request_body(content = Reroll, example = json!({ "overlap_seconds": 3600 })),
    responses((status = 201, body = KeyWithSecret)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn reroll(
    insider: Insider,
    Path(path): Path<KeyPath>,
    change: Change<Reroll>,
) -> Result<Answer, Problem> {
    let overlap = Duration::from_secs(change.body.overlap_seconds);
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            shown(&keys::reroll(tx, path.key, overlap).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Revoke a key: it opens nothing from the next transaction on, on every node.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/keys/{key}", tag = "keys",
    params(KeyPath),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn revoke(insider: Insider, Path(path): Path<KeyPath>) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    keys::revoke(&mut tx, path.key).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
