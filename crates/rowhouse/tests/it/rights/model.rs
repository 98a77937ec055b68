//! What the rules say of a tenant, in plain Rust: who is in it, with what role, and what everybody may.

use std::collections::{BTreeMap, BTreeSet};

use rowhouse::members::Role;
use rowhouse::projects::ProjectRole;
use rowhouse::resources::AclAccess;
use uuid::Uuid;

/// What the rules say of it, without a database.
#[derive(Clone, Debug)]
pub struct Thing {
    pub owner: Uuid,
    pub visibility: &'static str,
    pub team: Option<Uuid>,
    pub project: Option<Uuid>,
    pub acl: BTreeMap<Uuid, &'static str>,
}

pub struct Model {
    pub tenant: Uuid,
    pub suspended: bool,
    /// Whoever is, was or may become a member.
    pub people: BTreeSet<Uuid>,
    /// Role of each member.
    pub members: BTreeMap<Uuid, &'static str>,
    pub teams: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// Role of each in each project.
    pub projects: BTreeMap<Uuid, BTreeMap<Uuid, &'static str>>,
    /// Whether each key may write.
    pub keys: BTreeMap<Uuid, bool>,
    pub things: BTreeMap<Uuid, Thing>,
    pub invited: Vec<Invited>,
}

/// Somebody is asked to come in.
#[derive(Clone, Debug)]
pub struct Invited {
    pub who: Uuid,
    pub role: &'static str,
    pub by: Uuid,
    pub token: String,
    /// Nobody has used it, and its inviter has not gone.
    pub good: bool,
}

/// What somebody does, or tries to.
#[derive(Clone, Copy, Debug)]
pub enum Step {
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

pub fn rank(role: &str) -> usize {
    RANKS.iter().position(|known| *known == role).unwrap()
}

impl Model {
    /// Whether `by` may do it now.
    pub fn allows(&self, by: Uuid, step: Step) -> bool {
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
    pub fn becomes(&mut self, step: Step) {
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

    pub fn holding(&self, who: Uuid, least: u8) -> BTreeSet<Uuid> {
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
