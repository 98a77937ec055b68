//! Rights inside a tenant (docs/adr/010), against a model of them that is plain Rust: people are invited, come, go, change their
//! roles, teams and projects, give and take rights, the tenant is closed and opened. Whether somebody may do a step is what
//! the model says; after each, what every principal can read, write and share is what the model says, too. What
//! `access::explain` says is compared with what Postgres does, not with the model.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rowhouse::access::{self, Action};
use rowhouse::ids::{KeyId, PrincipalId, ResourceId, UserId};
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::{self, Changes, Role};
use rowhouse::projects::{self, ProjectRole};
use rowhouse::resources::{self, AclAccess, Filter};
use rowhouse::tenants::{self, NewTenant, Status};
use rowhouse::{Context, Error, TenantTx, teams, users};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::attacks::{allowed, checks, enter, refused, sees, touches};
use crate::world::World;

checks![
    what_everybody_may_is_what_the_model_says,
    what_is_shared_twice_is_listed_once,
    two_tickets_show_no_more_in_a_cursor,
    two_tickets_show_no_more_in_a_loop,
    two_tickets_change_no_more_in_one_statement,
    who_sees_it_is_for_its_administrators_to_say,
    nothing_is_put_where_the_caller_does_not_belong,
    a_project_is_a_floor_inside_the_tenant,
    a_projects_viewer_changes_nothing_in_it,
    a_granter_gives_no_more_than_it_holds,
    an_entry_goes_with_whom_it_was_given_to,
    what_lies_in_a_deleted_project_is_copied_with_the_tenant,
    explanations_agree_with_the_database,
    one_asks_about_oneself_or_as_a_manager,
];

/// How many steps the model walks; after each of them everything is compared.
const STEPS: usize = 78;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What the rules say of it, without a database.
#[derive(Clone, Debug)]
struct Thing {
    owner: Uuid,
    visibility: &'static str,
    team: Option<Uuid>,
    project: Option<Uuid>,
    acl: BTreeMap<Uuid, &'static str>,
}

struct Model {
    tenant: Uuid,
    suspended: bool,
    /// Whoever is, was or may become a member.
    people: BTreeSet<Uuid>,
    /// Role of each member.
    members: BTreeMap<Uuid, &'static str>,
    teams: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// Role of each in each project.
    projects: BTreeMap<Uuid, BTreeMap<Uuid, &'static str>>,
    /// Whether each key may write.
    keys: BTreeMap<Uuid, bool>,
    things: BTreeMap<Uuid, Thing>,
    invited: Vec<Invited>,
}

/// Somebody is asked to come in.
#[derive(Clone, Debug)]
struct Invited {
    who: Uuid,
    role: &'static str,
    by: Uuid,
    token: String,
    /// Nobody has used it, and its inviter has not gone.
    good: bool,
}

/// What somebody does, or tries to.
#[derive(Clone, Copy, Debug)]
enum Step {
    Invite(Uuid, Role),
    /// The invitation of this number; by nobody who is inside.
    Accept(usize),
    SetRole(Uuid, Role),
    Remove(Uuid),
    /// From one team to another.
    Move(Uuid, [Uuid; 2]),
    SetProjectRole(Uuid, Uuid, ProjectRole),
    LeaveProject(Uuid, Uuid),
    Grant(Uuid, Uuid, AclAccess),
    Revoke(Uuid, Uuid),
    /// By the platform.
    Suspend,
    Resume,
    /// A thing becomes another one, by somebody whom no policy binds.
    Replace(Uuid),
}

const RANKS: [&str; 4] = ["viewer", "member", "admin", "owner"];

fn rank(role: &str) -> usize {
    RANKS.iter().position(|known| *known == role).unwrap()
}

impl Model {
    /// Whether `by` may do it now.
    fn allows(&self, by: Uuid, step: Step) -> bool {
        let role = |who: &Uuid| self.members.get(who).copied();
        let manages = |who: &Uuid| role(who).is_some_and(|role| rank(role) >= rank("admin"));
        let owns = |who: &Uuid| role(who) == Some("owner");
        // Who is an owner is for owners to say.
        let above = |who: &Uuid, role: &str| !owns(who) && role != "owner";
        let is_last = |who: &Uuid| {
            owns(who)
                && self
                    .members
                    .values()
                    .filter(|role| **role == "owner")
                    .count()
                    == 1
        };
        let manages_in = |project: &Uuid| {
            manages(&by)
                || role(&by).is_some_and(|role| role != "viewer")
                    && self.projects[project].get(&by) == Some(&"admin")
        };
        match step {
            // The platform may say again what is so already.
            Step::Suspend | Step::Resume | Step::Replace(_) => true,
            _ if self.suspended => false,
            Step::Accept(number) => {
                let invited = &self.invited[number];
                invited.good && role(&invited.who).is_none()
            }
            _ if !self.is_inside(by) => false,
            Step::Invite(who, role) => {
                manages(&by)
                    && (owns(&by) || role != Role::Owner)
                    && !self.members.contains_key(&who)
                    && !self.invited.iter().any(|one| one.good && one.who == who)
            }
            Step::SetRole(who, new) => {
                manages(&by)
                    && role(&who).is_some()
                    && (owns(&by) || above(&who, new.as_str()))
                    && (new == Role::Owner || !is_last(&who))
            }
            Step::Remove(who) => {
                role(&who).is_some()
                    && !is_last(&who)
                    && (who == by || owns(&by) || manages(&by) && !owns(&who))
            }
            Step::Move(who, _) => manages(&by) && role(&who).is_some(),
            Step::SetProjectRole(who, project, _) => manages_in(&project) && role(&who).is_some(),
            Step::LeaveProject(who, project) => {
                manages_in(&project) && self.projects[&project].contains_key(&who)
            }
            Step::Grant(to, thing, _) => {
                self.holds(by, &self.things[&thing]) == 3
                    && (self.members.contains_key(&to) || !self.people.contains(&to))
            }
            Step::Revoke(from, thing) => {
                let thing = &self.things[&thing];
                self.holds(by, thing) == 3 && thing.acl.contains_key(&from)
            }
        }
    }

    /// It is done. What an invitation's token is, the database has said; [`House::place`] has noted what a thing became.
    fn becomes(&mut self, step: Step) {
        match step {
            Step::Suspend => self.suspended = true,
            Step::Resume => self.suspended = false,
            Step::Invite(..) | Step::Replace(_) => {}
            Step::Accept(number) => {
                let invited = &mut self.invited[number];
                invited.good = false;
                self.members.insert(invited.who, invited.role);
            }
            Step::SetRole(who, role) => {
                self.members.insert(who, role.as_str());
                self.revoke_invitations(who);
            }
            Step::Remove(who) => {
                self.members.remove(&who);
                for thing in self.things.values_mut() {
                    thing.acl.remove(&who);
                }
                for team in self.teams.values_mut() {
                    team.remove(&who);
                }
                for project in self.projects.values_mut() {
                    project.remove(&who);
                }
                self.revoke_invitations(who);
            }
            Step::Move(who, [from, to]) => {
                self.teams.get_mut(&from).unwrap().remove(&who);
                self.teams.get_mut(&to).unwrap().insert(who);
            }
            Step::SetProjectRole(who, project, role) => {
                let project = self.projects.get_mut(&project).unwrap();
                project.insert(who, role.as_str());
            }
            Step::LeaveProject(who, project) => {
                self.projects.get_mut(&project).unwrap().remove(&who);
            }
            Step::Grant(to, thing, access) => {
                let acl = &mut self.things.get_mut(&thing).unwrap().acl;
                acl.insert(to, access.as_str());
            }
            Step::Revoke(from, thing) => {
                self.things.get_mut(&thing).unwrap().acl.remove(&from);
            }
        }
    }

    /// Those that he could not make any more.
    fn revoke_invitations(&mut self, by: Uuid) {
        let now = self.members.get(&by).map_or(0, |role| rank(role));
        for invited in self.invited.iter_mut().filter(|one| one.by == by) {
            invited.good &= now >= rank("admin") && now >= rank(invited.role);
        }
    }

    fn is_inside(&self, who: Uuid) -> bool {
        !self.suspended && (self.members.contains_key(&who) || self.keys.contains_key(&who))
    }

    /// The highest that `who` holds on a thing: 0 nothing, 1 read, 2 write, 3 admin.
    fn holds(&self, who: Uuid, thing: &Thing) -> u8 {
        let role = self.members.get(&who).copied().unwrap_or("key");
        let manager = ["owner", "admin"].contains(&role);
        let in_project =
            |project: &Uuid| manager || role == "key" || self.projects[project].contains_key(&who);
        if thing
            .project
            .as_ref()
            .is_some_and(|project| !in_project(project))
        {
            return 0;
        }
        let stands_for = |id: &Uuid| {
            *id == who
                || *id == self.tenant
                || self.teams.get(id).is_some_and(|team| team.contains(&who))
        };
        let mut most = if stands_for(&thing.owner) { 3 } else { 0 };
        for (principal, access) in &thing.acl {
            if stands_for(principal) {
                most = most.max(match *access {
                    "read" => 1,
                    "write" => 2,
                    _ => 3,
                });
            }
        }
        let for_it = match thing.visibility {
            "tenant" | "project" => true, // the floor above has looked after projects
            "team" => thing.team.as_ref().is_some_and(stands_for),
            _ => false,
        };
        if for_it {
            let project_role = thing
                .project
                .filter(|_| thing.visibility == "project")
                .and_then(|project| self.projects[&project].get(&who).copied());
            most = most.max(match (role, project_role) {
                _ if manager => 3,
                (_, Some("admin")) => 3,
                ("key", _) | (_, Some("editor")) => 2,
                _ => 1,
            });
        }
        let only_reads = role == "viewer" || self.keys.get(&who).is_some_and(|writes| !writes);
        if only_reads { most.min(1) } else { most }
    }

    fn holding(&self, who: Uuid, least: u8) -> BTreeSet<Uuid> {
        if !self.is_inside(who) {
            return BTreeSet::new();
        }
        self.things
            .iter()
            .filter(|(_, thing)| self.holds(who, thing) >= least)
            .map(|(id, _)| *id)
            .collect()
    }
}

/// The same in the database: alpha, with people, teams, projects, keys and things.
struct House {
    model: Model,
    people: Vec<UserId>,
    keys: Vec<KeyId>,
    dice: Dice,
    /// What was done so far, and how often.
    done: BTreeMap<&'static str, usize>,
    steps: usize,
}

const PEOPLE: [&str; 6] = ["owner", "admin", "ann", "bob", "cleo", "viewer"];
/// How a step may be refused.
const REFUSALS: &[&str] = &[
    "invitation-over",
    "last-owner",
    "not-a-member",
    "not-found",
    "not-permitted",
    "read-only",
    "taken",
    "tenant-not-active",
];

impl House {
    async fn furnished(world: &World, seed: u64, things: u128) -> Self {
        let mut tx = world.house.begin_platform().await.unwrap();
        let mut people = vec![world.alpha.owner];
        for name in &PEOPLE[1..] {
            let user = users::create(&mut tx, &format!("{name}@alpha.example"), name).await;
            people.push(user.unwrap().id);
        }
        let tenant = world.alpha.id.uuid();
        let roles = ["owner", "admin", "member", "member", "member", "viewer"];
        let owner = world.alpha.context();
        for (user, role) in people.iter().zip(roles).skip(1) {
            members::add(&mut tx, &owner, *user, role.parse().unwrap())
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = world.house.begin_system(world.alpha.id).await.unwrap();
        let id = |kind: u128, number: u128| Uuid::from_u128(kind << 64 | number);
        let teams: Vec<Uuid> = (0..3).map(|n| id(0x7e, n)).collect();
        let projects: Vec<Uuid> = (0..3).map(|n| id(0x90, n)).collect();
        for (table, ids) in [("teams", &teams), ("projects", &projects)] {
            for each in ids {
                let sql =
                    format!("insert into rowhouse.{table} (id, name) values ('{each}', '{each}')");
                tx.batch(&sql).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let keys = [(id(0xce, 1), true), (id(0xce, 2), false)];
        for (key, writes) in keys {
            let permissions = if writes {
                r#"["read", "write"]"#
            } else {
                r#"["read"]"#
            };
            tx.batch(&format!(
                "insert into rowhouse.api_keys (id, name, prefix, digest, secret_hash, permissions)
                 values ('{key}', 'ci', 'tk_', sha256('{key}'), 'hash', '{permissions}')"
            ))
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        let mut house = Self {
            model: Model {
                tenant,
                suspended: false,
                people: people.iter().map(|user| user.uuid()).collect(),
                members: people.iter().map(|user| user.uuid()).zip(roles).collect(),
                teams: teams
                    .into_iter()
                    .map(|team| (team, BTreeSet::new()))
                    .collect(),
                projects: projects
                    .into_iter()
                    .map(|project| (project, BTreeMap::new()))
                    .collect(),
                keys: keys.into(),
                things: BTreeMap::new(),
                invited: Vec::new(),
            },
            people,
            keys: keys.map(|(key, _)| KeyId::from(key)).into(),
            dice: Dice(seed),
            done: BTreeMap::new(),
            steps: 0,
        };
        let empty = "delete from rowhouse.resource_acl; delete from rowhouse.resources";
        world.superuser().await.batch_execute(empty).await.unwrap();
        for number in 0..things {
            house.place(world, id(0xf0, number)).await;
        }
        house
    }

    /// Everybody who could ask, and how.
    fn callers(&self, world: &World) -> Vec<(Uuid, Context)> {
        let people = self
            .people
            .iter()
            .map(|user| (user.uuid(), Context::user(world.alpha.id, *user)));
        let keys = self
            .keys
            .iter()
            .map(|key| (key.uuid(), Context::key(world.alpha.id, *key)));
        people.chain(keys).collect()
    }

    /// Makes a thing, or another one of it, by somebody whom no policy binds.
    async fn place(&mut self, world: &World, id: Uuid) {
        let dice = &mut self.dice;
        let somebody = |dice: &mut Dice| match dice.below(9) {
            0 => self.keys[0].uuid(),
            1 => self.model.tenant,
            _ => self.people[dice.below(self.people.len())].uuid(),
        };
        let owner = somebody(dice);
        let visibility = dice.one(&["private", "team", "project", "tenant"]);
        let teams: Vec<Uuid> = self.model.teams.keys().copied().collect();
        let projects: Vec<Uuid> = self.model.projects.keys().copied().collect();
        let team = (visibility == "team" || dice.below(4) == 0).then(|| dice.one(&teams));
        let project = (visibility == "project" || dice.below(4) == 0).then(|| dice.one(&projects));
        let mut acl = BTreeMap::new();
        for _ in 0..dice.below(3) {
            let principal = if dice.below(4) == 0 {
                dice.one(&teams)
            } else {
                somebody(dice)
            };
            acl.insert(principal, dice.one(&["read", "write", "admin"]));
        }
        let quoted = |id: Option<Uuid>| id.map_or("null".to_owned(), |id| format!("'{id}'"));
        let tenant = self.model.tenant;
        let mut sql = format!(
            "delete from rowhouse.resource_acl where resource_id = '{id}';
             insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, team_id, project_id, owner_id)
             select '{tenant}', '{id}', 'tag', 'thing', w.id, '{visibility}', {team}, {project}, '{owner}'
             from rowhouse.workspaces w where w.tenant_id = '{tenant}' limit 1
             on conflict (tenant_id, id) do update
             set visibility = excluded.visibility, team_id = excluded.team_id, project_id = excluded.project_id,
               owner_id = excluded.owner_id;",
            team = quoted(team),
            project = quoted(project),
        );
        for (principal, access) in &acl {
            let entry = format!("('{tenant}', '{id}', '{principal}', '{access}')");
            sql += "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access) values ";
            sql += &(entry + ";");
        }
        world.superuser().await.batch_execute(&sql).await.unwrap();
        let thing = Thing {
            owner,
            visibility,
            team,
            project,
            acl,
        };
        self.model.things.insert(id, thing);
    }

    /// Somebody does something, or tries to: the database and the model agree whether he may.
    async fn step(&mut self, world: &World) {
        let callers = self.callers(world);
        let anybody = self.dice.below(3) == 0;
        let mut drawn = (0, self.draw());
        for _ in 0..50 {
            drawn = (self.dice.below(callers.len()), self.draw());
            if anybody || self.model.allows(callers[drawn.0].0, drawn.1) {
                break;
            }
        }
        self.steps += 1;
        let (by, step) = (&callers[drawn.0], drawn.1);
        let allowed = self.model.allows(by.0, step);
        let what = format!(
            "step {}: {step:?} by {} ({:?})",
            self.steps,
            by.0,
            self.model.members.get(&by.0)
        );
        match self.attempt(world, by, step).await {
            Ok(()) => assert!(allowed, "HOLE: not refused: {what}"),
            Err(error) => {
                assert!(!allowed, "HOLE: refused what is allowed: {what}: {error:?}");
                assert!(REFUSALS.contains(&error.code()), "{what}: {error:?}");
                return;
            }
        }
        *self.done.entry(self.name(step)).or_default() += 1;
        self.model.becomes(step);
    }

    /// A step of the kind that is next, of whom and what the dice say.
    fn draw(&mut self) -> Step {
        let dice = &mut self.dice;
        let who = self.people[dice.below(self.people.len())].uuid();
        let teams: Vec<Uuid> = self.model.teams.keys().copied().collect();
        let projects: Vec<Uuid> = self.model.projects.keys().copied().collect();
        let things: Vec<Uuid> = self.model.things.keys().copied().collect();
        let thing = dice.one(&things);
        let principal = match dice.below(4) {
            0 => dice.one(&teams),
            1 => self.keys[0].uuid(),
            _ => who,
        };
        match self.steps % 13 {
            0 => Step::Invite(who, dice.one(Role::ALL)),
            1 if self.model.invited.is_empty() => Step::Invite(who, dice.one(Role::ALL)),
            1 => Step::Accept(dice.below(self.model.invited.len())),
            2 | 8 => Step::SetRole(who, dice.one(Role::ALL)),
            3 => Step::Move(who, [dice.one(&teams), dice.one(&teams)]),
            4 => Step::Grant(principal, thing, dice.one(AclAccess::ALL)),
            5 => Step::SetProjectRole(who, dice.one(&projects), dice.one(ProjectRole::ALL)),
            6 => Step::Revoke(principal, thing),
            7 => Step::Suspend,
            9 => Step::Resume,
            10 => Step::LeaveProject(who, dice.one(&projects)),
            11 => Step::Remove(who),
            _ => Step::Replace(thing),
        }
    }

    /// Does it in the database.
    async fn attempt(
        &mut self,
        world: &World,
        by: &(Uuid, Context),
        step: Step,
    ) -> Result<(), Error> {
        match step {
            Step::Replace(thing) => {
                self.place(world, thing).await;
                return Ok(());
            }
            Step::Accept(number) => {
                let token = &self.model.invited[number].token;
                let accepted = invitations::accept(&world.house, token, "Somebody", None).await;
                return accepted.map(|_| ());
            }
            Step::Suspend | Step::Resume => {
                let status = match step {
                    Step::Suspend => Status::Suspended,
                    _ => Status::Active,
                };
                let mut tx = world.house.begin_system(world.alpha.id).await?;
                tenants::set_status(&mut tx, status, None).await?;
                return tx.commit().await;
            }
            _ => {}
        }
        let mut tx = world.house.begin(&by.1).await?;
        match step {
            Step::Invite(who, role) => {
                let email = self.email(who);
                let new = NewInvitation::new(&email, role);
                invitations::create(&mut tx, new).await?;
                tx.commit().await?;
                self.model.invited.push(Invited {
                    who,
                    role: role.as_str(),
                    by: by.0,
                    token: crate::people::token(world, &email).await,
                    good: true,
                });
                return Ok(());
            }
            Step::SetRole(who, role) => {
                members::update(&mut tx, who.into(), &Changes { role }, None).await?;
            }
            Step::Remove(who) => members::remove(&mut tx, who.into()).await?,
            Step::Move(who, [from, to]) => {
                if self.model.teams[&from].contains(&who) {
                    teams::remove_member(&mut tx, from.into(), who.into()).await?;
                }
                teams::add_member(&mut tx, to.into(), who.into()).await?;
            }
            Step::SetProjectRole(who, project, role) => {
                projects::set_role(&mut tx, project.into(), who.into(), role).await?;
            }
            Step::LeaveProject(who, project) => {
                projects::remove_member(&mut tx, project.into(), who.into()).await?;
            }
            Step::Grant(to, thing, access) => {
                resources::grant(&mut tx, thing.into(), to.into(), access).await?;
            }
            Step::Revoke(from, thing) => {
                resources::revoke(&mut tx, thing.into(), from.into()).await?;
            }
            Step::Accept(_) | Step::Suspend | Step::Resume | Step::Replace(_) => unreachable!(),
        }
        tx.commit().await
    }

    fn email(&self, who: Uuid) -> String {
        let number = self.people.iter().position(|user| user.uuid() == who);
        PEOPLE[number.unwrap()].to_owned() + "@alpha.example"
    }

    fn name(&self, step: Step) -> &'static str {
        match step {
            Step::Invite(..) => "invite",
            Step::Accept(_) => "accept",
            Step::SetRole(who, role) => {
                match rank(self.model.members[&who]).cmp(&rank(role.as_str())) {
                    Ordering::Less => "promote",
                    Ordering::Equal => "leave as it is",
                    Ordering::Greater => "demote",
                }
            }
            Step::Remove(_) => "remove",
            Step::Move(..) => "move",
            Step::SetProjectRole(..) => "into a project",
            Step::LeaveProject(..) => "out of a project",
            Step::Grant(..) => "grant",
            Step::Revoke(..) => "revoke",
            Step::Suspend => "suspend",
            Step::Resume => "resume",
            Step::Replace(_) => "replace",
        }
    }

    /// A suspended tenant lets nobody manage it but the platform.
    async fn as_owner(&self, world: &World, sql: &str) {
        let mut tx = if self.model.suspended {
            let restored = "update rowhouse.tenants set status = 'active' where slug = 'alpha'";
            world
                .platform()
                .await
                .batch_execute(restored)
                .await
                .unwrap();
            world.house.begin(&world.alpha.context()).await.unwrap()
        } else {
            world.house.begin(&world.alpha.context()).await.unwrap()
        };
        tx.batch(sql).await.unwrap();
        tx.commit().await.unwrap();
        if self.model.suspended {
            let again = "update rowhouse.tenants set status = 'suspended' where slug = 'alpha'";
            world.platform().await.batch_execute(again).await.unwrap();
        }
    }
}

async fn ids(tx: &mut TenantTx, sql: &str) -> Result<BTreeSet<Uuid>, Error> {
    Ok(tx
        .query(sql, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

/// What Postgres lets a caller read, write and share, by doing it. Nothing of it stays.
async fn in_fact(world: &World, context: &Context) -> Result<[BTreeSet<Uuid>; 3], Error> {
    let mut tx = world.house.begin(context).await?;
    let read = ids(&mut tx, "select id from rowhouse.resources").await?;
    let written = match ids(
        &mut tx,
        "update rowhouse.resources set title = 'mine' returning id",
    )
    .await
    {
        Err(Error::ReadOnly) => {
            tx.rollback().await;
            return Ok([read, BTreeSet::new(), BTreeSet::new()]);
        }
        written => written?,
    };
    let tenant = world.alpha.id.uuid();
    tx.batch(&format!(
        "do $$
         declare
           thing uuid;
         begin
           for thing in select id from rowhouse.resources loop
             begin
               insert into rowhouse.resource_acl (resource_id, principal_id, access) values (thing, '{tenant}', 'read')
               on conflict (tenant_id, resource_id, principal_id) do update set access = 'read';
             exception when insufficient_privilege then
               null;
             end;
           end loop;
         end
         $$"
    ))
    .await?;
    let touched = format!(
        "select resource_id from rowhouse.resource_acl where principal_id = '{tenant}' and updated_at >= now()"
    );
    let shared = ids(&mut tx, &touched).await?;
    tx.rollback().await;
    Ok([read, written, shared])
}

/// What the library's list shows a caller, page by page.
async fn listed(world: &World, context: &Context) -> Result<BTreeSet<Uuid>, Error> {
    let mut tx = world.house.begin(context).await?;
    let (mut all, mut filter) = (BTreeSet::new(), Filter::default());
    loop {
        let page = resources::list(&mut tx, &filter, 6).await?;
        filter.after = page.last().map(|last| (last.updated_at, last.id));
        let is_last = page.len() < 6;
        for shown in page {
            assert!(all.insert(shown.id.uuid()), "shown twice: {shown:?}");
        }
        if is_last {
            tx.rollback().await;
            return Ok(all);
        }
    }
}

pub async fn what_everybody_may_is_what_the_model_says(world: &World) {
    let walked = walk(world, 7, STEPS).await;
    let missing: Vec<&&str> = [
        "invite",
        "accept",
        "promote",
        "demote",
        "remove",
        "move",
        "into a project",
        "out of a project",
        "grant",
        "revoke",
        "suspend",
        "resume",
        "replace",
    ]
    .iter()
    .filter(|name| !walked.done.contains_key(**name))
    .collect();
    assert!(
        missing.is_empty(),
        "never done: {missing:?}: {:?}",
        walked.done
    );
}

/// Other walks each time: a test that fails prints its seed. Whether a kind of step came up is chance here, and asked of
/// the walk above.
#[cfg(test)]
#[tokio::test]
#[ignore = "long: make test.long"]
async fn walks_that_nobody_has_seen_before_end_where_the_model_says() {
    for _ in 0..6 {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        println!("seed {seed}");
        walk(&World::new().await, seed, 3 * STEPS).await;
    }
}

async fn walk(world: &World, seed: u64, steps: usize) -> House {
    let mut house = House::furnished(world, seed, 20).await;
    let mut looked_at = 0;
    for step in 0..=steps {
        if step > 0 {
            house.step(world).await;
        }
        for (who, context) in house.callers(world) {
            let facts = match in_fact(world, &context).await {
                Ok(facts) => facts,
                Err(Error::NotAMember | Error::TenantNotActive) => Default::default(),
                Err(error) => panic!("{error}"),
            };
            if step % 8 == 0 {
                let listed = listed(world, &context).await.unwrap_or_default();
                assert_eq!(
                    listed, facts[0],
                    "HOLE: the list of {who} after {step} steps"
                );
            }
            for (least, fact) in (1..).zip(&facts) {
                let model = house.model.holding(who, least);
                looked_at += model.len();
                assert_eq!(
                    *fact,
                    model,
                    "HOLE: after {step} steps, {who} ({:?}), right {least}: {:#?}",
                    house.model.members.get(&who),
                    fact.symmetric_difference(&model)
                        .map(|id| &house.model.things[id])
                        .collect::<Vec<_>>()
                );
            }
        }
    }
    assert!(
        looked_at > steps * 20,
        "the model allows next to nothing: {looked_at}"
    );
    house
}

/// By an entry for her and one for everybody inside: neither takes another's place on the page.
pub async fn what_is_shared_twice_is_listed_once(world: &World) {
    let (context, house) = ann(world).await;
    let (ann, tenant) = (house.people[2].uuid(), house.model.tenant);
    let shared = format!(
        "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, owner_id, updated_at)
         select '{tenant}', gen_random_uuid(), 'tag', 'shared', w.id, 'private', '{owner}', now() - n * interval '1 s'
         from rowhouse.workspaces w, generate_series(1, 60) n
         where w.tenant_id = '{tenant}' and w.kind = 'tenant';
         insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
         select '{tenant}', r.id, p, 'read'
         from rowhouse.resources r, unnest('{{{tenant},{ann}}}'::uuid[]) p
         where r.title = 'shared'",
        owner = world.alpha.owner.uuid(),
    );
    world
        .superuser()
        .await
        .batch_execute(&shared)
        .await
        .unwrap();
    let mut tx = world.house.begin(&context).await.unwrap();
    let page = resources::list(&mut tx, &Filter::default(), 50)
        .await
        .unwrap();
    tx.rollback().await;
    assert_eq!(
        page.len(),
        50,
        "HOLE: a page that is not full ends the list"
    );
}

/// Ann, a member of the tenant, of one team, and of one project as its editor; a thing that is hers, and one of the owner's.
async fn ann(world: &World) -> (Context, House) {
    let house = House::furnished(world, 1, 0).await;
    let ann = house.people[2];
    let (team, project) = (first(&house.model.teams), first(&house.model.projects));
    house
        .as_owner(world, &format!(
            "insert into rowhouse.team_members (team_id, user_id) values ('{team}', '{ann}');
             insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{project}', '{ann}', 'editor')",
            ann = ann.uuid()
        ))
        .await;
    let tenant = house.model.tenant;
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "delete from rowhouse.resource_acl; delete from rowhouse.resources;
             insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, team_id, project_id, owner_id)
             select '{tenant}', v.id::uuid, 'tag', v.title, w.id, v.visibility, v.team::uuid, v.project::uuid, v.owner::uuid
             from rowhouse.workspaces w,
               (values ('{HERS}', 'hers', 'tenant', null, null, '{ann}'),
                       ('{THEIRS}', 'theirs', 'tenant', null, null, '{owner}'),
                       ('{PROJECTS}', 'the project''s', 'project', null, '{project}', '{owner}'),
                       ('{ELSEWHERE}', 'elsewhere', 'tenant', null, '{other}', '{owner}')) v (id, title, visibility, team, project, owner)
             where w.tenant_id = '{tenant}'",
            ann = ann.uuid(),
            owner = world.alpha.owner.uuid(),
            other = house.model.projects.keys().nth(1).unwrap(),
        ))
        .await
        .unwrap();
    (Context::user(world.alpha.id, ann), house)
}

fn first<V>(map: &BTreeMap<Uuid, V>) -> Uuid {
    *map.keys().next().unwrap()
}

const HERS: &str = "00000000-0000-7000-8000-0000000000e1";
const THEIRS: &str = "00000000-0000-7000-8000-0000000000e2";
const PROJECTS: &str = "00000000-0000-7000-8000-0000000000e3";
const ELSEWHERE: &str = "00000000-0000-7000-8000-0000000000e4";

pub async fn who_sees_it_is_for_its_administrators_to_say(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let app = world.app().await;
    enter(&app, world, &context).await;
    // She edits what is the project's, and may not take it out of it, hide it, or take it over.
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'ours' where id = '{PROJECTS}'"),
        1,
    )
    .await;
    let (team, other) = (
        first(&house.model.teams),
        house.model.projects.keys().nth(1).unwrap(),
    );
    for change in [
        "visibility = 'private'".to_owned(),
        "project_id = null, visibility = 'tenant'".to_owned(),
        format!("project_id = '{other}'"),
        format!("team_id = '{team}'"),
        format!("owner_id = '{ann}'"),
    ] {
        refused(
            &app,
            &format!("update rowhouse.resources set {change} where id = '{PROJECTS}'"),
            "42501",
        )
        .await;
    }
    // With what is hers she does as she likes, as far as she gets.
    touches(&app, &format!("update rowhouse.resources set visibility = 'private', team_id = '{team}' where id = '{HERS}'"), 1).await;
    touches(&app, &format!("update rowhouse.resources set owner_id = '{}', visibility = 'tenant' where id = '{HERS}'", world.alpha.owner.uuid()), 1).await;
    touches(
        &app,
        &format!("update rowhouse.resources set visibility = 'private' where id = '{HERS}'"),
        0,
    )
    .await;
}

pub async fn nothing_is_put_where_the_caller_does_not_belong(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let owner = world.alpha.owner.uuid();
    let tenant = house.model.tenant;
    let (mine, not_mine) = (
        "00000000-0000-7000-8000-0000000000d1",
        "00000000-0000-7000-8000-0000000000d2",
    );
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "insert into rowhouse.workspaces (tenant_id, id, kind, name, owner_id)
             values ('{tenant}', '{mine}', 'personal', 'hers', '{ann}'), ('{tenant}', '{not_mine}', 'personal', 'his', '{owner}')"
        ))
        .await
        .unwrap();
    let teams: Vec<&Uuid> = house.model.teams.keys().collect();
    let projects: Vec<&Uuid> = house.model.projects.keys().collect();
    let app = world.app().await;
    enter(&app, world, &context).await;
    let put = |column: &str, value: &str| {
        format!(
            "insert into rowhouse.resources (id, type, title, workspace_id{}) select gen_random_uuid(), 'tag', 'x', {} from rowhouse.workspaces where kind = 'tenant'",
            if column == "workspace_id" {
                String::new()
            } else {
                format!(", {column}")
            },
            if column == "workspace_id" {
                format!("'{value}'")
            } else {
                format!("id, '{value}'")
            }
        )
    };
    for (column, hers, others) in [
        ("workspace_id", mine.to_owned(), not_mine.to_owned()),
        ("team_id", teams[0].to_string(), teams[1].to_string()),
        (
            "project_id",
            projects[0].to_string(),
            projects[1].to_string(),
        ),
    ] {
        touches(&app, &put(column, &hers), 1).await;
        refused(&app, &put(column, &others), "42501").await;
        touches(
            &app,
            &format!("update rowhouse.resources set {column} = '{hers}' where id = '{HERS}'"),
            1,
        )
        .await;
        refused(
            &app,
            &format!("update rowhouse.resources set {column} = '{others}' where id = '{HERS}'"),
            "42501",
        )
        .await;
    }
}

pub async fn a_project_is_a_floor_inside_the_tenant(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let title = format!("select title from rowhouse.resources where id = '{ELSEWHERE}'");
    // Not even an entry for her, or ownership, gets her over it.
    let tenant = house.model.tenant;
    world
        .superuser()
        .await
        .batch_execute(&format!(
            "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access) values ('{tenant}', '{ELSEWHERE}', '{ann}', 'admin');
             update rowhouse.resources set owner_id = '{ann}' where id = '{ELSEWHERE}'"
        ))
        .await
        .unwrap();
    let app = world.app().await;
    enter(&app, world, &context).await;
    sees(&app, &title, &[]).await;
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'x' where id = '{ELSEWHERE}'"),
        0,
    )
    .await;
    // An editor cannot take a resource along into a project that she is not in.
    let there = house.model.projects.keys().nth(1).unwrap();
    refused(
        &app,
        &format!("update rowhouse.resources set project_id = '{there}' where id = '{HERS}'"),
        "42501",
    )
    .await;
    app.batch_execute("rollback").await.unwrap();
    house
        .as_owner(world, &format!("insert into rowhouse.user_project_roles (project_id, user_id, role) values ('{there}', '{ann}', 'viewer')"))
        .await;
    enter(&app, world, &context).await;
    sees(&app, &title, &["elsewhere"]).await;
}

pub async fn a_projects_viewer_changes_nothing_in_it(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let app = world.app().await;
    let update = format!("update rowhouse.resources set title = 'x' where id = '{PROJECTS}'");
    enter(&app, world, &context).await;
    touches(&app, &update, 1).await;
    app.batch_execute("rollback").await.unwrap();
    house
        .as_owner(
            world,
            &format!(
                "update rowhouse.user_project_roles set role = 'viewer' where user_id = '{ann}'"
            ),
        )
        .await;
    enter(&app, world, &context).await;
    touches(&app, &update, 0).await;
    let title = format!("select title from rowhouse.resources where id = '{PROJECTS}'");
    sees(&app, &title, &["the project's"]).await;
}

pub async fn a_granter_gives_no_more_than_it_holds(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2].uuid();
    let bob = house.people[3].uuid();
    let app = world.app().await;
    enter(&app, world, &context).await;
    let give = |thing: &str, to: Uuid, access: &str| {
        format!(
            "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{thing}', '{to}', '{access}')"
        )
    };
    for (thing, holds) in [(THEIRS, "read"), (PROJECTS, "write")] {
        for access in ["read", "write", "admin"] {
            for to in [ann, bob] {
                refused(&app, &give(thing, to, access), "42501").await;
            }
        }
        assert_eq!(
            allowed(
                &app,
                &format!("select rowhouse.may_share(rowhouse.current_tenant(), '{thing}')")
            )
            .await,
            ["f"],
            "HOLE: who holds {holds} may share"
        );
    }
    touches(&app, &give(HERS, bob, "write"), 1).await;
    // Bob, with what she gave, gives nothing on, takes nothing away, and raises nothing of his own.
    app.batch_execute("commit").await.unwrap();
    enter(&app, world, &Context::user(world.alpha.id, house.people[3])).await;
    touches(
        &app,
        &format!("update rowhouse.resources set title = 'edited' where id = '{HERS}'"),
        1,
    )
    .await;
    refused(&app, &give(HERS, house.people[4].uuid(), "read"), "42501").await;
    touches(&app, "update rowhouse.resource_acl set access = 'admin'", 0).await;
    touches(&app, "delete from rowhouse.resource_acl", 0).await;
}

/// So that who is asked in again begins with what his role gives him; and nobody who is gone is given one.
pub async fn an_entry_goes_with_whom_it_was_given_to(world: &World) {
    let (context, house) = ann(world).await;
    let ann = house.people[2];
    let give = format!(
        "insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{THEIRS}', '{}', 'admin')",
        ann.uuid()
    );
    let retitle = format!("update rowhouse.resources set title = 'hers now' where id = '{THEIRS}'");
    let owner = world.app().await;
    enter(&owner, world, &world.alpha.context()).await;
    touches(&owner, &give, 1).await;
    owner.batch_execute("commit").await.unwrap();
    let app = world.app().await;
    enter(&app, world, &context).await;
    touches(&app, &retitle, 1).await;
    app.batch_execute("rollback").await.unwrap();

    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    members::remove(&mut tx, ann).await.unwrap();
    tx.commit().await.unwrap();
    enter(&owner, world, &world.alpha.context()).await;
    refused(&owner, &give, "23503").await;
    owner.batch_execute("rollback").await.unwrap();

    let mut tx = world.house.begin_platform().await.unwrap();
    let again = members::add(&mut tx, &world.alpha.context(), ann, Role::Member).await;
    again.unwrap();
    tx.commit().await.unwrap();
    enter(&app, world, &context).await;
    let title = format!("select title from rowhouse.resources where id = '{THEIRS}'");
    sees(&app, &title, &["theirs"]).await;
    touches(&app, &retitle, 0).await;
    // Somebody who is there is given one as before.
    enter(&owner, world, &world.alpha.context()).await;
    touches(&owner, &give, 1).await;
}

pub async fn what_lies_in_a_deleted_project_is_copied_with_the_tenant(world: &World) {
    let (_, house) = ann(world).await;
    let project = first(&house.model.projects);
    let delete = format!("update rowhouse.projects set deleted_at = now() where id = '{project}'");
    house.as_owner(world, &delete).await;
    let find = format!(
        "select rowhouse.service_principal('{}', 'job')",
        house.model.tenant
    );
    let job = allowed(&world.platform().await, &find).await.remove(0);
    let job = PrincipalId::from(job.parse::<Uuid>().unwrap());
    let it = format!("select title from rowhouse.resources where id = '{PROJECTS}'");
    let app = world.app().await;
    enter(&app, world, &Context::principal(world.alpha.id, job)).await;
    sees(&app, &it, &["the project's"]).await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &world.alpha.context()).await;
    sees(&app, &it, &[]).await;
}

/// Each principal, each action, each resource.
pub async fn explanations_agree_with_the_database(world: &World) {
    explanations_agree(world, 1, 15).await;
}

#[cfg(test)]
#[tokio::test]
#[ignore = "long: make test.long"]
async fn ten_thousand_explanations_agree_with_the_database() {
    let world = World::new().await;
    assert!(explanations_agree(&world, 11, 40).await > 10_000);
}

/// In each round 25 steps are done, and then everything is asked. How many questions that were.
async fn explanations_agree(world: &World, rounds: usize, things: usize) -> usize {
    let mut questions = 0;
    let mut house = House::furnished(world, 11, things as u128).await;
    // Its asker sees everything, so that he may ask about everything.
    let find = format!(
        "select rowhouse.service_principal('{}', 'job')",
        house.model.tenant
    );
    let job = allowed(&world.platform().await, &find).await.remove(0);
    let asker = Context::principal(
        world.alpha.id,
        PrincipalId::from(job.parse::<Uuid>().unwrap()),
    );
    for _ in 0..rounds {
        for _ in 0..25 {
            house.step(world).await;
        }
        if house.model.suspended {
            let restored = "update rowhouse.tenants set status = 'active' where slug = 'alpha'";
            world
                .platform()
                .await
                .batch_execute(restored)
                .await
                .unwrap();
            house.model.suspended = false;
        }
        for (who, context) in house.callers(world) {
            let facts = match in_fact(world, &context).await {
                Err(Error::NotAMember) => Default::default(),
                facts => facts.unwrap(),
            };
            let everything = || {
                let actions = Action::ALL.iter().zip(&facts);
                actions.flat_map(|about| house.model.things.keys().map(move |id| (about, *id)))
            };
            let mut posed = Vec::new();
            let mut tx = world.house.begin(&asker).await.unwrap();
            for ((action, _), id) in everything() {
                let question = access::question(&mut tx, who.into(), *action, id.into()).await;
                posed.push(question.unwrap());
            }
            tx.commit().await.unwrap();
            for (((action, fact), id), question) in everything().zip(posed) {
                let said = question.answer(&world.house).await.unwrap();
                assert_eq!(
                    said.allowed,
                    fact.contains(&id),
                    "HOLE: {who} {action} {id}: {said:?}"
                );
                assert!(!said.because.is_empty(), "{who} {action} {id}: no reason");
                questions += 1;
            }
        }
    }
    let everything = rounds * things * (PEOPLE.len() + house.keys.len()) * Action::ALL.len();
    assert_eq!(questions, everything);
    questions
}

pub async fn one_asks_about_oneself_or_as_a_manager(world: &World) {
    let (context, house) = ann(world).await;
    let ask = async |who: &Context, about: Uuid, thing: &str| {
        let mut tx = world.house.begin(who).await.unwrap();
        let thing = ResourceId::from(thing.parse::<Uuid>().unwrap());
        access::question(&mut tx, PrincipalId::from(about), Action::Write, thing)
            .await
            .map(|_| ())
    };
    let (ann, bob) = (house.people[2].uuid(), house.people[3].uuid());
    ask(&context, ann, THEIRS).await.unwrap();
    ask(&context, bob, HERS).await.unwrap();
    assert!(matches!(
        ask(&context, bob, THEIRS).await,
        Err(Error::NotPermitted(_))
    ));
    assert!(matches!(
        ask(&context, ann, ELSEWHERE).await,
        Err(Error::NotFound("resource"))
    ));
    let manager = world.alpha.context();
    ask(&manager, bob, THEIRS).await.unwrap();
    assert!(matches!(
        ask(&manager, world.beta.owner.uuid(), THEIRS).await,
        Err(Error::NotFound("principal"))
    ));
    let team = first(&house.model.teams);
    assert!(matches!(
        ask(&manager, team, THEIRS).await,
        Err(Error::Invalid { .. })
    ));
}

const PRIVATE: &str = "00000000-0000-7000-8000-0000000000e5";

/// Ann, with what is private to alpha's owner, what lies in a project that is not hers, and what the trail says of both; and a
/// tenant of her own, where she chose the ids: her lists there hold the owner of alpha and that project, she is an owner, and
/// the id of what is private is that of something of hers.
async fn two_tickets(world: &World) -> (Client, Context, Context) {
    let (context, house) = ann(world).await;
    let ann = house.people[2];
    let (tenant, owner) = (house.model.tenant, world.alpha.owner.uuid());
    let secret = house.model.projects.keys().nth(1).unwrap();
    let private = format!(
        "insert into rowhouse.resources (tenant_id, id, type, title, workspace_id, visibility, owner_id)
         select '{tenant}', '{PRIVATE}', 'tag', 'private', w.id, 'private', '{owner}'
         from rowhouse.workspaces w where w.tenant_id = '{tenant}' and w.kind = 'tenant';
         insert into rowhouse.audit_log (tenant_id, id, actor_id, action, project_id, resource_id)
         values ('{tenant}', gen_random_uuid(), '{owner}', 'of the project', '{secret}', null),
                ('{tenant}', gen_random_uuid(), '{owner}', 'of what is private', null, '{PRIVATE}')"
    );
    world
        .superuser()
        .await
        .batch_execute(&private)
        .await
        .unwrap();
    let mut tx = world.house.begin_platform().await.unwrap();
    let own = NewTenant::organization("own", "Own").owned_by(ann);
    let own = tenants::create(&mut tx, own).await.unwrap().id;
    tx.commit().await.unwrap();
    let own = Context::user(own, ann);
    let mut tx = world.house.begin(&own).await.unwrap();
    tx.batch(&format!(
        "insert into rowhouse.teams (id, name) values ('{owner}', 'who owns');
         insert into rowhouse.team_members (team_id, user_id) values ('{owner}', '{ann}');
         insert into rowhouse.projects (id, name) values ('{secret}', 'secret');
         insert into rowhouse.resources (id, type, title, workspace_id, visibility)
         select '{PRIVATE}', 'tag', 'her own', id, 'private' from rowhouse.workspaces where kind = 'tenant'",
        ann = ann.uuid()
    ))
    .await
    .unwrap();
    tx.commit().await.unwrap();
    (world.app().await, context, own)
}

/// The call that enters `context`, wherever it stands in a statement.
async fn entering(world: &World, context: &Context) -> String {
    let ticket = world
        .house
        .ticket(context, std::time::Duration::from_mins(1))
        .await
        .unwrap();
    format!("rowhouse.enter('{}')", ticket.reveal())
}

/// What she sees in alpha with one ticket.
const SEEN: &[&str] = &["hers", "the project's", "theirs"];

pub async fn two_tickets_show_no_more_in_a_cursor(world: &World) {
    let (app, context, own) = two_tickets(world).await;
    let other = entering(world, &own).await;
    for way in ["indexscan", "seqscan"] {
        enter(&app, world, &context).await;
        app.batch_execute(&format!(
            "set local enable_bitmapscan = off; set local enable_{way} = off"
        ))
        .await
        .unwrap();
        sees(
            &app,
            "select title from rowhouse.resources order by title",
            SEEN,
        )
        .await;
        app.batch_execute("declare c cursor for select title from rowhouse.resources")
            .await
            .unwrap();
        let mut seen = allowed(&app, "fetch 1 from c").await;
        allowed(&app, &format!("select {other}::text")).await;
        seen.extend(allowed(&app, "fetch all from c").await);
        assert!(
            seen.iter().all(|title| SEEN.contains(&title.as_str())),
            "HOLE: {seen:?}"
        );
        app.batch_execute("rollback").await.unwrap();
    }
}

pub async fn two_tickets_show_no_more_in_a_loop(world: &World) {
    let (app, context, own) = two_tickets(world).await;
    let manager = world.alpha.context();
    let mut tx = world.house.begin(&manager).await.unwrap();
    let invited = NewInvitation::new("kept-from@members.example", Role::Member);
    invitations::create(&mut tx, invited).await.unwrap();
    tx.commit().await.unwrap();
    for (relation, shown, when) in [
        ("resources", "title", "updated_at"),
        ("invitations", "email", "created_at"),
        ("user_project_roles", "role", "created_at"),
        ("audit_log", "action", "created_at"),
    ] {
        // What is seen under the first context, and what by a loop that goes over to the second.
        let seen = async |first: &Context, second: &Context| {
            let alone = format!("select {shown} from rowhouse.{relation} order by 1");
            enter(&app, world, first).await;
            let before = allowed(&app, &alone).await;
            app.batch_execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
                .await
                .unwrap();
            // No row is found in the first turn: the floor is asked for the index, and nothing else.
            let looped = format!(
                "select x.{shown}
                 from (values (1), (2)) turn (n)
                 cross join lateral (select case when turn.n = 2 then {second}::text end as entered offset 0) e
                 cross join lateral (
                   select {shown} from rowhouse.{relation}
                   where {when} < (case when turn.n = 1 then '-infinity' else 'infinity' end)::timestamptz
                     and (e.entered is null or e.entered = '') offset 0) x
                 order by 1",
                second = entering(world, second).await
            );
            let looped = allowed(&app, &looped).await;
            app.batch_execute("rollback").await.unwrap();
            (before, looped)
        };
        let (all, looped) = seen(&manager, &manager).await;
        assert!(!all.is_empty(), "{relation}: there is nothing to see");
        assert_eq!(looped, all, "{relation}: the loop does not get there");
        let (before, looped) = seen(&context, &own).await;
        let more: Vec<&String> = looped.iter().filter(|row| !before.contains(row)).collect();
        assert!(more.is_empty(), "HOLE: {relation}: {more:?}");
    }
}

pub async fn two_tickets_change_no_more_in_one_statement(world: &World) {
    let (app, context, own) = two_tickets(world).await;
    let other = entering(world, &own).await;
    for change in ["title = 'taken'", "deleted_at = now()"] {
        enter(&app, world, &context).await;
        app.batch_execute(
            "set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_material = off;
             set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off",
        )
        .await
        .unwrap();
        let taken = format!(
            "update rowhouse.resources r
             set {change}
             from (select * from (values (1, '{HERS}'::uuid), (2, '{PRIVATE}'), (3, '{ELSEWHERE}')) v (n, id) offset 0) v
             where r.id = v.id
             returning case when v.n = 1 then {other}::text end"
        );
        touches(&app, &taken, 1).await;
        app.batch_execute("commit").await.unwrap();
    }
    // Whether she may share what is private to the owner is asked while what bears its id is hers. Then she comes back, so that
    // nothing but the entry's tenant speaks against it.
    let (alpha, back) = (world.alpha.id.uuid(), entering(world, &context).await);
    let given = |end: u8| {
        format!(
            "insert into rowhouse.resource_acl (tenant_id, resource_id, principal_id, access)
             select '{alpha}', v.id, rowhouse.current_user_id(), 'admin'
             from (select n, id, case n when 2 then {other}::text when 3 then {back}::text end as entered
                   from (values (1, '{HERS}'::uuid), (2, '{PRIVATE}'), (3, null)) v (n, id) offset 0) v
             where n < {end}"
        )
    };
    enter(&app, world, &own).await;
    touches(
        &app,
        &format!("insert into rowhouse.resource_acl (resource_id, principal_id, access) values ('{PRIVATE}', rowhouse.current_user_id(), 'admin')"),
        1,
    )
    .await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &context).await;
    touches(&app, &given(2), 1).await;
    app.batch_execute("rollback").await.unwrap();
    enter(&app, world, &context).await;
    let refusal = refused(&app, &given(3), "42501").await;
    assert!(
        refusal
            .said
            .starts_with("new row violates row-level security policy for table"),
        "refused because of something else: {refusal:?}"
    );
    app.batch_execute("rollback").await.unwrap();
    let untouched = format!(
        "select count(*)::int from rowhouse.resources
         where id in ('{PRIVATE}', '{ELSEWHERE}') and title in ('private', 'elsewhere') and deleted_at is null"
    );
    let untouched: i32 = world
        .superuser()
        .await
        .query_one(&untouched, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(untouched, 2, "HOLE");
}
