//! `/api/v1/tenants/{tenant}/personas`, as whom keys speak: read by whoever is inside, changed by owners and admins.

use axum::Json;
use axum::http::StatusCode;
use rowhouse::ids::{KeyId, PersonaMappingId};
use rowhouse::personas::{self, Changes, Filter, NewPersonaMapping, PersonaMapping};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::answer::Answer;
use crate::auth::Insider;
use crate::error::Problem;
use crate::input::{Body, Change, IfMatch, Once, Path, Query};
use crate::page::{Listing, Page, paged};
use crate::tenants::api::TenantPath;

/// Which mapping.
#[derive(Deserialize, IntoParams)]
pub struct PersonaPath {
    /// Id or slug of its tenant.
    #[serde(rename = "tenant")]
    #[param(example = "acme")]
    _tenant: String,
    /// Its id.
    persona: PersonaMappingId,
}

/// Which mappings.
#[derive(Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Only of this key.
    key: Option<KeyId>,
    /// Only to this persona.
    persona: Option<Uuid>,
    /// How many.
    #[serde(skip_serializing)]
    limit: Option<u16>,
    /// The `next` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

paged!(List);

/// List as whom the keys speak, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/personas", tag = "personas",
    params(TenantPath, List),
    responses((status = 200, body = Listing<PersonaMapping>)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn list(
    insider: Insider,
    Query(query): Query<List>,
) -> Result<Json<Listing<PersonaMapping>>, Problem> {
    let page = Page::of(&query, &insider)?;
    let filter = Filter {
        key: query.key,
        persona: query.persona,
        after: page.after(),
    };
    let mut tx = insider.begin().await?;
    let mappings = personas::list(&mut tx, &filter, page.limit()).await?;
    tx.commit().await?;
    Ok(Json(page.listing(mappings, |mapping| {
        (mapping.created_at, mapping.id.uuid())
    })))
}

/// Let a key speak as a persona.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/personas", tag = "personas",
    params(TenantPath, Once),
    request_body(content = NewPersonaMapping, example = json!({ "api_key_id": "key_01h455vb4pex5vsknk084sn02q", "persona_id": "019a7b3c-0c7e-7d52-9d0f-3f6a1c2b4d5e", "name": "Concierge" })),
    responses((status = 201, body = PersonaMapping)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn create(
    insider: Insider,
    change: Change<NewPersonaMapping>,
) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let answer = change
        .once
        .answer(&mut tx, async |tx| {
            Answer::created(&personas::create(tx, &change.body).await?)
        })
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// The mapping.
#[utoipa::path(
    get, path = "/api/v1/tenants/{tenant}/personas/{persona}", tag = "personas",
    params(PersonaPath),
    responses((status = 200, body = PersonaMapping)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn get(insider: Insider, Path(path): Path<PersonaPath>) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let mapping = personas::get(&mut tx, path.persona).await?;
    tx.commit().await?;
    Answer::ok(&mapping)
}

/// Give a mapping another name.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{tenant}/personas/{persona}", tag = "personas",
    params(PersonaPath, IfMatch),
    request_body(content = Changes, example = json!({ "name": "Night porter" })),
    responses((status = 200, body = PersonaMapping)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn update(
    insider: Insider,
    Path(path): Path<PersonaPath>,
    IfMatch(read_at): IfMatch,
    Body(changes): Body<Changes>,
) -> Result<Answer, Problem> {
    let mut tx = insider.begin().await?;
    let mapping = personas::update(&mut tx, path.persona, &changes, read_at).await?;
    tx.commit().await?;
    Answer::ok(&mapping)
}

/// Take a persona away from a key.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{tenant}/personas/{persona}", tag = "personas",
    params(PersonaPath, IfMatch),
    responses((status = 204)),
    security(("operator" = []), ("caller" = [])),
)]
pub async fn delete(
    insider: Insider,
    Path(path): Path<PersonaPath>,
    IfMatch(read_at): IfMatch,
) -> Result<StatusCode, Problem> {
    let mut tx = insider.begin().await?;
    personas::delete(&mut tx, path.persona, read_at).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
