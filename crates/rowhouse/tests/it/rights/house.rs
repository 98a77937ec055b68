//! The same in the database: alpha, furnished, where each step is done that the model allows, and tried that it does not.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rowhouse::ids::{KeyId, UserId};
use rowhouse::invitations::{self, NewInvitation};
use rowhouse::members::{self, Changes, Role};
use rowhouse::projects::{self, ProjectRole};
use rowhouse::resources::{self, AclAccess};
use rowhouse::tenants::{self, Status};
use rowhouse::{Context, Error, teams, users};
use uuid::Uuid;

use super::model::{Invited, Model, Step, Thing, rank};
use crate::world::World;

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

/// The same in the database: alpha, with people, teams, projects, keys and things.
pub struct House {
    pub model: Model,
    pub people: Vec<UserId>,
    pub keys: Vec<KeyId>,
    dice: Dice,
    /// What was done so far, and how often.
    pub done: BTreeMap<&'static str, usize>,
    steps: usize,
    /// Of these, how many were not tried in a suspended tenant.
    turn: usize,
}

pub const PEOPLE: [&str; 6] = ["owner", "admin", "ann", "bob", "cleo", "viewer"];

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
    pub async fn furnished(world: &World, seed: u64, things: u128) -> Self {
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
            turn: 0,
        };
        let empty = "delete from rowhouse.resource_acl; delete from rowhouse.resources";
        world.superuser().await.batch_execute(empty).await.unwrap();
        for number in 0..things {
            house.place(world, id(0xf0, number)).await;
        }
        house
    }

    /// Everybody who could ask, and how.
    pub fn callers(&self, world: &World) -> Vec<(Uuid, Context)> {
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
    pub async fn step(&mut self, world: &World) {
        let callers = self.callers(world);
        let anybody = self.model.suspended || self.dice.below(3) == 0;
        let mut drawn = (0, self.draw());
        for _ in 0..50 {
            drawn = (self.dice.below(callers.len()), self.draw());
            if anybody || self.model.allows(callers[drawn.0].0, drawn.1) {
                break;
            }
        }
        self.steps += 1;
        self.turn += usize::from(!self.model.suspended);
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

    /// A step of the kind whose turn it is, of whom and what the dice say; while the tenant is suspended, of any kind.
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
        let kind = match (self.model.suspended, dice.below(4)) {
            (true, 0) => 9,
            (true, _) => dice.below(13),
            (false, _) => self.turn % 13,
        };
        match kind {
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
    pub async fn as_owner(&self, world: &World, sql: &str) {
        if self.model.suspended {
            set_alpha(world, "active").await;
        }
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        tx.batch(sql).await.unwrap();
        tx.commit().await.unwrap();
        if self.model.suspended {
            set_alpha(world, "suspended").await;
        }
    }
}

/// Suspends alpha, or lets it go on, as the platform does.
pub async fn set_alpha(world: &World, status: &str) {
    let change = format!("update rowhouse.tenants set status = '{status}' where slug = 'alpha'");
    world.platform().await.batch_execute(&change).await.unwrap();
}
