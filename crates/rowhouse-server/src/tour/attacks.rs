//! The attacks. The attacker holds the app's login, and a ticket for the tenant `americas`; he wants what is
//! `elsewhere`'s. Each here runs in a transaction of its own that is rolled back, on a connection that is none of the
//! pool's. Those that are aimed at the next borrower of a connection are in residue.rs.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use rowhouse::{Owner, Result, Rowhouse, Secret};

use super::print::Page;
use super::{Side, TourReport};

/// An attack that was made.
pub(super) struct Attempt {
    pub title: &'static str,
    pub tried: String,
    pub answer: Answer,
    pub held: bool,
    pub control: String,
    pub control_answer: Answer,
    pub works: bool,
}

/// How an attack ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Held,
    Leaked,
    /// What should work does not either, or it failed for another reason than the wall.
    Unproved,
}

impl Attempt {
    pub fn verdict(&self) -> Verdict {
        match (self.held, self.works, &self.answer) {
            (true, true, _) => Verdict::Held,
            (true, false, _) | (false, _, Answer::Refused(..) | Answer::Rows(0)) => {
                Verdict::Unproved
            }
            (false, ..) => Verdict::Leaked,
        }
    }
}

/// What Postgres said to the last statement of an attack.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// SQLSTATE and message.
    Refused(String, String),
    Rows(usize),
    /// Of a connection, not of a statement.
    Said(String),
}

impl Answer {
    pub fn is(&self, sqlstate: &str) -> bool {
        matches!(self, Self::Refused(state, _) if state == sqlstate)
    }

    pub fn has_rows(&self) -> bool {
        matches!(self, Self::Rows(rows) if *rows > 0)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(sqlstate, message) => write!(f, "{sqlstate} {message}"),
            Self::Rows(1) => f.write_str("1 row"),
            Self::Rows(rows) => write!(f, "{rows} rows"),
            Self::Said(text) => f.write_str(text),
        }
    }
}

/// Makes them all, then prints them.
pub(super) async fn run(
    owner: &mut Owner,
    house: &Rowhouse,
    app_url: &Secret,
    americas: &Side,
    elsewhere: &Side,
    page: &mut Page<'_, impl Write>,
) -> Result<TourReport> {
    page.heading("The app's login in the wrong hands: inside americas, after what is elsewhere's")?;
    let mut attacker = Attacker {
        connection: Owner::connect(app_url.clone()).await?,
        house,
        americas,
        elsewhere,
    };
    let attempts = [
        attacker.no_context().await?,
        attacker.forged_context().await?,
        attacker.replayed_seal().await?,
        attacker.others_id().await?,
        attacker.planted_row().await?,
        attacker.foreign_key().await?,
        attacker.moved_row().await?,
        attacker.swapped_statement().await?,
        attacker.temporary_table(owner).await?,
        attacker.holdable_cursor().await?,
    ];
    let mut report = TourReport::default();
    for attempt in &attempts {
        report.attempts += 1;
        match attempt.verdict() {
            Verdict::Held => {}
            Verdict::Leaked => report.leaks += 1,
            Verdict::Unproved => report.unproved += 1,
        }
        page.attempt(report.attempts, attempt)?;
    }
    Ok(report)
}

pub(super) const ALL_INVOICES: &str = "select invoice_id from invoice";
const SETTINGS: [&str; 4] = ["app.tenant_id", "app.user_id", "app.context", "app.seal"];

pub(super) struct Attacker<'a> {
    /// As the app's login, whatever the type is called: a connection on which any SQL may be said.
    connection: Owner,
    pub house: &'a Rowhouse,
    pub americas: &'a Side,
    elsewhere: &'a Side,
}

impl Attacker<'_> {
    async fn no_context(&mut self) -> Result<Attempt> {
        let answer = self.say(None, &[], ALL_INVOICES).await?;
        let control = self.say(Some(self.americas), &[], ALL_INVOICES).await?;
        Ok(Attempt {
            title: "no context",
            tried: format!("{ALL_INVOICES}, without entering a tenant"),
            held: answer.is("RH001"),
            answer,
            control: "the same inside americas".into(),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    async fn forged_context(&mut self) -> Result<Attempt> {
        let to = |side: &Side| {
            format!(
                "select set_config('app.tenant_id', '{}', true)",
                side.id.uuid()
            )
        };
        let (forged, own) = (to(self.elsewhere), to(self.americas));
        let answer = self
            .say(Some(self.americas), &[&forged], ALL_INVOICES)
            .await?;
        let control = self.say(Some(self.americas), &[&own], ALL_INVOICES).await?;
        Ok(Attempt {
            title: "forged context",
            tried: "set_config('app.tenant_id', elsewhere), then all invoices".into(),
            held: answer.is("RH002"),
            answer,
            control: "set to one's own".into(),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    /// The attacker has read a whole context of elsewhere's, seal included, in an earlier transaction of this connection.
    async fn replayed_seal(&mut self) -> Result<Attempt> {
        let ticket = self
            .house
            .ticket(&self.elsewhere.context(), TICKET_TTL)
            .await?;
        let client = self.connection.client();
        client.batch_execute("begin").await?;
        client
            .execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
            .await?;
        let mut copied = Vec::new();
        for setting in SETTINGS {
            let row = client
                .query_one("select format('select set_config(%L, %L, true)', $1::text, current_setting($1))", &[&setting])
                .await?;
            copied.push(row.get::<_, String>(0));
        }
        let control = Answer::Rows(client.query(ALL_INVOICES, &[]).await?.len());
        client.batch_execute("rollback").await?;
        let copied: Vec<&str> = copied.iter().map(String::as_str).collect();
        let answer = self.say(None, &copied, ALL_INVOICES).await?;
        Ok(Attempt {
            title: "replayed seal",
            tried: "all four settings of a transaction of elsewhere's, set again in the next one"
                .into(),
            held: answer.is("RH002"),
            answer,
            control: "in the transaction that they were made for".into(),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    async fn others_id(&mut self) -> Result<Attempt> {
        let of = |side: &Side| format!("{ALL_INVOICES} where tenant_id = '{}'", side.id.uuid());
        let (theirs, own) = (of(self.elsewhere), of(self.americas));
        let answer = self.say(Some(self.americas), &[], &theirs).await?;
        let control = self.say(Some(self.americas), &[], &own).await?;
        Ok(Attempt {
            title: "the other tenant's id",
            tried: format!("{ALL_INVOICES} where tenant_id = elsewhere"),
            held: answer == Answer::Rows(0),
            answer,
            control: "where tenant_id = americas".into(),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    async fn planted_row(&mut self) -> Result<Attempt> {
        let into = |side: &Side, customer| {
            format!(
                "insert into invoice (tenant_id, invoice_id, customer_id, invoice_date, total) \
                 values ('{}', 9001, {customer}, now(), 0) returning 1",
                side.id.uuid()
            )
        };
        let (theirs, own) = (
            into(self.elsewhere, THEIR_CUSTOMER),
            into(self.americas, OWN_CUSTOMER),
        );
        let answer = self.say(Some(self.americas), &[], &theirs).await?;
        let control = self.say(Some(self.americas), &[], &own).await?;
        Ok(Attempt {
            title: "a row planted in the other tenant",
            tried: "insert into invoice (tenant_id, ..) values (elsewhere, ..)".into(),
            held: answer.is("42501"),
            answer,
            control: "values (americas, ..)".into(),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    async fn foreign_key(&mut self) -> Result<Attempt> {
        let to = |customer| {
            format!(
                "insert into invoice (invoice_id, customer_id, invoice_date, total) values (9001, {customer}, now(), 0) returning 1"
            )
        };
        let answer = self
            .say(Some(self.americas), &[], &to(THEIR_CUSTOMER))
            .await?;
        let control = self
            .say(Some(self.americas), &[], &to(OWN_CUSTOMER))
            .await?;
        Ok(Attempt {
            title: "a foreign key to the other tenant's row",
            tried: format!(
                "insert into invoice (customer_id, ..) values ({THEIR_CUSTOMER}, ..), a customer of elsewhere's"
            ),
            held: answer.is("23503"),
            answer,
            control: format!("customer {OWN_CUSTOMER}, of one's own"),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    async fn moved_row(&mut self) -> Result<Attempt> {
        let moved = format!(
            "update invoice set tenant_id = '{}' returning 1",
            self.elsewhere.id.uuid()
        );
        let answer = self.say(Some(self.americas), &[], &moved).await?;
        let control = self
            .say(
                Some(self.americas),
                &[],
                "update invoice set total = total + 1 returning 1",
            )
            .await?;
        Ok(Attempt {
            title: "a row moved to the other tenant",
            tried: "update invoice set tenant_id = elsewhere".into(),
            held: answer.is("42501"),
            answer,
            control: "update invoice set total = total + 1".into(),
            works: control.has_rows(),
            control_answer: control,
        })
    }

    /// In a transaction of its own: enters `inside`, says `before`, then `last`, whose answer it is about.
    async fn say(&mut self, inside: Option<&Side>, before: &[&str], last: &str) -> Result<Answer> {
        let client = self.connection.client();
        client.batch_execute("begin").await?;
        if let Some(side) = inside {
            let ticket = self.house.ticket(&side.context(), TICKET_TTL).await?;
            client
                .execute("select rowhouse.enter($1)", &[&ticket.as_bytes()])
                .await?;
        }
        for sql in before {
            client.batch_execute(sql).await?;
        }
        let answer = match client.query(last, &[]).await {
            Ok(rows) => Answer::Rows(rows.len()),
            Err(error) => match error.as_db_error() {
                Some(db) => Answer::Refused(db.code().code().to_owned(), db.message().to_owned()),
                None => return Err(error.into()),
            },
        };
        client.batch_execute("rollback").await?;
        Ok(answer)
    }
}

const TICKET_TTL: Duration = Duration::from_mins(1);
/// Of Brazil and of Germany.
const OWN_CUSTOMER: i32 = 1;
const THEIR_CUSTOMER: i32 = 2;
