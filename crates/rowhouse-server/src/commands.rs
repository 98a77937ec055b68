//! The short commands: a line or two around a function of the library each.

use std::time::Duration;

use rowhouse::tenants::{self, Kind, NewTenant, PlanTier, Tenant};
use rowhouse::{Access, Context, Error, Result, logins, migrate, operators, users};
use serde_json::json;

use crate::config::Settings;
use crate::connection::{Place, Target};
use crate::output::{self, Output};

/// `migrate`: builds or completes the wall, and its logins.
pub async fn migrate(
    target: &Target,
    settings: &Settings,
    dry_run: bool,
    out: Output,
) -> Result<()> {
    let place = target.place(settings)?;
    let mut owner = place.owner().await?;
    if dry_run {
        let steps = migrate::pending(&mut owner).await?;
        return out.show(
            &steps.iter().map(|step| &step.name).collect::<Vec<_>>(),
            |names| match names.len() {
                0 => "-- nothing to do".into(),
                _ => steps
                    .iter()
                    .map(|step| format!("-- {}\n{}", step.name, step.sql))
                    .collect::<Vec<_>>()
                    .join("\n"),
            },
        );
    }
    let applied = migrate::run(&mut owner).await?;
    if settings.logins().is_none() {
        logins::ensure(&mut owner, place.owner_url()?).await?;
    }
    out.show(&applied, |applied| match applied.len() {
        0 => "Nothing to do: the database is up to date.".into(),
        _ => format!("Applied {}.", applied.join(", ")),
    })
}

/// `tenants list`.
pub async fn list_tenants(target: &Target, settings: &Settings, out: Output) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform().await?;
    let mut all: Vec<Tenant> = Vec::new();
    loop {
        let page = tenants::list(&mut tx, all.last().map(|tenant| tenant.id), 1000).await?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    tx.commit().await?;
    out.show(&all, |all| {
        let mut lines = vec![format!(
            "{:<24}{:<14}{:<12}{:<14}ID",
            "SLUG", "KIND", "PLAN", "STATUS"
        )];
        lines.extend(all.iter().map(|t| {
            format!(
                "{:<24}{:<14}{:<12}{:<14}{}",
                t.slug,
                t.kind.as_str(),
                t.plan.as_str(),
                t.status.as_str(),
                t.id
            )
        }));
        lines.join("\n")
    })
}

/// `tenants create SLUG`.
pub async fn create_tenant(
    target: &Target,
    settings: &Settings,
    new: (String, Option<String>, Kind, PlanTier),
    out: Output,
) -> Result<()> {
    let (slug, name, kind, plan) = new;
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform().await?;
    let name = name.unwrap_or_else(|| slug.clone());
    let tenant = tenants::create(
        &mut tx,
        NewTenant {
            slug,
            name,
            kind,
            plan,
            owner: None,
        },
    )
    .await?;
    tx.commit().await?;
    out.show(&tenant, |tenant| format!("{}  {}", tenant.id, tenant.slug))
}

/// `ticket --tenant SLUG`.
pub async fn ticket(
    target: &Target,
    settings: &Settings,
    (tenant, user, access, ttl): (String, Option<String>, Access, u64),
    out: Output,
) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform().await?;
    let tenant = tenants::find(&mut tx, &tenant).await?;
    let user = match user {
        None => None,
        Some(user) => Some(match user.parse() {
            Ok(id) => id,
            Err(_) => users::by_email(&mut tx, &user).await?,
        }),
    };
    tx.commit().await?;
    let context = match user {
        Some(user) => Context::user(tenant.id, user),
        None => Context::tenant(tenant.id),
    };
    let context = if access == Access::Read {
        context.read_only()
    } else {
        context
    };
    let ticket = house.ticket(&context, Duration::from_secs(ttl)).await?;
    out.show(
        &json!({ "ticket": ticket.reveal(), "tenant": tenant.id, "seconds": ttl }),
        |_| ticket.reveal(),
    )
}

/// `seal rotate`: new keys; those of before stay good until the next time.
pub async fn rotate_seal(
    target: &Target,
    settings: &Settings,
    force: bool,
    out: Output,
) -> Result<()> {
    let place = target.place(settings)?;
    let mut owner = place.owner().await?;
    let row = owner
        .client()
        .query_opt(
            "select old_ticket_key is not null and updated_at > clock_timestamp() - interval '1 minute' from rowhouse_private.keyring",
            &[],
        )
        .await?;
    if row.is_some_and(|row| row.get(0)) && !force {
        return Err(Error::Config(
            "the keys were changed less than a minute ago, and running processes may still mint under those from before: wait, \
             or lock them out with --force"
                .into(),
        ));
    }
    owner
        .client()
        .execute("select rowhouse.rotate_seal()", &[])
        .await?;
    out.show(&json!({ "rotated": true }), |_| {
        "New keys. Tickets from before stay good until they expire, or until the keys are changed again.".into()
    })
}

/// `operator token`.
pub async fn operator_token(
    target: &Target,
    settings: &Settings,
    name: &str,
    ttl: Option<u64>,
    out: Output,
) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform().await?;
    let (id, token) = operators::issue(&mut tx, name, ttl.map(Duration::from_secs)).await?;
    tx.commit().await?;
    out.show(
        &json!({ "id": id, "name": name, "token": token.reveal() }),
        |_| token.reveal().to_owned(),
    )
}

/// `seed`.
pub async fn seed(place: &Place, settings: &Settings, out: Output) -> Result<()> {
    let mut owner = place.owner().await?;
    let house = place.house(settings).await?;
    let seeded = crate::seed::run(&mut owner, &house).await?;
    out.show(&seeded, crate::seed::describe)
}

/// `serve`: never migrates.
pub async fn serve(target: &Target, settings: &Settings) -> Result<()> {
    let listener = crate::app::listen(settings).await?;
    let house = target.place(settings)?.house(settings).await?;
    output::line(&format!(
        "Rowhouse answers at http://{}:{}",
        settings.host, settings.port
    ))?;
    crate::app::serve(listener, house, settings, crate::up::asked_to_stop()).await
}
