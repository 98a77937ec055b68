//! What was found, run by run: table `rowhouse.probes`. And the hash by which it is known that the wall was changed since.

use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::{Json, Type};

use super::{Report, Verdict};
use crate::error::Result;
use crate::ids::UserId;
use crate::tx::{Owner, PlatformTx};

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Past {
    /// When.
    pub at: jiff::Timestamp,
    /// `held` or `leak`.
    pub verdict: Verdict,
    /// Attempts that were made.
    pub attempts: i32,
    /// Of these, how many leaked.
    pub leaks: i32,
    /// Attempts that were not made.
    pub not_tried: i32,
    /// How long it took.
    pub seconds: f64,
    /// SHA-256 of what the wall was made of.
    pub catalogue_hash: String,
    /// Nothing was left out altogether but for want of rights.
    pub complete: bool,
}

/// Writes a line of history. Nothing in a database without Rowhouse.
pub async fn record(owner: &mut Owner, report: &Report) -> Result<()> {
    if !super::facts::is_ours(owner.client()).await? {
        return Ok(());
    }
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    owner
        .client()
        .query_typed(
            "insert into rowhouse.probes
               (id, verdict, attempts, leaks, not_tried, seconds, catalogue_hash, server_version, detail)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                (&UserId::new().uuid(), Type::UUID),
                (&report.verdict, Type::TEXT),
                (&count(report.attempts), Type::INT4),
                (&count(report.leaks), Type::INT4),
                (&count(report.not_tried), Type::INT4),
                (&report.seconds, Type::FLOAT8),
                (&report.catalogue_hash, Type::TEXT),
                (&report.server_version, Type::TEXT),
                (
                    &Json(serde_json::json!({ "leaked": report.leaked, "incomplete": report.incomplete })),
                    Type::JSONB,
                ),
            ],
        )
        .await?;
    Ok(())
}

/// The newest lines first.
pub async fn past(owner: &mut Owner, limit: u32) -> Result<Vec<Past>> {
    let rows = owner
        .client()
        .query_typed(
            "select created_at, verdict, attempts, leaks, not_tried, seconds, catalogue_hash,
               coalesce(jsonb_array_length(detail -> 'incomplete'), 0) = 0
             from rowhouse.probes order by created_at desc, id desc limit $1",
            &[(&i64::from(limit), Type::INT8)],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Past {
            at: row.get(0),
            verdict: row.get(1),
            attempts: row.get(2),
            leaks: row.get(3),
            not_tried: row.get(4),
            seconds: row.get(5),
            catalogue_hash: row.get(6),
            complete: row.get(7),
        })
        .collect())
}

/// What the history comes to, for whoever watches the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Runs that held, and left nothing out.
    pub held: i64,
    /// Runs that held as far as they went.
    pub incomplete: i64,
    /// Runs that found a leak.
    pub leaked: i64,
    /// When the newest run was; the next three are its own.
    pub at: Option<jiff::Timestamp>,
    /// Attempts that were made.
    pub attempts: i32,
    /// Of these, how many leaked.
    pub leaks: i32,
    /// How long it took.
    pub seconds: f64,
}

/// Over all runs, whichever process made them.
pub async fn summary(tx: &mut PlatformTx) -> Result<Summary> {
    let row = tx
        .one(
            "select count(*) filter (where verdict = 'held' and complete), count(*) filter (where verdict = 'held' and not complete),
               count(*) filter (where verdict = 'leak'), max(created_at),
               coalesce((array_agg(attempts order by created_at desc, id desc))[1], 0),
               coalesce((array_agg(leaks order by created_at desc, id desc))[1], 0),
               coalesce((array_agg(seconds order by created_at desc, id desc))[1], 0)
             from rowhouse.probes, lateral (select coalesce(jsonb_array_length(detail -> 'incomplete'), 0) = 0) c (complete)",
            &[],
        )
        .await?;
    Ok(Summary {
        held: row.get(0),
        incomplete: row.get(1),
        leaked: row.get(2),
        at: row.get(3),
        attempts: row.get(4),
        leaks: row.get(5),
        seconds: row.get(6),
    })
}

/// Whether a probe is due: none was made for `every` seconds, or the wall was changed since the last.
pub async fn due(owner: &mut Owner, every: u64) -> Result<bool> {
    let hash = hash(owner.client()).await?;
    Ok(owner
        .client()
        .query_typed_one(
            "select coalesce((
               select created_at <= clock_timestamp() - make_interval(secs => $1::bigint) or catalogue_hash <> $2
               from rowhouse.probes order by created_at desc, id desc limit 1), true)",
            &[
                (&i64::from(u32::try_from(every).unwrap_or(u32::MAX)), Type::INT8),
                (&hash, Type::TEXT),
            ],
        )
        .await?
        .get(0))
}

/// SHA-256 of what the wall is made of, in hex digits.
pub async fn catalogue_hash(owner: &mut Owner) -> Result<String> {
    hash(owner.client()).await
}

pub(super) async fn hash(client: &Client) -> Result<String> {
    let managed = if super::facts::is_ours(client).await? {
        client
            .query_typed_one(
                "select coalesce(string_agg(concat_ws(' ', schema_name, table_name, class, mode, project_column), E'\\n'
                   order by schema_name collate \"C\", table_name collate \"C\"), '')
                 from rowhouse.managed_tables",
                &[],
            )
            .await?
            .get(0)
    } else {
        String::new()
    };
    client
        .batch_execute(
            "begin read only; set local search_path = pg_catalog, pg_temp; set local jit = off",
        )
        .await?;
    let row = client
        .query_typed_one(include_str!("catalogue.sql"), &[(&managed, Type::TEXT)])
        .await;
    client.batch_execute("rollback").await?;
    Ok(row?.get(0))
}
