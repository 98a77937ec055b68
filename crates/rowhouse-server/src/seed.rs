//! `rowhouse seed`: something to look at. A test user with her Personal Org and Personal Workspace; an organization with
//! two projects and three users in three roles; every table of ours enforced.
//!
//! Run again, it finds what is there, also what a first run was killed in the middle of, and makes the rest.

use rowhouse::ids::{ProjectId, TenantId, UserId};
use rowhouse::members::Role;
use rowhouse::projects::ProjectRole;
use rowhouse::tenants::{Kind, NewTenant, PlanTier};
use rowhouse::{
    Context, Error, Owner, PlatformTx, Result, Rowhouse, members, projects, tenants, users,
};
use serde::Serialize;

/// What is there afterwards.
#[derive(Debug, Serialize)]
pub struct Seeded {
    /// The test user's own tenant.
    pub personal: TenantId,
    /// The organization.
    pub organization: TenantId,
    /// E-mail address, id and role of its three members.
    pub users: Vec<(String, UserId, Role)>,
    /// Name and id of its two projects.
    pub projects: Vec<(String, ProjectId)>,
    /// Nothing was there before.
    pub fresh: bool,
}

const PEOPLE: [(&str, &str, Role); 3] = [
    ("test@example.com", "Test User", Role::Owner),
    ("editor@example.com", "Editor", Role::Member),
    ("viewer@example.com", "Viewer", Role::Viewer),
];
/// Name of a project, and who besides the owner is in it, as what.
const PROJECTS: [(&str, &[(usize, ProjectRole)]); 2] = [
    (
        "Apollo",
        &[(1, ProjectRole::Editor), (2, ProjectRole::Viewer)],
    ),
    ("Borealis", &[(1, ProjectRole::Viewer)]),
];

/// Seeds the database.
pub async fn run(owner: &mut Owner, house: &Rowhouse) -> Result<Seeded> {
    enforce(owner).await?;
    let (personal, organization, people, fresh) = registry(house).await?;
    let owner = Context::user(organization, people[0]);
    for (user, (_, _, role)) in people.iter().zip(PEOPLE).skip(1) {
        let mut tx = house.begin_platform().await?;
        match members::add(&mut tx, &owner, *user, role).await {
            Ok(()) => tx.commit().await?,
            Err(Error::Taken { .. }) => {} // was there
            Err(error) => return Err(error),
        }
    }
    let mut inside = house.begin_system(organization).await?;
    let mut made = Vec::new();
    for (name, team) in PROJECTS {
        made.push(match projects::by_name(&mut inside, name).await {
            Ok(project) => project,
            Err(Error::NotFound(_)) => {
                let project = projects::create(&mut inside, name).await?;
                for (person, role) in team {
                    projects::set_role(&mut inside, project.id, people[*person], *role).await?;
                }
                project
            }
            Err(error) => return Err(error),
        });
    }
    inside.commit().await?;
    Ok(Seeded {
        personal,
        organization,
        users: PEOPLE
            .iter()
            .zip(people)
            .map(|((email, _, role), id)| ((*email).to_owned(), id, *role))
            .collect(),
        projects: made
            .into_iter()
            .map(|project| (project.name, project.id))
            .collect(),
        fresh,
    })
}

/// Every table of ours in mode `enforce`: a migration alone leaves content in shadow.
async fn enforce(owner: &mut Owner) -> Result<()> {
    let tx = owner.begin().await?;
    tx.execute(
        "select rowhouse.set_mode(format('%I.%I', schema_name, table_name)::regclass, 'enforce')
         from rowhouse.managed_tables
         where schema_name = 'rowhouse' and mode <> 'enforce'",
        &[],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

async fn registry(house: &Rowhouse) -> Result<(TenantId, TenantId, Vec<UserId>, bool)> {
    let mut tx = house.begin_platform().await?;
    let mut people = Vec::new();
    let mut fresh = false;
    for (email, name, _) in PEOPLE {
        people.push(match users::by_email(&mut tx, email).await {
            Ok(user) => user,
            Err(Error::NotFound(_)) => {
                fresh = true;
                users::create(&mut tx, email, name).await?.id
            }
            Err(error) => return Err(error),
        });
    }
    let personal = tenant(
        &mut tx,
        "test-user",
        "Personal Org",
        Kind::Personal,
        people[0],
    )
    .await?;
    users::set_home(&mut tx, people[0], personal).await?;
    let organization = tenant(&mut tx, "acme", "Acme", Kind::Organization, people[0]).await?;
    tx.commit().await?;
    Ok((personal, organization, people, fresh))
}

async fn tenant(
    tx: &mut PlatformTx,
    slug: &str,
    name: &str,
    kind: Kind,
    owner: UserId,
) -> Result<TenantId> {
    match tenants::by_slug(tx, slug).await {
        Ok(tenant) => Ok(tenant.id),
        Err(Error::NotFound(_)) => {
            let new = NewTenant {
                slug: slug.into(),
                name: name.into(),
                kind,
                plan: PlanTier::Free,
                owner: Some(owner),
            };
            Ok(tenants::create(tx, new).await?.id)
        }
        Err(error) => Err(error),
    }
}

/// What `rowhouse seed` says.
pub fn describe(seeded: &Seeded) -> String {
    let mut lines = vec![
        (if seeded.fresh {
            "Seeded."
        } else {
            "Already seeded; nothing changed."
        })
        .to_owned(),
        format!("  test-user  Personal Org            {}", seeded.personal),
        format!(
            "  acme       Acme                    {}",
            seeded.organization
        ),
    ];
    lines.extend(
        seeded
            .users
            .iter()
            .map(|(email, id, role)| format!("             {email:<24}{id}  {role}")),
    );
    lines.extend(
        seeded
            .projects
            .iter()
            .map(|(name, id)| format!("             project {name:<16}{id}")),
    );
    lines.join("\n")
}
