//! A page of what a caller sees: one statement that asks each way of seeing by its own index.

use jiff::Timestamp;

use super::{COLUMNS, Resource, ResourceType, Visibility};
use crate::error::Result;
use crate::ids::{ResourceId, WorkspaceId};
use crate::select::Select;
use crate::tx::TenantTx;

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only of this type.
    pub r#type: Option<ResourceType>,
    /// Only of this visibility.
    pub visibility: Option<Visibility>,
    /// Only those whose title holds this text, in any case.
    pub text: Option<String>,
    /// Behind this one: `updated_at` and id of the last row of the page before.
    pub after: Option<(Timestamp, ResourceId)>,
}

/// A page of resources, the last changed first, at most `limit` (1 to 200).
pub async fn list(tx: &mut TenantTx, filter: &Filter, limit: u16) -> Result<Vec<Resource>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new("deleted_at is null").given(&tenant);
    page.and_if("workspace_id = ?", filter.workspace.as_ref());
    page.and_if("type = ?", filter.r#type.as_ref());
    page.and_if("visibility = ?", filter.visibility.as_ref());
    page.and_if("strpos(lower(title), lower(?)) > 0", filter.text.as_ref());
    let may_be_job = tx.may_be_job();
    // Each of them has an index, and no two have one.
    let narrowed = [
        filter.workspace.is_some(),
        filter.r#type.is_some(),
        filter.visibility.is_some(),
    ];
    let is_indexed = filter.text.is_none() && narrowed.iter().filter(|by| **by).count() < 2;
    let rows = page
        .behind("updated_at", filter.after.as_ref())
        .within(limit, |conditions, asked| {
            each_way_of_seeing(conditions, asked, is_indexed, may_be_job)
        })
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Resource::from).collect())
}

/// As the indexes have it that lead to what a caller may see.
const NEWEST_FIRST: &str = "updated_at desc nulls last, id desc nulls last";
/// The caller and whom it stands for; and these with its projects, for any of which a resource may be meant. Nobody looks at the
/// seal for them: they lead to an index. The list asks once for the tenant, and the policies for each row.
const PRINCIPALS: &str = "(select rowhouse.ids(4))::uuid[]";
const AUDIENCES: &str = "(select rowhouse.ids(4) || rowhouse.ids(3))::uuid[]";

/// The policy of `resources` is one condition with alternatives, which no index answers: who sees three among a million would
/// wait for all of them. So each alternative is asked by its own index for the first page, and these are joined. Each page is of one
/// audience, owner or principal, so that no row is in it twice: one that is would take the place of another. `offset 0`
/// keeps the planner from reading the whole tenant where it takes the caller to have many entries.
///
/// Whoever has ten audiences would read ten pages to show one. So a few rows of each are looked at before: where these make a
/// page, its last row tells how old a row may be. Not where no index answers the conditions: the few would be as far to seek.
fn each_way_of_seeing(conditions: &str, asked: u16, is_indexed: bool, may_be_job: bool) -> String {
    let (few, last) = (asked.div_ceil(4), asked - 1);
    let (wanted, not_too_old) = if is_indexed {
        (
            format!(
                "with wanted (since) as materialized (
                   select coalesce((
                     select newest.updated_at
                     from (select distinct unnest({AUDIENCES})) mine (mine)
                     cross join lateral (
                       select updated_at from rowhouse.resources
                       where tenant_id = $1 and audience = mine.mine and {conditions} order by {NEWEST_FIRST} limit {few}) newest
                     where rowhouse.rows_in_order() -- what stands in `with` is planned before what is outside
                     order by newest.updated_at desc
                     offset {last} limit 1), '-infinity'))"
            ),
            " and updated_at >= (select since from wanted)",
        )
    } else {
        (String::new(), "")
    };
    let page = format!("{conditions}{not_too_old} order by {NEWEST_FIRST} limit {asked}");
    // No index knows this operator: so none of all the tenant's rows of a type, say, is read for those of an owner.
    let page_of_owner = page.replace(" = $", " is not distinct from $");
    let all_there_is = if may_be_job {
        format!(
            "union all
             (select {COLUMNS}
              from rowhouse.resources
              where (select rowhouse.caller_role()) = 'job' and tenant_id = $1 and {conditions}
              order by updated_at desc, id desc -- by the index of the whole tenant
              limit {asked})"
        )
    } else {
        String::new()
    };
    format!(
        "{wanted}
         select distinct on (updated_at, id) {COLUMNS}
         from (
           select r.*
           from unnest({AUDIENCES}) mine (mine)
           cross join lateral (select {COLUMNS} from rowhouse.resources where tenant_id = $1 and audience = mine.mine and {page}) r
           union all
           select r.*
           from unnest({PRINCIPALS}) mine (mine)
           cross join lateral (
             select {COLUMNS} from rowhouse.resources where tenant_id = $1 and owner_id = mine.mine and {page_of_owner}) r
           union all
           select r.*
           from unnest({PRINCIPALS}) mine (mine)
           cross join lateral (
             select {COLUMNS}
             from (select resource_id from rowhouse.resource_acl where tenant_id = $1 and principal_id = mine.mine offset 0) entry
             cross join lateral (
               select {COLUMNS} from rowhouse.resources where tenant_id = $1 and id = entry.resource_id offset 0) shared
             where {page}) r
           {all_there_is}
         ) seen
         where rowhouse.rows_in_order() and (select rowhouse.current_tenant()) = $1
         order by {NEWEST_FIRST}
         limit {asked}"
    )
}
