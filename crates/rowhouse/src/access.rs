//! Access: may this principal do that with this resource, and why. Reads `rowhouse.resources` and its ACL.
//!
//! Invariant: the answer is Postgres's own. The question is put to it as the principal that is asked about, in a
//! transaction of its own; only the reasons are worked out here (docs/adr/010 has the rules), and none of them decides.

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::{KeyId, PrincipalId, ProjectId, ResourceId, TenantId};
use crate::resources::{self, AclAccess, Resource, Visibility};
use crate::text_enum::text_enum;
use crate::tx::{Rowhouse, TenantTx};

text_enum! {
    /// What is done with a resource.
    Action {
        /// To see it.
        Read = "read",
        /// To change what it holds, to delete and restore it.
        Write = "write",
        /// To say who else may.
        Admin = "admin",
    }
}

text_enum! {
    /// Why something is allowed, or is not.
    Rule {
        /// It owns the resource, or one of those does that it stands for.
        Owner = "owner",
        /// An entry of the ACL.
        Acl = "acl",
        /// The resource is for everyone inside the tenant.
        Tenant = "tenant",
        /// The resource is for a team that it is in.
        Team = "team",
        /// The resource is for a project that it is in.
        Project = "project",
        /// It edits or administers the project that the resource is for.
        ProjectRole = "project-role",
        /// It sees the resource as one of those it is for, and is an owner or admin of the tenant.
        Manager = "manager",
        /// It sees the resource as one of those it is for, and is an API key.
        Key = "key",
        /// It is the tenant's own job, for backup, export and erasure.
        Job = "job",
        /// Refused: it may not enter the tenant.
        Outside = "outside",
        /// Refused: it may only read.
        ReadOnly = "read-only",
        /// Refused: the resource lies in a project that it is not in.
        OutsideProject = "outside-project",
        /// Refused: what it holds on the resource does not go so far.
        TooLittle = "too-little",
        /// Refused: neither ownership, nor audience, nor an entry leads to it.
        Nothing = "nothing",
    }
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Because {
    /// Which rule.
    pub rule: Rule,
    /// Through whom: the principal of the ACL entry, the team, the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// The project, where one decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The same as a sentence.
    pub text: String,
}

impl Because {
    fn new(rule: Rule, text: impl Into<String>) -> Self {
        Self {
            rule,
            principal: None,
            project: None,
            text: text.into(),
        }
    }

    fn through(self, principal: PrincipalId) -> Self {
        Self {
            principal: Some(principal),
            ..self
        }
    }

    fn in_project(self, project: Option<ProjectId>) -> Self {
        Self { project, ..self }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// What Postgres said.
    pub allowed: bool,
    /// Through what; or what is missing.
    pub because: Vec<Because>,
}

/// A question that its asker may ask: what it has to know of the resource is already read.
#[derive(Debug)]
pub struct Question {
    tenant: TenantId,
    who: Context,
    action: Action,
    resource: Resource,
    entries: Vec<(PrincipalId, AclAccess)>,
}

/// What the principal is, as it finds itself inside.
struct Inside {
    role: String,
    writes: bool,
    principals: Vec<PrincipalId>,
    audiences: Vec<uuid::Uuid>,
    projects: Vec<ProjectId>,
    edits: Vec<uuid::Uuid>,
    administers: Vec<uuid::Uuid>,
}

/// Asks inside the tenant. One may ask about oneself; about others, as an owner or admin of the tenant or of the resource.
/// [`Error::NotFound`] for a resource that the asker does not see, [`Error::Invalid`] for a principal that nobody enters as.
pub async fn question(
    tx: &mut TenantTx,
    principal: PrincipalId,
    action: Action,
    resource: ResourceId,
) -> Result<Question> {
    let tenant = tx.tenant_id();
    let resource = resources::get(tx, resource).await?;
    let asker = tx
        .one(
            "select
               $2 = rowhouse.current_principal()
                 or rowhouse.caller_role() = any ('{owner,admin}') or rowhouse.may_share($1, $3) as may_ask,
               (select kind from rowhouse.principals where tenant_id = $1 and id = $2) as kind",
            &[&tenant, &principal, &resource.id],
        )
        .await?;
    if !asker.get::<_, bool>("may_ask") {
        return Err(Error::NotPermitted(
            "what others may do is told to those who manage the tenant or the resource".to_owned(),
        ));
    }
    let kind: Option<&str> = asker.get("kind");
    let who = match kind.ok_or(Error::NotFound("principal"))? {
        "key" => Context::key(tenant, KeyId::from(principal.uuid())),
        "team" => {
            return Err(Error::invalid(
                "principal",
                "must be one that can enter: nobody enters as a team, ask about its members",
            ));
        }
        _ => Context::principal(tenant, principal),
    };
    let entries = tx
        .query(
            "select principal_id, access
             from rowhouse.resource_acl
             where tenant_id = $1 and resource_id = $2
             order by principal_id",
            &[&tenant, &resource.id],
        )
        .await?;
    Ok(Question {
        tenant,
        who,
        action,
        resource,
        entries: entries
            .iter()
            .map(|row| (row.get("principal_id"), row.get("access")))
            .collect(),
    })
}

impl Question {
    /// Puts it to Postgres as the principal, in a transaction that changes nothing. The asker's own should be at its end:
    /// this takes another connection.
    pub async fn answer(self, house: &Rowhouse) -> Result<Explanation> {
        match self.as_the_principal(house).await {
            Ok((allowed, sees, inside)) => Ok(Explanation {
                allowed,
                because: if allowed {
                    self.reasons(&inside)
                } else {
                    self.obstacles(sees, &inside)
                },
            }),
            Err(
                error @ (Error::NotAMember | Error::TenantNotActive | Error::TooManyPrincipals),
            ) => Ok(Explanation {
                allowed: false,
                because: vec![Because::new(Rule::Outside, error.to_string())],
            }),
            Err(error) => Err(error),
        }
    }

    /// Whether it may; whether it sees the resource at all; and what it is.
    async fn as_the_principal(&self, house: &Rowhouse) -> Result<(bool, bool, Inside)> {
        let mut tx = house.begin(&self.who).await?;
        let row = tx
            .one(
                "select
                   rowhouse.caller_role() as role,
                   starts_with(current_setting('app.context'), 'w') as writes,
                   rowhouse.caller_principals() as principals,
                   rowhouse.caller_audiences() as audiences,
                   rowhouse.current_projects() as projects,
                   rowhouse.caller_edits() as edits,
                   rowhouse.caller_administers() as administers,
                   exists (select from rowhouse.resources where tenant_id = $1 and id = $2) as sees,
                   rowhouse.may_share($1, $2) as shares",
                &[&self.tenant, &self.resource.id],
            )
            .await?;
        let inside = Inside {
            role: row.get("role"),
            writes: row.get("writes"),
            principals: row.get("principals"),
            audiences: row.get("audiences"),
            projects: row.get("projects"),
            edits: row.get("edits"),
            administers: row.get("administers"),
        };
        let sees: bool = row.get("sees");
        let allowed = match self.action {
            Action::Read => sees,
            Action::Write if inside.writes => {
                // A row is only locked for whoever may change it; of all locks this one holds up the fewest.
                let changes =
                    "select from rowhouse.resources where tenant_id = $1 and id = $2 for key share";
                tx.optional(changes, &[&self.tenant, &self.resource.id])
                    .await?
                    .is_some()
            }
            Action::Admin if inside.writes => row.get("shares"),
            Action::Write | Action::Admin => false,
        };
        tx.rollback().await;
        Ok((allowed, sees, inside))
    }

    /// Each way that leads to the resource and goes far enough.
    fn reasons(&self, inside: &Inside) -> Vec<Because> {
        self.ways(inside)
            .into_iter()
            .filter(|(reaches, _)| *reaches >= self.action)
            .map(|(_, because)| because)
            .collect()
    }

    /// Each way that leads to the resource, and how far it goes.
    fn ways(&self, inside: &Inside) -> Vec<(Action, Because)> {
        let resource = &self.resource;
        let mut ways = Vec::new();
        if inside.principals.contains(&resource.owner_id) {
            let because = Because::new(Rule::Owner, format!("{} owns it", resource.owner_id));
            ways.push((Action::Admin, because.through(resource.owner_id)));
        }
        for (principal, access) in &self.entries {
            if inside.principals.contains(principal) {
                let reaches = match access {
                    AclAccess::Read => Action::Read,
                    AclAccess::Write => Action::Write,
                    AclAccess::Admin => Action::Admin,
                };
                let text = format!("an entry of its ACL gives {principal} the right to {access}");
                ways.push((reaches, Because::new(Rule::Acl, text).through(*principal)));
            }
        }
        if let Some((audience, because)) = self.audience(inside) {
            let role = |rule, text: &str| Because::new(rule, text).in_project(resource.project_id);
            ways.push((Action::Read, because));
            if ["owner", "admin"].contains(&inside.role.as_str()) {
                let text = format!("it is for it, as {} of the tenant", inside.role);
                ways.push((Action::Admin, Because::new(Rule::Manager, text)));
            } else if inside.role == "key" {
                let text = "it is for it, as a key that may write";
                ways.push((Action::Write, Because::new(Rule::Key, text)));
            } else if inside.administers.contains(&audience) {
                let text = "it administers the project that it is for";
                ways.push((Action::Admin, role(Rule::ProjectRole, text)));
            } else if inside.edits.contains(&audience) {
                let text = "it edits the project that it is for";
                ways.push((Action::Write, role(Rule::ProjectRole, text)));
            }
        }
        if inside.role == "job" {
            ways.push((
                Action::Admin,
                Because::new(Rule::Job, "it is the tenant's own job"),
            ));
        }
        ways
    }

    /// Whom the resource is for, where that is among those the principal stands for.
    fn audience(&self, inside: &Inside) -> Option<(uuid::Uuid, Because)> {
        let resource = &self.resource;
        let (audience, because) = match resource.visibility {
            Visibility::Private => return None,
            Visibility::Tenant => (
                self.tenant.uuid(),
                Because::new(Rule::Tenant, "it is for everyone inside the tenant"),
            ),
            Visibility::Team => {
                let team = resource.team_id?;
                let because = Because::new(Rule::Team, format!("it is for {team}"));
                (team.uuid(), because.through(PrincipalId::from(team.uuid())))
            }
            Visibility::Project => {
                let project = resource.project_id?;
                let because = Because::new(Rule::Project, format!("it is for {project}"));
                (project.uuid(), because.in_project(Some(project)))
            }
        };
        inside
            .audiences
            .contains(&audience)
            .then_some((audience, because))
    }

    fn obstacles(&self, sees: bool, inside: &Inside) -> Vec<Because> {
        let mut missing = Vec::new();
        if !inside.writes && self.action > Action::Read {
            let text = format!("it may only read, as {}", inside.role);
            missing.push(Because::new(Rule::ReadOnly, text));
        }
        if let Some(project) = self.resource.project_id
            && !inside.projects.contains(&project)
        {
            let text = format!("it is not in {project}, in which the resource lies");
            missing.push(Because::new(Rule::OutsideProject, text).in_project(Some(project)));
        }
        if sees && inside.writes {
            for (reaches, because) in self.ways(inside) {
                let text = format!("{}: that reaches to {reaches}", because.text);
                missing.push(Because {
                    rule: Rule::TooLittle,
                    text,
                    ..because
                });
            }
        }
        if missing.is_empty() {
            let text = format!(
                "it is neither the owner, nor one of those it is for ({}), nor named in its ACL",
                self.resource.visibility
            );
            missing.push(Because::new(Rule::Nothing, text));
        }
        missing
    }
}
