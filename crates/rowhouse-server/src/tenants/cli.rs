//! `rowhouse tenants`: the registry, as whoever works on the server.

use clap::Subcommand;
use jiff::Timestamp;
use rowhouse::select::LONGEST_PAGE;
use rowhouse::tenants::{self, Changes, Filter, Kind, NewTenant, PlanTier, Status, Tenant};
use rowhouse::{Context, Operator, Result, Rowhouse, TenantTx, users};
use serde_json::json;

use crate::config::Settings;
use crate::connection::Target;
use crate::output::{Output, table};

/// What can be done with tenants.
#[derive(Subcommand)]
pub enum Command {
    /// List them, the newest first
    List {
        /// Only those whose slug or name holds this text
        #[arg(long, value_name = "TEXT")]
        q: Option<String>,
        /// provisioning, active, suspended, deleting or deleted
        #[arg(long)]
        status: Option<Status>,
    },
    /// Found one, with its baseline
    Create {
        /// Its name in URLs
        slug: String,
        /// Its name for people (default: the slug)
        #[arg(long)]
        name: Option<String>,
        /// personal or organization
        #[arg(long, default_value_t = Kind::Organization)]
        kind: Kind,
        /// free, team, business or enterprise
        #[arg(long, default_value_t = PlanTier::Free)]
        plan: PlanTier,
    },
    /// Set one up, or a user's own, or thousands: workspace, project, limits, storage, and a mail to the first owner
    Provision(crate::provisioning::cli::Provision),
    /// Show one
    Show {
        /// Slug or id
        tenant: String,
    },
    /// Change its slug, name or plan
    Update {
        /// Slug or id
        tenant: String,
        /// Another name in URLs; the old one goes on leading here
        #[arg(long)]
        slug: Option<String>,
        /// Another name for people
        #[arg(long)]
        name: Option<String>,
        /// Another tier
        #[arg(long)]
        plan: Option<PlanTier>,
    },
    /// Close it: nobody enters from the next transaction on
    Suspend {
        /// Slug or id
        tenant: String,
    },
    /// Open it again
    Resume {
        /// Slug or id
        tenant: String,
    },
    /// Mark it as deleted: nobody enters it any more, its rows stay
    Delete {
        /// Slug or id
        tenant: String,
    },
}

impl Command {
    /// Does it.
    pub async fn run(self, target: &Target, settings: &Settings, out: Output) -> Result<()> {
        if let Self::Provision(provision) = self {
            return provision.run(target, settings, out).await;
        }
        let house = target.place(settings)?.house(settings).await?;
        match self {
            Self::Provision(_) => Ok(()),
            Self::List { q, status } => list(&house, q, status, out).await,
            Self::Create {
                slug,
                name,
                kind,
                plan,
            } => {
                let name = name.unwrap_or_else(|| slug.clone());
                let new = NewTenant {
                    slug,
                    name,
                    kind,
                    plan,
                    owner: None,
                };
                let mut tx = house.begin_platform_as(operator()).await?;
                let tenant = tenants::create(&mut tx, new).await?;
                tx.commit().await?;
                show(&tenant, out)
            }
            Self::Show { tenant } => {
                let mut tx = house.begin_platform_as(operator()).await?;
                let tenant = tenants::find(&mut tx, &tenant).await?;
                tx.commit().await?;
                show(&tenant, out)
            }
            Self::Update {
                tenant,
                slug,
                name,
                plan,
            } => {
                let changes = Changes { slug, name, plan };
                let mut tx = inside(&house, &tenant).await?;
                let tenant = tenants::update(&mut tx, changes, None).await?;
                tx.commit().await?;
                show(&tenant, out)
            }
            Self::Suspend { tenant } => set_status(&house, &tenant, Status::Suspended, out).await,
            Self::Resume { tenant } => set_status(&house, &tenant, Status::Active, out).await,
            Self::Delete { tenant } => {
                let mut tx = inside(&house, &tenant).await?;
                let gone = tenants::own(&mut tx).await?;
                tenants::delete(&mut tx, None).await?;
                tx.commit().await?;
                out.show(&json!({ "deleted": gone.id, "slug": gone.slug }), |_| {
                    format!("{}  {}  deleted", gone.id, gone.slug)
                })
            }
        }
    }
}

/// As the trails name whoever uses the command line.
pub fn operator() -> Operator {
    Operator::local("command line")
}

/// A transaction inside the tenant that a slug or id names, as the platform.
pub async fn inside(house: &Rowhouse, tenant: &str) -> Result<TenantTx> {
    let mut tx = house.begin_platform_as(operator()).await?;
    let tenant = tenants::find(&mut tx, tenant).await?;
    tx.inside(tenant.id).await
}

/// The same, as one of its members, for whom whoever works on the server vouches.
pub async fn inside_as(house: &Rowhouse, tenant: &str, user: &str) -> Result<TenantTx> {
    let mut tx = house.begin_platform_as(operator()).await?;
    let tenant = tenants::find(&mut tx, tenant).await?;
    let user = match user.parse() {
        Ok(id) => id,
        Err(_) => users::by_email(&mut tx, user).await?,
    };
    tx.commit().await?;
    house.begin(&Context::user(tenant.id, user)).await
}

/// All pages of a list, one after the other.
pub async fn entire<T, Id>(
    mut page: impl AsyncFnMut(Option<(Timestamp, Id)>, u16) -> Result<Vec<T>>,
    place: impl Fn(&T) -> (Timestamp, Id),
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let next = page(after, LONGEST_PAGE).await?;
        let Some(last) = next.last() else {
            return Ok(all);
        };
        after = Some(place(last));
        all.extend(next);
    }
}

async fn set_status(house: &Rowhouse, tenant: &str, status: Status, out: Output) -> Result<()> {
    let mut tx = inside(house, tenant).await?;
    let tenant = tenants::set_status(&mut tx, status, None).await?;
    tx.commit().await?;
    show(&tenant, out)
}

async fn list(
    house: &Rowhouse,
    q: Option<String>,
    status: Option<Status>,
    out: Output,
) -> Result<()> {
    let mut filter = Filter {
        text: q,
        status,
        ..Filter::default()
    };
    let mut tx = house.begin_platform_as(operator()).await?;
    let mut all: Vec<Tenant> = Vec::new();
    loop {
        let page = tenants::list(&mut tx, &filter, LONGEST_PAGE).await?;
        let Some(last) = page.last() else {
            break;
        };
        filter.after = Some((last.created_at, last.id));
        all.extend(page);
    }
    tx.commit().await?;
    out.show(&all, |all| {
        table(
            &["SLUG", "KIND", "PLAN", "STATUS", "ID"],
            all.iter().map(|t| {
                vec![
                    t.slug.clone(),
                    t.kind.to_string(),
                    t.plan.to_string(),
                    t.status.to_string(),
                    t.id.to_string(),
                ]
            }),
        )
    })
}

fn show(tenant: &Tenant, out: Output) -> Result<()> {
    out.show(tenant, |t| format!("{}  {}  {}", t.id, t.slug, t.status))
}
