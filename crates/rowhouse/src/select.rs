//! Pages of rows: a statement that grows by the filters that were asked for, ordered by key, newest first.
//!
//! Each combination of filters is a statement of its own, so that each finds its index: one statement with
//! `$2 is null or ..` would be planned for all of them and fit none. A page costs the same however deep it lies.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::Result;
use crate::tx::Transaction;

/// The most rows of a page.
pub const LONGEST_PAGE: u16 = 200;
/// What is asked of the database: the first that is long enough. The planner has to see a number, and a statement for each
/// would be two hundred of them. Who wants to know whether there is a next page asks for one row more than it shows.
const LENGTHS: [u16; 4] = [21, 51, 101, LONGEST_PAGE];

pub(crate) type Param<'a> = &'a (dyn ToSql + Sync);

/// A statement that ends in a `where`, and what is appended to it.
pub(crate) struct Select<'a> {
    sql: String,
    params: Vec<Param<'a>>,
    limit: u16,
}

impl<'a> Select<'a> {
    /// `sql` ends with at least one condition.
    pub(crate) fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            params: Vec::new(),
            limit: 1,
        }
    }

    /// One more condition; each `?` in it stands for the value.
    pub(crate) fn and(&mut self, condition: &str, value: Param<'a>) {
        self.params.push(value);
        self.sql.push_str(" and ");
        self.sql
            .push_str(&condition.replace('?', &format!("${}", self.params.len())));
    }

    /// A value that the larger statement asks for, by its number.
    pub(crate) fn given(mut self, value: Param<'a>) -> Self {
        self.params.push(value);
        self
    }

    /// One more condition, where there is a value for it.
    pub(crate) fn and_if<T: ToSql + Sync>(&mut self, condition: &str, value: Option<&'a T>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// The conditions so far become a part of a larger statement, which answers at most as many rows as it is told.
    pub(crate) fn within(mut self, limit: u16, larger: impl FnOnce(&str, u16) -> String) -> Self {
        self.limit = limit.clamp(1, LONGEST_PAGE);
        self.sql = larger(&self.sql, self.asked());
        self
    }

    fn asked(&self) -> u16 {
        LENGTHS
            .into_iter()
            .find(|length| *length >= self.limit)
            .unwrap_or(LONGEST_PAGE)
    }

    /// By `column` and `id`, the newest first, behind `after`, at most `limit` rows.
    pub(crate) fn newest_first<I: ToSql + Sync>(
        self,
        column: &str,
        after: Option<&'a (Timestamp, I)>,
        limit: u16,
    ) -> Self {
        self.behind(column, after)
            .within(limit, |conditions, asked| {
                format!("{conditions} order by {column} desc, id desc limit {asked}")
            })
    }

    /// Only what comes behind `after`, by `column` and `id`, the newest first.
    pub(crate) fn behind<I: ToSql + Sync>(
        mut self,
        column: &str,
        after: Option<&'a (Timestamp, I)>,
    ) -> Self {
        if let Some((at, id)) = after {
            self.params.extend([at as Param<'a>, id]);
            let last = self.params.len();
            self.sql = format!("{} and ({column}, id) < (${}, ${last})", self.sql, last - 1);
        }
        self
    }

    pub(crate) async fn rows(&self, tx: &mut impl Transaction) -> Result<Vec<Row>> {
        let mut rows = tx.query(&self.sql, &self.params).await?;
        rows.truncate(self.limit.into());
        Ok(rows)
    }
}
