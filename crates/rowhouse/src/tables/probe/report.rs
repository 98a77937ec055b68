//! What was found: each attempt, relation by relation, and what "held" does not speak for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::facts::Target;
use super::rows::NO_RIGHT_AT_ALL;
use super::{NO_TIME, Options, database, history};
use crate::error::{Error, Result};
use crate::text_enum::text_enum;

text_enum! {
    /// What is tried on rows of the other tenant.
    Operation {
        /// Select.
        Read = "read",
        /// Plant a row in the other tenant.
        Insert = "insert",
        /// Change the other tenant's row.
        Update = "update",
        /// Change a row's tenant, to the other or from it.
        Move = "move",
        /// Delete the other tenant's row.
        Delete = "delete",
        /// COPY .. TO.
        Copy = "copy",
        /// Refer to the other tenant's row by a foreign key.
        Reference = "reference",
    }
}

text_enum! {
    /// The way that is taken.
    Path {
        /// The table itself.
        Table = "table",
        /// A view or materialized view over it.
        View = "view",
        /// A function with its owner's rights.
        Function = "function",
        /// A partition of it, by name.
        Partition = "partition",
        /// What a connection is and keeps.
        Connection = "connection",
    }
}

text_enum! {
    /// The context in which it is tried.
    Attack {
        /// In no tenant.
        None = "none",
        /// In one's own, with the other tenant's id written over it.
        Forged = "forged",
        /// With all settings of a transaction of the other tenant's.
        Replayed = "replayed",
        /// In one's own, naming the other tenant's rows.
        Other = "other",
        /// In one's own, by what the other tenant left on the connection.
        Leftover = "leftover",
    }
}

text_enum! {
    /// How an attempt ended, or all of them.
    Verdict {
        /// It was refused, or found nothing, and the control worked.
        Held = "held",
        /// It reached the other tenant.
        Leak = "leak",
        /// Nothing can be said.
        NotTried = "not-tried",
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The table whose wall is meant.
    pub relation: String,
    /// The way.
    pub path: Path,
    /// What the way goes through: the table, a view, a function, a partition.
    pub object: String,
    /// What was tried.
    pub operation: Operation,
    /// In which context.
    pub attack: Attack,
    /// How it ended.
    pub verdict: Verdict,
    /// What the server said; of an attempt that was not tried, why.
    pub answer: String,
}

/// A relation, and how its attempts ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Schema and name, quoted as SQL needs them.
    pub relation: String,
    /// Rowhouse's class; `tenant` in a database without it, `unclassified` where it should have one.
    pub class: String,
    /// How much of the wall is meant to stand.
    pub mode: String,
    /// `leak` when one attempt leaked, `held` when at least one held, otherwise `not-tried`.
    pub verdict: Verdict,
    /// Attempts that were made.
    pub attempts: usize,
    /// Of these, how many leaked.
    pub leaks: usize,
    /// Attempts that were not made.
    pub not_tried: usize,
}

/// Attempts on one relation that were not made, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untried {
    /// The relation.
    pub relation: String,
    /// Why.
    pub reason: String,
    /// Which: path, operation and attack.
    pub attempts: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `held` or `leak`. "Held" speaks for all that was asked for only when `incomplete` is empty.
    pub verdict: Verdict,
    /// What was left out altogether although the login has a right to it, and why: no time, a lock, no row that could be made.
    #[serde(default)]
    pub incomplete: Vec<String>,
    /// Attempts that were made.
    pub attempts: usize,
    /// Of these, how many leaked.
    pub leaks: usize,
    /// Attempts that were not made.
    pub not_tried: usize,
    /// Each that leaked.
    pub leaked: Vec<Attempt>,
    /// What was not tried, and why.
    pub untried: Vec<Untried>,
    /// Relation by relation.
    pub relations: Vec<Relation>,
    /// The database.
    pub database: String,
    /// The login that attacked.
    pub login: String,
    /// SHA-256 of what the wall is made of, when the probe began.
    pub catalogue_hash: String,
    /// Of the server.
    pub server_version: String,
    /// By the database's clock.
    pub at: jiff::Timestamp,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    pub(super) async fn new(client: &tokio_postgres::Client, options: &Options) -> Result<Self> {
        let row = client
            .query_typed_one(
                "select current_setting('server_version'), clock_timestamp()",
                &[],
            )
            .await?;
        Ok(Self {
            verdict: Verdict::Held,
            incomplete: Vec::new(),
            attempts: 0,
            leaks: 0,
            not_tried: 0,
            leaked: Vec::new(),
            untried: Vec::new(),
            relations: Vec::new(),
            database: database(client).await?,
            login: options.login.clone(),
            catalogue_hash: match history::hash(client).await {
                // Somebody holds a table whose definition cannot be read meanwhile.
                Err(Error::Database(error))
                    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) =>
                {
                    "not known: a table was locked".into()
                }
                hash => hash?,
            },
            server_version: row.get(0),
            at: row.get(1),
            seconds: 0.0,
        })
    }

    /// Whether "held" would be said of a table of which nothing was tried, and not for want of rights.
    pub(super) fn mind(&mut self, target: &Target) {
        self.mind_time(target);
        let was_tried = self.relations.last().is_none_or(|last| last.attempts > 0);
        let of_itself = |made: &String| made.starts_with(Path::Table.as_str());
        let reason = self
            .untried
            .iter()
            .filter(|untried| untried.relation == target.name)
            .filter(|untried| untried.attempts.iter().any(of_itself))
            .map(|untried| &untried.reason)
            .find(|reason| !reason.starts_with(NO_RIGHT_AT_ALL) && *reason != NO_TIME);
        if let (false, Some(reason)) = (was_tried, reason) {
            self.incomplete.push(format!("{}: {reason}", target.name));
        }
    }

    /// Likewise of anything that time ran out for, be it in the middle.
    pub(super) fn mind_time(&mut self, target: &Target) {
        if self
            .untried
            .iter()
            .any(|untried| untried.relation == target.name && untried.reason == NO_TIME)
        {
            self.incomplete.push(format!("{}: {NO_TIME}", target.name));
        }
    }

    /// Counts what was tried on a relation.
    pub(super) fn take(&mut self, target: &Target, attempts: Vec<Attempt>) -> Relation {
        let count = |verdict| {
            attempts
                .iter()
                .filter(|made| made.verdict == verdict)
                .count()
        };
        let (held, leaks, not_tried) = (
            count(Verdict::Held),
            count(Verdict::Leak),
            count(Verdict::NotTried),
        );
        let relation = Relation {
            relation: target.name.clone(),
            class: target.class.clone(),
            mode: target.mode.clone(),
            verdict: match (leaks, held) {
                (0, 0) => Verdict::NotTried,
                (0, _) => Verdict::Held,
                _ => Verdict::Leak,
            },
            attempts: held + leaks,
            leaks,
            not_tried,
        };
        self.attempts += held + leaks;
        self.leaks += leaks;
        self.not_tried += not_tried;
        if leaks > 0 {
            self.verdict = Verdict::Leak;
        }
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for attempt in attempts
            .iter()
            .filter(|made| made.verdict == Verdict::NotTried)
        {
            let what = format!(
                "{} {} {}{}",
                attempt.path,
                attempt.operation,
                attempt.attack,
                if attempt.object == attempt.relation {
                    String::new()
                } else {
                    format!(" ({})", attempt.object)
                }
            );
            reasons.entry(&attempt.answer).or_default().push(what);
        }
        self.untried
            .extend(reasons.into_iter().map(|(reason, attempts)| Untried {
                relation: target.name.clone(),
                reason: reason.to_owned(),
                attempts,
            }));
        self.leaked.extend(
            attempts
                .into_iter()
                .filter(|made| made.verdict == Verdict::Leak),
        );
        self.relations.push(relation.clone());
        relation
    }
}
