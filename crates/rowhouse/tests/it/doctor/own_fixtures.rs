//! Holes torn into our own wall, each by one statement.

use rowhouse::tables::doctor::Level;
use rowhouse::tables::doctor::Level::{Error, Warning};

use super::{Base, Fixture, shop};

const fn ours(
    rule: &'static str,
    level: Level,
    object: &'static str,
    hole: &'static str,
) -> Fixture {
    shop(rule, level, object, hole, "").on(Base::Ours)
}

pub const FIXTURES: &[Fixture] = &[
    ours(
        "rowhouse-not-enforced",
        Error,
        "public.notes",
        "select rowhouse.set_mode('public.notes', 'off')",
    ),
    ours(
        "rowhouse-not-enforced",
        Warning,
        "rowhouse.resources",
        "select rowhouse.set_mode('rowhouse.resources', 'shadow')",
    ),
    ours(
        "rowhouse-table-drifted",
        Error,
        "public.notes",
        "alter table public.notes no force row level security",
    ),
    ours(
        "rowhouse-table-drifted",
        Error,
        "public.notes",
        "alter table public.notes disable row level security",
    ),
    ours(
        "rowhouse-table-drifted",
        Error,
        "public.notes",
        "alter table public.notes rename to old_notes",
    ),
    ours(
        "rowhouse-table-drifted",
        Error,
        "public.notes",
        "alter table public.notes owner to postgres",
    ),
    ours(
        "rowhouse-table-drifted",
        Error,
        "rowhouse.teams",
        "grant update (tenant_id) on rowhouse.teams to rowhouse_app",
    ),
    ours(
        "rowhouse-table-drifted",
        Error,
        "public.notes",
        "update rowhouse.managed_tables set class = 'shared' where table_name = 'notes'",
    ),
    ours(
        "rowhouse-policies-drifted",
        Error,
        "policy tenant_floor on public.notes",
        "drop policy tenant_floor on public.notes",
    ),
    ours(
        "rowhouse-policies-drifted",
        Error,
        "policy tenant_floor_update on rowhouse.teams",
        "alter policy tenant_floor_update on rowhouse.teams using (true)",
    ),
    ours(
        "rowhouse-policies-drifted",
        Error,
        "policy tenant_floor on rowhouse.audit_log",
        "alter policy tenant_floor on rowhouse.audit_log to rowhouse_app",
    ),
    ours(
        "rowhouse-policies-drifted",
        Warning,
        "policy managers on rowhouse.teams",
        "alter policy managers on rowhouse.teams using (true)",
    ),
    // Within the tenant only: the floor stands below it.
    ours(
        "rowhouse-policies-drifted",
        Warning,
        "policy everybody on rowhouse.resources",
        "create policy everybody on rowhouse.resources to rowhouse_app using (true)",
    ),
    ours(
        "rowhouse-policies-drifted",
        Error,
        "policy own_floor on rowhouse.idempotency_keys",
        "drop policy own_floor on rowhouse.idempotency_keys",
    ),
    ours(
        "rowhouse-policies-drifted",
        Error,
        "policy tenant_floor on public.notes",
        "alter policy tenant_floor on public.notes using (tenant_id = (select rowhouse.bound_tenant()))",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.api_keys",
        "drop trigger key_changed on rowhouse.api_keys",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.tenant_members",
        "alter table rowhouse.tenant_members disable trigger user",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.resources",
        "alter table rowhouse.resources alter tenant_id set default '00000000-0000-0000-0000-000000000000'",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.tenants",
        "grant delete on rowhouse.tenants to rowhouse_platform",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.teams",
        "alter table rowhouse.teams drop constraint teams_tenant",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.org_members",
        "alter view rowhouse.org_members reset (security_invoker)",
    ),
    ours(
        "rowhouse-schema-drifted",
        Error,
        "rowhouse.locator",
        "alter table rowhouse.locator owner to postgres",
    ),
    ours(
        "rowhouse-function-changed",
        Error,
        "function rowhouse_private.new_key()",
        "grant execute on function rowhouse_private.new_key to rowhouse_app",
    ),
    ours(
        "rowhouse-function-changed",
        Error,
        "function rowhouse.bound_tenant()",
        "create or replace function rowhouse.bound_tenant() returns uuid language plpgsql stable parallel safe security definer
         as $$ begin return current_setting('app.tenant_id', true)::uuid; end $$",
    ),
    ours(
        "rowhouse-function-changed",
        Error,
        "function rowhouse.writable_tenant()",
        "alter function rowhouse.writable_tenant() immutable",
    ),
    ours(
        "rowhouse-function-changed",
        Error,
        "function rowhouse.locate(text,bytea)",
        "alter function rowhouse.locate owner to postgres",
    ),
    ours(
        "rowhouse-function-changed",
        Error,
        "function rowhouse.spare_key()",
        "create function rowhouse.spare_key() returns int language sql return 1; alter function rowhouse.spare_key() owner to rowhouse_definer",
    ),
    ours(
        "rowhouse-unclassified",
        Error,
        "public.drafts",
        "create table public.drafts (id int); grant select, insert on public.drafts to rowhouse_app",
    ),
    ours(
        "rowhouse-unclassified",
        Warning,
        "public.drafts",
        "create table public.drafts (id int); grant select on public.drafts to public",
    ),
    ours(
        "rowhouse-registry-open",
        Error,
        "rowhouse.users",
        "create policy peek on rowhouse.users to rowhouse_app using (true)",
    ),
    ours(
        "rowhouse-registry-open",
        Error,
        "rowhouse.tenants",
        "alter policy bound_one on rowhouse.tenants using (true)",
    ),
    ours(
        "rowhouse-registry-open",
        Error,
        "rowhouse.locator",
        "alter table rowhouse.locator disable row level security",
    ),
    ours(
        "rowhouse-inside-open",
        Error,
        "rowhouse_private.keyring",
        "grant select on rowhouse_private.keyring to rowhouse_app",
    ),
    ours(
        "rowhouse-inside-open",
        Error,
        "rowhouse_private.keyring (seal_key)",
        "grant select (seal_key) on rowhouse_private.keyring to rowhouse_sealer",
    ),
    // The rules for any database see our tables, too.
    ours(
        "view-with-owners-rights",
        Error,
        "view public.titles",
        "create view public.titles as select * from public.notes; grant select on public.titles to rowhouse_app",
    ),
    ours(
        "materialized-view",
        Error,
        "materialized view public.totals",
        "create materialized view public.totals as select count(*) from rowhouse.resources; grant select on public.totals to rowhouse_app",
    ),
    ours(
        "definer-bypasses",
        Error,
        "function public.total()",
        "create function public.total() returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp
         as $$ begin return (select count(*) from public.notes); end $$",
    ),
    ours(
        "right-beyond-rows",
        Error,
        "public.notes",
        "grant truncate on public.notes to rowhouse_app",
    ),
    ours(
        "create-on-schema",
        Error,
        "schema public",
        "grant create on schema public to rowhouse_app",
    ),
    ours(
        "temporary-tables",
        Warning,
        "database {db}",
        "grant temporary on database {db} to public",
    ),
    ours(
        "publication",
        Warning,
        "publication everything",
        "create publication everything for all tables",
    ),
    ours(
        "unique-without-tenant",
        Warning,
        "index public.notes_body_key",
        "alter table public.notes add unique (body)",
    ),
    // The floor asks for the tenant by a subquery, which keeps its index as long as the column is left as it is.
    ours(
        "plan-filters-tenant",
        Warning,
        "public.notes",
        "drop policy tenant_floor on public.notes;
         create policy tenant_floor on public.notes as restrictive for all to public using (tenant_id::text = (select rowhouse.bound_tenant()::text));
         alter table public.notes drop constraint notes_tenant;
         insert into public.notes select gen_random_uuid(), n, '' from generate_series(1, 10000) n; analyze public.notes",
    ),
    ours(
        "tenant-nullable",
        Warning,
        "public.notes",
        "alter table public.notes drop constraint notes_pkey, alter tenant_id drop not null",
    ),
];
