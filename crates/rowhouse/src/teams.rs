//! Teams: members of a tenant who share a right. Tables `rowhouse.teams`, `rowhouse.team_members`.
//!
//! Invariants: a name is unique among the teams that are there; only members are in teams; a change takes effect at the next
//! transaction of whoever it concerns.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Row;

use crate::audit::{self, Event};
use crate::error::{Error, OnConstraint, Result};
use crate::ids::{TeamId, UserId};
use crate::members::not_done;
use crate::names;
use crate::select::Select;
use crate::tx::TenantTx;

/// A team.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name, unique inside the tenant.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl From<&Row> for Team {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

/// What a new team is made of, and what can change of one.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// Its name: see [`names::name`].
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
}

const COLUMNS: &str = "id, name, created_at, updated_at";

/// Makes a team. [`Error::Taken`] when the name is in use.
pub async fn create(tx: &mut TenantTx, name: &str) -> Result<Team> {
    names::name("name", name)?;
    let tenant = tx.tenant_id();
    let row = tx
        .one(
            &format!("insert into rowhouse.teams (tenant_id, id, name) values ($1, $2, $3) returning {COLUMNS}"),
            &[&tenant, &TeamId::new(), &name],
        )
        .await
        .on_constraint("teams_name", Error::Taken { field: "name" })?;
    let team = Team::from(&row);
    audit::record(tx, Event::new("teams.create", team.id.uuid())).await?;
    Ok(team)
}

/// A page of the teams, the newest first, behind `after` (`created_at` and id of the last of the page before), at most `limit`
/// (1 to 200).
pub async fn list(
    tx: &mut TenantTx,
    after: Option<(Timestamp, TeamId)>,
    limit: u16,
) -> Result<Vec<Team>> {
    let tenant = tx.tenant_id();
    let mut page = Select::new(&format!(
        "select {COLUMNS} from rowhouse.teams where deleted_at is null"
    ));
    page.and("tenant_id = ?", &tenant);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows.iter().map(Team::from).collect())
}

/// The team of this id.
pub async fn get(tx: &mut TenantTx, id: TeamId) -> Result<Team> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!("select {COLUMNS} from rowhouse.teams where tenant_id = $1 and id = $2 and deleted_at is null"),
            &[&tenant, &id],
        )
        .await?;
    row.as_ref().map(Team::from).ok_or(Error::NotFound("team"))
}

/// Gives a team another name. [`Error::Changed`] when `read_at` is not its `updated_at` any more.
pub async fn rename(
    tx: &mut TenantTx,
    id: TeamId,
    name: &str,
    read_at: Option<Timestamp>,
) -> Result<Team> {
    names::name("name", name)?;
    let team = change(tx, id, "name = $4", Some(name), read_at)
        .await
        .on_constraint("teams_name", Error::Taken { field: "name" })?;
    audit::record(tx, Event::new("teams.update", id.uuid())).await?;
    Ok(team)
}

/// Marks a team as deleted: it gives no rights any more.
pub async fn delete(tx: &mut TenantTx, id: TeamId, read_at: Option<Timestamp>) -> Result<()> {
    change(
        tx,
        id,
        "deleted_at = now(), name = coalesce($4, name)",
        None,
        read_at,
    )
    .await?;
    audit::record(tx, Event::new("teams.delete", id.uuid())).await
}

async fn change(
    tx: &mut TenantTx,
    id: TeamId,
    set: &str,
    value: Option<&str>,
    read_at: Option<Timestamp>,
) -> Result<Team> {
    let tenant = tx.tenant_id();
    let row = tx
        .optional(
            &format!(
                "update rowhouse.teams
                 set {set}
                 where tenant_id = $1 and id = $2 and deleted_at is null and ($3::timestamptz is null or updated_at = $3)
                 returning {COLUMNS}"
            ),
            &[&tenant, &id, &read_at, &value],
        )
        .await?;
    if let Some(row) = row {
        return Ok(Team::from(&row));
    }
    let team = get(tx, id).await?;
    Err(not_done(read_at, team.updated_at))
}

/// A member of a team.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TeamMember {
    /// The user.
    pub user_id: UserId,
    /// Since when.
    pub created_at: Timestamp,
}

/// A page of a team's members, the newest first.
pub async fn members(
    tx: &mut TenantTx,
    id: TeamId,
    after: Option<(Timestamp, UserId)>,
    limit: u16,
) -> Result<Vec<TeamMember>> {
    get(tx, id).await?;
    let tenant = tx.tenant_id();
    let mut page = Select::new(
        "select id, created_at
         from (select tenant_id, team_id, user_id as id, created_at from rowhouse.team_members) members
         where true",
    );
    page.and("tenant_id = ?", &tenant);
    page.and("team_id = ?", &id);
    let rows = page
        .newest_first("created_at", after.as_ref(), limit)
        .rows(tx)
        .await?;
    Ok(rows
        .iter()
        .map(|row| TeamMember {
            user_id: row.get("id"),
            created_at: row.get("created_at"),
        })
        .collect())
}

/// Puts a member into a team; nothing changes for who is in it.
pub async fn add_member(tx: &mut TenantTx, id: TeamId, user: UserId) -> Result<()> {
    get(tx, id).await?;
    let tenant = tx.tenant_id();
    tx.execute(
        "insert into rowhouse.team_members (tenant_id, team_id, user_id)
         values ($1, $2, $3)
         on conflict (tenant_id, team_id, user_id) do nothing",
        &[&tenant, &id, &user],
    )
    .await
    .on_constraint("team_members_member", Error::NotFound("member"))?;
    let event = Event::new("teams.add_member", id.uuid()).with_detail(json!({ "user": user }));
    audit::record(tx, event).await
}

/// Takes a member out of a team.
pub async fn remove_member(tx: &mut TenantTx, id: TeamId, user: UserId) -> Result<()> {
    let team = get(tx, id).await?;
    let tenant = tx.tenant_id();
    let gone = tx
        .execute(
            "delete from rowhouse.team_members where tenant_id = $1 and team_id = $2 and user_id = $3",
            &[&tenant, &id, &user],
        )
        .await?;
    if gone == 0 {
        let row = tx
            .optional(
                "select from rowhouse.team_members where tenant_id = $1 and team_id = $2 and user_id = $3",
                &[&tenant, &id, &user],
            )
            .await?;
        row.ok_or(Error::NotFound("member"))?;
        return Err(not_done(None, team.updated_at));
    }
    let event = Event::new("teams.remove_member", id.uuid()).with_detail(json!({ "user": user }));
    audit::record(tx, event).await
}
