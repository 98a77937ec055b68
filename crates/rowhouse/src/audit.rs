//! The tenant's own trail. Table `rowhouse.audit_log`.
//!
//! Invariants: a row is written in the transaction of the change it tells of, so there is never one without the other;
//! who acted is taken from the context by the database, not from what the caller says; nobody can change or delete a row.
//! Who can all the same, on the server itself, is noticed: [`seal`] chains the rows, and [`verify`] goes over the chain.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::{
    self, AuditId, OperatorTokenId, PrincipalId, ProjectId, ResourceId, TenantId, WorkspaceId,
};
use crate::select::{LONGEST_PAGE, Param, Select};
use crate::tenants;
use crate::tx::{Rowhouse, TenantTx, Transaction};

/// What happened, to what. Build it with [`Event::new`] and the `on_` functions.
#[derive(Clone, Debug, Default)]
pub struct Event {
    action: &'static str,
    object: Option<Uuid>,
    workspace: Option<WorkspaceId>,
    project: Option<ProjectId>,
    resource: Option<ResourceId>,
    detail: Value,
}

impl Event {
    /// `noun.verb`, such as `resources.create`, and the id of what it was done to.
    pub fn new(action: &'static str, object: impl Into<Option<Uuid>>) -> Self {
        Self {
            action,
            object: object.into(),
            detail: Value::Object(serde_json::Map::new()),
            ..Self::default()
        }
    }

    /// Inside this workspace.
    #[must_use]
    pub fn on_workspace(self, id: WorkspaceId) -> Self {
        Self {
            workspace: Some(id),
            ..self
        }
    }

    /// Inside this project.
    #[must_use]
    pub fn on_project(self, id: impl Into<Option<ProjectId>>) -> Self {
        Self {
            project: id.into(),
            ..self
        }
    }

    /// To this resource.
    #[must_use]
    pub fn on_resource(self, id: ResourceId) -> Self {
        Self {
            resource: Some(id),
            ..self
        }
    }

    /// What changed, as a JSON object. No content of the tenant's and no personal data: names of fields, ids, roles.
    #[must_use]
    pub fn with_detail(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    /// What [`Event::with_detail`] was given.
    pub fn detail(&self) -> &Value {
        &self.detail
    }
}

/// A row of the trail.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its id.
    pub id: AuditId,
    /// Who acted.
    pub actor_id: PrincipalId,
    /// For whom: the token of the operator, where the platform acted for one.
    pub on_behalf_of: Option<OperatorTokenId>,
    /// `noun.verb`.
    pub action: String,
    /// What it was done to.
    pub object_id: Option<String>,
    /// The workspace it lies in.
    pub workspace_id: Option<WorkspaceId>,
    /// The project it lies in.
    pub project_id: Option<ProjectId>,
    /// The resource, if it is one.
    pub resource_id: Option<ResourceId>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// What changed.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub detail: Value,
    /// When, by the database's clock.
    pub created_at: Timestamp,
}

/// Writes a row of the trail, also in a context that may only read. What an operator does is written into the platform's
/// trail too.
pub async fn record(tx: &mut TenantTx, mut event: Event) -> Result<()> {
    let tenant = tx.tenant_id();
    let request_id = tx.request_id().map(str::to_owned);
    let on_behalf_of = tx.operator().and_then(|operator| operator.id);
    if let Some(operator) = tx.operator().cloned() {
        act(tx, event.action, Some(tenant), &event.detail).await?;
        if let Some(detail) = event.detail.as_object_mut() {
            detail.insert("operator".into(), operator.name.into());
        }
    }
    let id = AuditId::new();
    let mut values: Vec<Param<'_>> = vec![
        &tenant,
        &id,
        &event.action,
        &event.object,
        &event.workspace,
        &event.project,
        &event.resource,
        &request_id,
        &event.detail,
    ];
    // Nobody but the platform has a right to this column.
    let (column, value) = match &on_behalf_of {
        Some(operator) => {
            values.push(operator);
            (", on_behalf_of", ", $10")
        }
        None => ("", ""),
    };
    tx.execute(
        &format!(
            "insert into rowhouse.audit_log
               (tenant_id, id, action, object_id, workspace_id, project_id, resource_id, request_id, detail{column})
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9{value})"
        ),
        &values,
    )
    .await?;
    Ok(())
}

/// Writes a row of the platform's own trail, where it is an operator who acts. Table `rowhouse.platform_audit`.
pub async fn act(
    tx: &mut impl Transaction,
    action: &'static str,
    tenant: Option<TenantId>,
    detail: &Value,
) -> Result<()> {
    let Some(operator) = tx.operator().cloned() else {
        return Ok(());
    };
    tx.execute(
        "insert into rowhouse.platform_audit (id, operator_id, operator, action, tenant_id, request_id, detail)
         values ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &AuditId::new(),
            &operator.id,
            &operator.name,
            &action,
            &tenant,
            &operator.request_id,
            &detail,
        ],
    )
    .await?;
    Ok(())
}

/// How many rows a seal covers at most.
const BATCH: i32 = 1000;

/// Seals what is not sealed yet, as the platform inside the tenant, a batch at a time; no write of the trail waits for it. How
/// many rows were sealed.
pub async fn seal(tx: &mut TenantTx) -> Result<i32> {
    Ok(tx
        .one("select rowhouse.seal_audit($1)", &[&BATCH])
        .await?
        .get(0))
}

/// What [`seal_everywhere`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// How many rows were sealed.
    pub sealed: i64,
    /// The tenants whose trails could not be sealed to the end. Why is in the log.
    pub failed: Vec<TenantId>,
}

/// Seals the trails of all tenants, one after the other, each batch in a transaction of its own. A trail that cannot be
/// sealed holds up no other.
///
/// Each is asked, also where nothing came in: a transaction, and in it a look at the index of what is not sealed. Which tenants
/// have rows to seal is a question over all of them, and there is no login that the wall lets ask it.
pub async fn seal_everywhere(house: &Rowhouse) -> Result<Sealed> {
    let mut all = Sealed::default();
    let mut filter = tenants::Filter::default();
    loop {
        let mut tx = house.begin_platform().await?;
        let page = tenants::list(&mut tx, &filter, LONGEST_PAGE).await?;
        tx.commit().await?;
        for tenant in &page {
            match seal_all_of(house, tenant.id, &mut all.sealed).await {
                Ok(()) | Err(Error::NotPlacedHere) => {}
                Err(error) => {
                    tracing::error!(tenant_id = %tenant.id, %error, "a trail could not be sealed");
                    all.failed.push(tenant.id);
                }
            }
        }
        let Some(last) = page.last() else {
            return Ok(all);
        };
        filter.after = Some((last.created_at, last.id));
    }
}

async fn seal_all_of(house: &Rowhouse, tenant: TenantId, sealed: &mut i64) -> Result<()> {
    loop {
        let mut tx = house.begin_system(tenant).await?;
        let rows = seal(&mut tx).await?;
        tx.commit().await?;
        *sealed += i64::from(rows);
        if rows < BATCH {
            return Ok(());
        }
    }
}

/// Who reads the whole trail, as its policies have it.
const READERS: [&str; 5] = ["owner", "admin", "tenant", "job", "system"];

/// What a look over the chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verified {
    /// Whether each seal fits its rows and the seal before it, from the first to the last that is there. Whether there were later
    /// ones, `head` shows.
    pub whole: bool,
    /// How many seals there are.
    pub seals: i64,
    /// How many rows they cover.
    pub sealed: i64,
    /// Numbers of the seals that do not fit: a row of theirs was changed, removed or slipped in, or the seal itself was.
    pub broken: Vec<i64>,
    /// How many rows no seal covers yet.
    pub unsealed: i64,
    /// The oldest of them.
    pub unsealed_since: Option<Timestamp>,
    /// The digest of the last seal, in hex. Kept somewhere else, it shows whether the whole chain was made anew.
    pub head: Option<String>,
}

/// Goes over the whole chain, row by row. [`Error::NotPermitted`] for whoever does not read all of the trail: what a policy
/// keeps from him would look like rows that are gone.
pub async fn verify(tx: &mut TenantTx) -> Result<Verified> {
    let role: String = tx.one("select rowhouse.caller_role()", &[]).await?.get(0);
    if !READERS.contains(&role.as_str()) {
        return Err(Error::NotPermitted(
            "the chain is for those to verify who read the whole trail: owners, admins, the platform".into(),
        ));
    }
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            "with batches as (
               select a.seal as number, count(*) as rows,
                 string_agg(rowhouse.audit_digest(a), ''::bytea order by a.id) as digests
               from rowhouse.audit_log a
               where a.tenant_id = $1 and a.seal is not null
               group by a.seal
             ), chain as (
               select coalesce(s.number, b.number) as number, b.rows,
                 coalesce(
                   s.rows = b.rows
                     and s.number = row_number() over (order by s.number)
                     and s.digest = rowhouse.audit_chain(s.number, lag(s.digest) over (order by s.number), b.digests),
                   false) as fits
               from (select * from rowhouse.audit_seals where tenant_id = $1) s
               full join batches b on b.number = s.number
             )
             select
               (select count(*) from rowhouse.audit_seals where tenant_id = $1) as seals,
               (select coalesce(sum(rows), 0)::bigint from chain) as sealed,
               array(select number from chain where not fits order by number) as broken,
               (select count(*) from rowhouse.audit_log where tenant_id = $1 and seal is null) as unsealed,
               (select min(created_at) from rowhouse.audit_log where tenant_id = $1 and seal is null) as unsealed_since,
               (select encode(digest, 'hex') from rowhouse.audit_seals where tenant_id = $1 order by number desc limit 1) as head",
            &[&tenant],
        )
        .await?;
    let broken: Vec<i64> = row.get("broken");
    Ok(Verified {
        whole: broken.is_empty(),
        seals: row.get("seals"),
        sealed: row.get("sealed"),
        broken,
        unsealed: row.get("unsealed"),
        unsealed_since: row.get("unsealed_since"),
        head: row.get("head"),
    })
}

/// Whether a text has the form of an action: `noun.verb`.
fn is_action(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.len() <= 100
        && text
            .split_once('.')
            .is_some_and(|(noun, verb)| is_word(noun) && is_word(verb))
}

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this action, such as `resources.create`.
    pub action: Option<String>,
    /// Only what this principal did.
    pub actor: Option<PrincipalId>,
    /// Only what was done in this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only what was done in this project.
    pub project: Option<ProjectId>,
    /// Only what was done to this resource.
    pub resource: Option<ResourceId>,
    /// Behind this one: `created_at` and id of the last row of the page before.
    pub after: Option<(Timestamp, AuditId)>,
}

/// A page of the trail as far as the caller reads it, the newest first, at most `limit` (1 to 200). [`Error::Invalid`] for an
/// action that there cannot be: nothing would be found, and nobody would know why.
pub async fn list(tx: &mut TenantTx, filter: &Filter, limit: u16) -> Result<Vec<Entry>> {
    if filter
        .action
        .as_deref()
        .is_some_and(|action| !is_action(action))
    {
        return Err(Error::invalid(
            "action",
            "must be noun.verb, such as resources.create",
        ));
    }
    let mut page = Select::new(
        "select id, actor_id, on_behalf_of, action, object_id, workspace_id, project_id, resource_id, request_id, detail, created_at
         from rowhouse.audit_log
         where true",
    );
    let tenant = tx.tenant_id();
    page.and("tenant_id = ?", &tenant);
    page.and_if("action = ?", filter.action.as_ref());
    page.and_if("actor_id = ?", filter.actor.as_ref());
    page.and_if("workspace_id = ?", filter.workspace.as_ref());
    page.and_if("project_id = ?", filter.project.as_ref());
    page.and_if("resource_id = ?", filter.resource.as_ref());
    let rows = page
        .newest_first("created_at", filter.after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Entry::from).collect())
}

impl From<&Row> for Entry {
    fn from(row: &Row) -> Self {
        let action: String = row.get("action");
        let noun = action.split('.').next().unwrap_or_default();
        let object: Option<Uuid> = row.get("object_id");
        Self {
            id: row.get("id"),
            actor_id: row.get("actor_id"),
            on_behalf_of: row.get("on_behalf_of"),
            object_id: object.map(|id| ids::of_noun(noun, id)),
            action,
            workspace_id: row.get("workspace_id"),
            project_id: row.get("project_id"),
            resource_id: row.get("resource_id"),
            request_id: row.get("request_id"),
            detail: row.get("detail"),
            created_at: row.get("created_at"),
        }
    }
}
