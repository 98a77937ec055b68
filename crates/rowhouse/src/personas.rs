//! Personas: as whom an API key speaks. Table `rowhouse.persona_mappings`.
//!
//! What a persona is, the application knows: here it is an id that holds no right. Invariants: a key and a persona are mapped
//! once; who manages the tenant maps them; the mappings of a key go over to the one that takes its place; those of a
//! revoked key stay to be read, and none is added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{KeyId, PersonaMappingId};
use crate::members::not_done;
use crate::select::Select;
use crate::tx::TenantTx;
use crate::{keys, names};

/// A mapping of a key to a persona.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonaMapping {
    /// Its id.
    pub id: PersonaMappingId,
    /// Which key speaks.
    pub api_key_id: KeyId,
    /// As whom: the application's own id.
    pub persona_id: Uuid,
    /// By which people recognise it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for PersonaMapping {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            api_key_id: row.get("api_key_id"),
            persona_id: row.get("persona_id"),
            name: row.get("name"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// What a new mapping is made of.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPersonaMapping {
    /// Which key is to speak.
    pub api_key_id: KeyId,
    /// As whom: the application's own id.
    pub persona_id: Uuid,
    /// By which people recognise it: see [`names::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
}

/// What is to become different.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PersonaMappingChanges))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Another name.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
}

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this key.
    pub key: Option<KeyId>,
    /// Only to this persona.
    pub persona: Option<Uuid>,
    /// Behind this one: `created_at` and id of the last row of the page before.
    pub after: Option<(Timestamp, PersonaMappingId)>,
}

const COLUMNS: &str = "id, api_key_id, persona_id, name, created_at, updated_at";

/// Lets a key speak as a persona. [`Error::Taken`] when it does already, [`Error::WrongState`] when it was revoked.
pub async fn create(tx: &mut TenantTx, new: &NewPersonaMapping) -> Result<PersonaMapping> {
    names::name("name", &new.name)?;
    keys::get(tx, new.api_key_id).await?;
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            &format!(
                "insert into rowhouse.persona_mappings (tenant_id, id, api_key_id, persona_id, name)
                 values ($1, $2, $3, $4, $5)
                 returning {COLUMNS}"
            ),
            &[
                &tenant,
                &PersonaMappingId::new(),
                &new.api_key_id,
                &new.persona_id,
                &new.name,
            ],
        )
        .await
        .on_constraint(
            "persona_mappings_once",
            Error::Taken {
                field: "persona_id",
            },
        )?;
    let mapping = PersonaMapping::from(&row);
    let detail = json!({ "key": mapping.api_key_id, "persona": mapping.persona_id });
    audit::record(
        tx,
        Event::new("personas.create", mapping.id.uuid()).with_detail(detail),
    )
    .await?;
    Ok(mapping)
}

/// A page of the mappings, the newest first, at most `limit` (1 to 200).
pub async fn list(tx: &mut TenantTx, filter: &Filter, limit: u16) -> Result<Vec<PersonaMapping>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.persona_mappings where true"
    ));
    page.and("tenant_id = ?", &tenant);
    page.and_if("api_key_id = ?", filter.key.as_ref());
    page.and_if("persona_id = ?", filter.persona.as_ref());
    let rows = page
        .newest_first("created_at", filter.after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(PersonaMapping::from).collect())
}

/// The mapping of this id.
pub async fn get(tx: &mut TenantTx, id: PersonaMappingId) -> Result<PersonaMapping> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "select {COLUMNS} from rowhouse.persona_mappings where tenant_id = $1 and id = $2"
            ),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref()
        .map(PersonaMapping::from)
        .ok_or(Error::NotFound("persona mapping"))
}

/// Gives a mapping another name. [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn update(
    tx: &mut TenantTx,
    id: PersonaMappingId,
    changes: &Changes,
    read_at: Option<Timestamp>,
) -> Result<PersonaMapping> {
    names::name("name", &changes.name)?;
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "update rowhouse.persona_mappings
                 set name = $4
                 where tenant_id = $1 and id = $2 and ($3::timestamptz is null or updated_at = $3)
                 returning {COLUMNS}"
            ),
            &[&tenant, &id, &read_at, &changes.name],
        )
        .await?;
    let Some(row) = row else {
        return Err(untouched(tx, id, read_at).await?);
    };
    audit::record(tx, Event::new("personas.update", id.uuid())).await?;
    Ok(PersonaMapping::from(&row))
}

/// Takes a persona away from a key. [`Error::Changed`] when `read_at` is not the mapping's `updated_at` any more.
pub async fn delete(
    tx: &mut TenantTx,
    id: PersonaMappingId,
    read_at: Option<Timestamp>,
) -> Result<()> {
    let tenant = tx.tenant_id();
    let gone = tx
        .execute(
            "delete from rowhouse.persona_mappings
             where tenant_id = $1 and id = $2 and ($3::timestamptz is null or updated_at = $3)",
            &[&tenant, &id, &read_at],
        )
        .await?;
    if gone == 0 {
        return Err(untouched(tx, id, read_at).await?);
    }
    audit::record(tx, Event::new("personas.delete", id.uuid())).await
}

async fn untouched(
    tx: &mut TenantTx,
    id: PersonaMappingId,
    read_at: Option<Timestamp>,
) -> Result<Error> {
    let mapping = get(tx, id).await?;
    Ok(not_done(read_at, mapping.updated_at))
}

/// As whom `old` speaks, `new` does too.
pub(crate) async fn go_over(tx: &mut TenantTx, old: KeyId, new: KeyId) -> Result<()> {
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.persona_mappings (tenant_id, id, api_key_id, persona_id, name)
         select tenant_id, gen_random_uuid(), $3, persona_id, name
         from rowhouse.persona_mappings
         where tenant_id = $1 and api_key_id = $2",
        &[&tenant, &old, &new],
    )
    .await?;
    Ok(())
}
