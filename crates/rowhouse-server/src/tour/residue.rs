//! What an attacker leaves on a connection for whoever borrows it next. Through the library's pool, which looks for it.

use std::time::{Duration, Instant};

use rowhouse::{Owner, Result};

use super::attacks::{ALL_INVOICES, Answer, Attacker, Attempt};

const CLOSED: &str = "the pool closed the connection: nobody borrows it again";
const KEPT: &str = "the connection went back into the pool";

impl Attacker<'_> {
    /// The driver's own `enter`, swapped for the attacker's statement: the next borrower would execute that.
    pub async fn swapped_statement(&mut self) -> Result<Attempt> {
        let closed = self.house.connections_closed();
        let mut tx = self.house.begin(&self.americas.context()).await?;
        let name: String = tx
            .one(
                "select quote_ident(name) from pg_prepared_statements
                 where statement like '%rowhouse.enter(%' and not from_sql
                 order by name
                 limit 1",
                &[],
            )
            .await?
            .get(0);
        tx.batch(&format!(
            "deallocate {name}; prepare {name} (bytea) as {ALL_INVOICES}"
        ))
        .await?;
        let planted = tx
            .query("select from pg_prepared_statements where from_sql", &[])
            .await?
            .len();
        tx.commit().await?;
        let (answer, held) = self.closed_since(closed).await;
        let kept = self.leaves_nothing().await?;
        Ok(Attempt {
            title: "a prepared statement left for the next borrower",
            tried: format!("deallocate {name}; prepare {name} as .., in place of the driver's own"),
            held,
            answer,
            control: "a transaction that leaves nothing behind".into(),
            works: planted == 1 && kept,
            control_answer: Answer::Said(if kept { KEPT } else { CLOSED }.into()),
        })
    }

    pub async fn temporary_table(&mut self, owner: &mut Owner) -> Result<Attempt> {
        let sql = "create temporary table invoice (total numeric)";
        let mut tx = self.house.begin(&self.americas.context()).await?;
        let answer = match tx.batch(sql).await {
            Ok(()) => Answer::Said("created".into()),
            Err(rowhouse::Error::NotPermitted(why)) => Answer::Refused("42501".into(), why),
            Err(other) => return Err(other),
        };
        tx.rollback().await;
        let owners = owner.begin().await?;
        let made = owners.batch_execute(sql).await.is_ok();
        owners.rollback().await?;
        Ok(Attempt {
            title: "a temporary table to catch the next borrower's rows",
            tried: sql.into(),
            held: answer.is("42501"),
            answer,
            control: "the owner".into(),
            works: made,
            control_answer: Answer::Said(if made { "created" } else { "refused" }.into()),
        })
    }

    /// A cursor that outlives its transaction holds americas' rows for whoever comes next.
    pub async fn holdable_cursor(&mut self) -> Result<Attempt> {
        let closed = self.house.connections_closed();
        let mut tx = self.house.begin(&self.americas.context()).await?;
        tx.batch(&format!(
            "declare left_behind cursor with hold for {ALL_INVOICES}"
        ))
        .await?;
        let read = Answer::Rows(tx.query("fetch 10 from left_behind", &[]).await?.len());
        tx.commit().await?;
        let (answer, held) = self.closed_since(closed).await;
        Ok(Attempt {
            title: "a cursor left open for the next borrower",
            tried: format!("declare left_behind cursor with hold for {ALL_INVOICES}"),
            held,
            answer,
            control: "inside the transaction, fetch 10".into(),
            works: read.has_rows(),
            control_answer: read,
        })
    }

    /// The library looks at a connection behind the caller's back, so it is waited for.
    async fn closed_since(&self, before: u64) -> (Answer, bool) {
        let started = Instant::now();
        while self.house.connections_closed() == before
            && started.elapsed() < Duration::from_secs(5)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = self.house.connections_closed();
        let answer = if now > before { CLOSED } else { KEPT };
        (Answer::Said(answer.into()), now > before)
    }

    /// The control: a connection is not closed for nothing.
    async fn leaves_nothing(&self) -> Result<bool> {
        let closed = self.house.connections_closed();
        for _ in 0..3 {
            self.house
                .query(&self.americas.context(), ALL_INVOICES, &[])
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(self.house.connections_closed() == closed)
    }
}
