//! What is found out once, before any rule: which tables hold tenants' rows, what their policies ask, and as whom the
//! application comes in. Each rule gets it as parameters; working it out anew for each would cost seconds on a large
//! database.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{Finding, Options, PRELUDE, Parameter, attempt, unasked};
use crate::error::{Error, Result};

/// What the migrations make, on one page: a test proves that they do.
const PAGE: &str = include_str!("../../../schema.sql");
/// Known holes of the server, one a line.
const SERVER_HOLES: &str = include_str!("server_holes.txt");
/// Columns that hold a tenant wherever they stand, the likeliest first.
pub(in crate::tables) const TENANT_COLUMNS: &[&str] = &[
    "tenant_id",
    "tenant",
    "org_id",
    "organization_id",
    "organisation_id",
    "account_id",
];
/// Columns that often hold something else: these count where a policy of the database asks for one of that name.
pub(in crate::tables) const MAYBE_TENANT_COLUMNS: &[&str] = &[
    "company_id",
    "workspace_id",
    "customer_id",
    "client_id",
    "team_id",
    "site_id",
    "school_id",
    "shop_id",
    "store_id",
];

/// Rules that compare with Rowhouse's own list of tables.
const NEED_THE_LIST: &[&str] = &[
    "rowhouse-not-enforced",
    "rowhouse-table-drifted",
    "rowhouse-policies-drifted",
    "rowhouse-unclassified",
];

/// Rules that ask which settings policies read.
const NEED_THE_SETTINGS: &[&str] = &["policy-reads-setting", "plan-filters-tenant"];

#[derive(Default)]
pub(super) struct Facts {
    pub tables: Vec<u32>,
    pub columns: Vec<i16>,
    modes: Vec<String>,
    logins: Vec<u32>,
    how: Option<String>,
    policies: Vec<u32>,
    found: Vec<Option<i16>>,
    written: Vec<Option<i16>>,
    managed: Managed,
    installed: bool,
    list_is_known: bool,
    settings: Vec<String>,
    setting_tables: Vec<u32>,
    /// As JSON; `plans.rs` asks for them.
    pub plans: String,
    /// What could not be found out.
    pub unread: Vec<Finding>,
}

/// Rows of `rowhouse.managed_tables`, by column.
#[derive(Default)]
struct Managed {
    schemas: Vec<String>,
    tables: Vec<String>,
    classes: Vec<String>,
    modes: Vec<String>,
    project_columns: Vec<Option<String>>,
}

impl Facts {
    pub async fn gather(tx: &mut Transaction<'_>, options: &Options) -> Result<Self> {
        let mut facts = Self {
            plans: "[]".into(),
            ..Self::default()
        };
        facts.read_list(tx).await?;
        facts.find_tables(tx, options).await?;
        facts.read_policies(tx, options).await?;
        facts.find_logins(tx, options).await?;
        facts.read_settings(tx, options).await?;
        Ok(facts)
    }

    /// In the order of `prelude.sql`.
    pub fn parameters(&self) -> [Parameter<'_>; 20] {
        [
            (&self.tables, Type::OID_ARRAY),
            (&self.columns, Type::INT2_ARRAY),
            (&self.modes, Type::TEXT_ARRAY),
            (&self.logins, Type::OID_ARRAY),
            (&self.how, Type::TEXT),
            (&self.policies, Type::OID_ARRAY),
            (&self.found, Type::INT2_ARRAY),
            (&self.written, Type::INT2_ARRAY),
            (&self.managed.schemas, Type::TEXT_ARRAY),
            (&self.managed.tables, Type::TEXT_ARRAY),
            (&self.managed.classes, Type::TEXT_ARRAY),
            (&self.managed.modes, Type::TEXT_ARRAY),
            (&self.managed.project_columns, Type::TEXT_ARRAY),
            (&self.installed, Type::BOOL),
            (&self.list_is_known, Type::BOOL),
            (&PAGE, Type::TEXT),
            (&self.settings, Type::TEXT_ARRAY),
            (&self.setting_tables, Type::OID_ARRAY),
            (&self.plans, Type::TEXT),
            (&SERVER_HOLES, Type::TEXT),
        ]
    }

    /// Rowhouse's own list, where there is one.
    async fn read_list(&mut self, tx: &mut Transaction<'_>) -> Result<()> {
        self.installed = tx
            .query_typed_one(
                "select exists (
                   select from pg_class c
                   join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname = 'rowhouse' and c.relname = 'managed_tables')",
                &[],
            )
            .await?
            .get(0);
        if !self.installed {
            return Ok(());
        }
        let sql = "select schema_name, table_name, class, mode, project_column from rowhouse.managed_tables order by 1, 2";
        let rows = match attempt(tx, sql, &[]).await? {
            Ok(rows) if !rows.is_empty() => rows,
            // Behind its own row security: without a policy for the login, it looks empty.
            Ok(_) => {
                self.without_list("this login sees no row of rowhouse.managed_tables");
                return Ok(());
            }
            Err(why) => {
                self.without_list(&why);
                return Ok(());
            }
        };
        for row in rows {
            self.managed.schemas.push(row.get(0));
            self.managed.tables.push(row.get(1));
            self.managed.classes.push(row.get(2));
            self.managed.modes.push(row.get(3));
            self.managed.project_columns.push(row.get(4));
        }
        self.list_is_known = true;
        Ok(())
    }

    fn without_list(&mut self, why: &str) {
        self.unread = NEED_THE_LIST
            .iter()
            .map(|rule| unasked(rule, why))
            .collect();
    }

    async fn find_tables(&mut self, tx: &mut Transaction<'_>, options: &Options) -> Result<()> {
        let known: Vec<&str> = options
            .tenant_columns
            .iter()
            .map(String::as_str)
            .chain(TENANT_COLUMNS.iter().copied())
            .collect();
        let rows = needed(
            tx,
            include_str!("tenants.sql"),
            &[
                (&known, Type::TEXT_ARRAY),
                (&MAYBE_TENANT_COLUMNS, Type::TEXT_ARRAY),
                (&self.managed.schemas, Type::TEXT_ARRAY),
                (&self.managed.tables, Type::TEXT_ARRAY),
                (&self.managed.classes, Type::TEXT_ARRAY),
                (&self.managed.modes, Type::TEXT_ARRAY),
                (&self.installed, Type::BOOL),
            ],
        )
        .await?;
        for row in rows {
            self.tables.push(row.get(0));
            self.columns.push(row.get(1));
            self.modes.push(row.get(2));
        }
        Ok(())
    }

    async fn read_policies(&mut self, tx: &mut Transaction<'_>, options: &Options) -> Result<()> {
        let rows = needed(
            tx,
            include_str!("policies.sql"),
            &[
                (&self.tables, Type::OID_ARRAY),
                (&self.columns, Type::INT2_ARRAY),
                (&options.settings, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        for row in rows {
            self.policies.push(row.get(0));
            self.found.push(row.get(1));
            self.written.push(row.get(2));
        }
        Ok(())
    }

    async fn find_logins(&mut self, tx: &mut Transaction<'_>, options: &Options) -> Result<()> {
        let rows = needed(
            tx,
            include_str!("logins.sql"),
            &[
                (&self.tables, Type::OID_ARRAY),
                (&options.logins, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        for row in &rows {
            self.logins.push(row.get(0));
            self.how = row.get(1);
        }
        Ok(())
    }

    async fn read_settings(&mut self, tx: &mut Transaction<'_>, options: &Options) -> Result<()> {
        let sql = format!(
            "{PRELUDE}\nselect setting, relation from (\n{}\n) as asked order by 1, 2",
            include_str!("settings.sql")
        );
        match attempt(tx, &sql, &self.parameters()).await? {
            Ok(rows) => {
                for row in rows {
                    self.settings.push(row.get(0));
                    self.setting_tables.push(row.get(1));
                }
            }
            Err(why) => {
                let unasked = NEED_THE_SETTINGS.iter().map(|rule| unasked(rule, &why));
                self.unread.extend(unasked);
            }
        }
        // Those that the caller knows hold the context of each table that Rowhouse does not keep.
        for (table, _) in self
            .tables
            .iter()
            .zip(&self.modes)
            .filter(|(_, mode)| mode.is_empty())
        {
            for setting in &options.settings {
                self.settings.push(setting.clone());
                self.setting_tables.push(*table);
            }
        }
        Ok(())
    }
}

/// What no rule can do without.
async fn needed(
    tx: &mut Transaction<'_>,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<tokio_postgres::Row>> {
    attempt(tx, sql, parameters)
        .await?
        .map_err(|why| Error::Schema(format!("the catalogue cannot be read: {why}")))
}

#[cfg(test)]
mod tests {
    use super::SERVER_HOLES;

    /// The rule passes over a line that it does not understand.
    #[test]
    fn each_line_of_the_servers_holes_is_understood() {
        for line in SERVER_HOLES.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let cve = words.next().unwrap();
            assert!(cve.starts_with("CVE-20"), "{line}");
            let fixed: Vec<(u32, u32)> = words
                .map_while(|word| {
                    let (major, minor) = word.split_once('.')?;
                    Some((major.parse().ok()?, minor.parse().ok()?))
                })
                .collect();
            assert!(!fixed.is_empty(), "{line}");
            assert!(fixed.is_sorted() && fixed[0].0 >= 15, "{line}");
            assert!(line.split(' ').nth(1 + fixed.len()).is_some(), "{line}");
            assert_eq!(SERVER_HOLES.matches(&format!("\n{cve} ")).count(), 1);
        }
    }
}
