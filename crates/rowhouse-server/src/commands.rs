//! The short commands: a line or two around a function of the library each.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use rowhouse::embedded::{Embedded, Options};
use rowhouse::ids::OperatorTokenId;
use rowhouse::tables::{self, Assign, Mode, Protect};
use rowhouse::tenants;
use rowhouse::{Access, Context, Error, Owner, Result, Secret, logins, migrate, operators, users};
use serde_json::json;

use crate::config::Settings;
use crate::connection::{self, DEFAULT_DATA, Place, Target};
use crate::output::{self, Output, table};
use crate::tenants::cli::operator;
use crate::tour::TourReport;

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
    expires: operators::Expires,
    out: Output,
) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform_as(operator()).await?;
    let (id, token) = operators::issue(&mut tx, name, expires).await?;
    tx.commit().await?;
    out.show(
        &json!({ "id": id, "name": name, "token": token.reveal() }),
        |_| token.reveal().to_owned(),
    )
}

/// `operator list`.
pub async fn list_operators(target: &Target, settings: &Settings, out: Output) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform_as(operator()).await?;
    let tokens = operators::list(&mut tx).await?;
    tx.commit().await?;
    let moment = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".into(), |at| at.to_string());
    out.show(&tokens, |tokens| {
        table(
            &["NAME", "LAST USED", "EXPIRES", "REVOKED", "ID"],
            tokens.iter().map(|token| {
                vec![
                    token.name.clone(),
                    moment(token.last_used_at),
                    moment(token.expires_at),
                    moment(token.revoked_at),
                    token.id.to_string(),
                ]
            }),
        )
    })
}

/// `operator revoke`.
pub async fn revoke_operator(
    target: &Target,
    settings: &Settings,
    token: OperatorTokenId,
    out: Output,
) -> Result<()> {
    let house = target.place(settings)?.house(settings).await?;
    let mut tx = house.begin_platform_as(operator()).await?;
    operators::revoke(&mut tx, token).await?;
    tx.commit().await?;
    out.show(&json!({ "revoked": token }), |_| {
        format!("{token}  revoked")
    })
}

/// `seed`.
pub async fn seed(place: &Place, settings: &Settings, out: Output) -> Result<()> {
    let mut owner = place.owner().await?;
    let house = place.house(settings).await?;
    let seeded = crate::seed::run(&mut owner, &house).await?;
    out.show(&seeded, crate::seed::describe)
}

/// `tables protect`: what to put behind the wall, together, since keys between tables change together.
pub struct Plan {
    pub tables: Vec<String>,
    pub tenant: Option<String>,
    pub assign: Option<String>,
    pub follow: Vec<String>,
    pub shared: Vec<String>,
    pub project_column: Option<String>,
}

/// `tables protect TABLE`.
pub async fn protect(target: &Target, settings: &Settings, plan: Plan, out: Output) -> Result<()> {
    let place = target.place(settings)?;
    let assign = match (&plan.tenant, plan.assign) {
        (Some(tenant), _) => {
            let house = place.house(settings).await?;
            let mut tx = house.begin_platform().await?;
            let tenant = tenants::find(&mut tx, tenant).await?;
            tx.commit().await?;
            Assign::Tenant(tenant.id)
        }
        (None, Some(sql)) => Assign::Sql(sql),
        (None, None) => Assign::Empty,
    };
    let mut wanted: Vec<Protect> = plan.shared.into_iter().map(Protect::shared).collect();
    for table in plan.tables {
        let table = Protect::content(table, assign.clone());
        wanted.push(match &plan.project_column {
            Some(column) => table.in_projects(column),
            None => table,
        });
    }
    for follower in plan.follow {
        let (table, column) = follower.rsplit_once(':').ok_or_else(|| {
            Error::Config(format!("--follow {follower}: must be TABLE:COLUMN, a foreign key's column that leads to the tenant"))
        })?;
        wanted.push(Protect::content(table, Assign::Follow(column.into())));
    }
    if wanted.is_empty() {
        return Err(Error::Config("name a table to protect".into()));
    }
    let mut owner = place.owner().await?;
    let tx = owner.begin().await?;
    let done = tables::protect(&tx, &wanted).await?;
    tx.commit().await?;
    out.show(&done, |done| {
        let mut lines = Vec::new();
        for table in done {
            lines.push(match (table.already, table.rows) {
                (true, _) => format!(
                    "{}: behind the wall already; its rows stay whose they are, rights were looked after",
                    table.table
                ),
                (false, Some(rows)) => format!(
                    "{}: behind the wall ({}, {rows} rows)",
                    table.table, table.class
                ),
                (false, None) => format!("{}: behind the wall ({})", table.table, table.class),
            });
            lines.extend(table.notes.iter().map(|note| format!("  {note}")));
        }
        lines.join("\n")
    })
}

/// `tables list`.
pub async fn list_tables(target: &Target, settings: &Settings, out: Output) -> Result<()> {
    let mut owner = target.place(settings)?.owner().await?;
    let tx = owner.begin().await?;
    let managed = tables::list(&tx).await?;
    out.show(&managed, |managed| {
        table(
            &["TABLE", "CLASS", "MODE", ""],
            managed.iter().map(|t| {
                vec![
                    format!("{}.{}", t.schema, t.table),
                    t.class.to_string(),
                    t.mode.to_string(),
                    if t.stands {
                        String::new()
                    } else {
                        "NOT AS IT WAS MADE: see rowhouse doctor".to_owned()
                    },
                ]
            }),
        )
    })
}

/// `tables mode TABLE MODE`.
pub async fn set_mode(
    target: &Target,
    settings: &Settings,
    table: &str,
    mode: Mode,
    out: Output,
) -> Result<()> {
    let mut owner = target.place(settings)?.owner().await?;
    let tx = owner.begin().await?;
    tables::set_mode(&tx, table, mode).await?;
    tx.commit().await?;
    out.show(&json!({ "table": table, "mode": mode }), |_| match mode {
        Mode::Enforce => format!("{table}: {mode}"),
        Mode::Shadow => {
            format!("{table}: {mode}: it binds only what runs as rowhouse_enforced now")
        }
        Mode::Off => format!("{table}: {mode}: every tenant sees every row of it now"),
    })
}

/// `tour`: in a database of its own, on the server that is named, or on one that lasts as long as the tour.
pub async fn tour(target: &Target, settings: &Settings, out: Output) -> Result<()> {
    let nothing_named =
        target.data.is_none() && target.database.is_none() && settings.database_url().is_none();
    let scratch = if nothing_named && !Path::new(DEFAULT_DATA).join("connection.json").exists() {
        let folder = std::env::temp_dir().join(format!("rowhouse-tour-{}", std::process::id()));
        Some((Embedded::start(Options::new(&folder)).await?, folder))
    } else {
        None
    };
    let server = match &scratch {
        Some((server, _)) => server.superuser_url().into(),
        None => target.place(settings)?.owner_url()?.clone(),
    };
    let database = format!("rowhouse_tour_{}", std::process::id());
    let mut owner = Owner::connect(server.clone()).await?;
    owner
        .client()
        .batch_execute(&format!("create database {database}"))
        .await?;
    let toured = tour_in(
        &connection::with_database(&server, &database)?,
        settings,
        out,
    )
    .await;
    owner
        .client()
        .batch_execute(&format!("drop database {database} with (force)"))
        .await?;
    logins::remove(&mut owner, &database).await?;
    if let Some((server, folder)) = scratch {
        server.stop().await?;
        std::fs::remove_dir_all(&folder).map_err(|error| {
            Error::Config(format!("{} is left behind: {error}", folder.display()))
        })?;
    }
    let report = toured?;
    if out.json {
        let told = json!({ "attempts": report.attempts, "leaks": report.leaks, "unproved": report.unproved });
        out.show(&told, |_| String::new())?;
    }
    match report.leaks + report.unproved {
        0 => Ok(()),
        _ => Err(Error::Config("the wall did not hold: see above".into())),
    }
}

async fn tour_in(owner_url: &Secret, settings: &Settings, out: Output) -> Result<TourReport> {
    let mut owner = Owner::connect(owner_url.clone()).await?;
    migrate::run(&mut owner).await?;
    let logins = logins::ensure(&mut owner, owner_url).await?;
    let house = Place::of(owner_url.clone()).house(settings).await?;
    if out.json {
        crate::tour::run(owner_url, &house, &logins.app, &mut std::io::sink(), false).await
    } else {
        let mut stdout = std::io::stdout();
        let colours = stdout.is_terminal();
        crate::tour::run(owner_url, &house, &logins.app, &mut stdout, colours).await
    }
}

/// `serve`: never migrates.
pub async fn serve(target: &Target, settings: &Settings) -> Result<()> {
    let listener = crate::app::listen(settings).await?;
    let place = target.place(settings)?;
    let house = place.house(settings).await?;
    if settings.probe_every > 0 {
        let owner = crate::probe::owner_url(place.owner_url())?;
        let logins = place.logins(settings).await?;
        crate::probe::spawn(owner, logins.app, settings.probe_every);
    }
    let mail = crate::app::MailFolder {
        folder: target
            .folder(settings)
            .map(|data| data.join(crate::up::MAIL)),
        shown: false,
    };
    // Whatever it could be refused for, it is before anybody is told that it answers.
    drop(crate::mail::mailer::Mailer::new(
        settings,
        mail.folder.clone(),
    )?);
    output::line(&format!(
        "Rowhouse answers at http://{}:{}",
        settings.host, settings.port
    ))?;
    crate::app::serve(listener, house, settings, mail, crate::up::asked_to_stop()).await
}
