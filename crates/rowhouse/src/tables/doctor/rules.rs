//! The rules, in the order in which they are asked and shown. Each is a file of `lints/`; a test keeps the list and the
//! folder equal.

/// A rule: one query, whose rows are its findings.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The name of its file, by which findings, baselines and pages name it.
    pub name: &'static str,
    /// The file. Its columns are level, object, what, why, mend; its first comment says what it is about.
    pub sql: &'static str,
}

macro_rules! rules {
    ($($name:literal),+ $(,)?) => {
        /// Every rule.
        pub const RULES: &[Rule] = &[
            $(Rule { name: $name, sql: include_str!(concat!("../../../lints/", $name, ".sql")) }),+
        ];
    };
}

rules![
    "login-bypasses-rls",
    "login-owns-tables",
    "login-may-grant-itself",
    "login-replicates",
    "login-has-server-role",
    "login-has-settings",
    "parameter-granted",
    "rls-off",
    "rls-not-forced",
    "table-without-rls",
    "partition-open",
    "policy-or",
    "policy-open",
    "policy-misses-command",
    "policy-check-open",
    "policy-for-some-roles",
    "policy-opens-without-context",
    "policy-widened",
    "policy-trusts-writable-table",
    "policy-reads-setting",
    "policy-function-volatility",
    "policy-function-not-parallel",
    "function-leakproof",
    "view-with-owners-rights",
    "materialized-view",
    "definer-without-search-path",
    "definer-bypasses",
    "trigger-with-owners-rights",
    "rule-on-table",
    "cascade-runs-code",
    "cascade-crosses-tenants",
    "foreign-server",
    "foreign-table",
    "function-reaches-out",
    "large-object",
    "publication",
    "subscription",
    "event-trigger",
    "right-beyond-rows",
    "create-on-schema",
    "create-on-database",
    "temporary-tables",
    "default-privileges",
    "table-in-no-class",
    "unique-without-tenant",
    "foreign-key-without-tenant",
    "foreign-key-not-valid",
    "constraint-not-enforced",
    "tenant-nullable",
    "tenant-default",
    "sequence-shared",
    "index-not-led-by-tenant",
    "index-not-leakproof",
    "plan-filters-tenant",
    "statistics-readable",
    "statements-readable",
    "prepared-transactions",
    "server-minor",
    "rowhouse-not-enforced",
    "rowhouse-table-drifted",
    "rowhouse-policies-drifted",
    "rowhouse-schema-drifted",
    "rowhouse-function-changed",
    "rowhouse-unclassified",
    "rowhouse-registry-open",
    "rowhouse-inside-open",
    "no-tenants",
];
