//! Holes in logins, and in what they may do besides reading and writing rows.

use rowhouse::tables::doctor::Level::{Error, Info, Warning};

use super::{Base, Fixture, shop};

pub const FIXTURES: &[Fixture] = &[
    shop(
        "login-bypasses-rls",
        Error,
        "role {app}",
        "alter role {app} bypassrls",
        "",
    ),
    // At two removes, with no right of its own to inherit: SET ROLE is enough.
    shop(
        "login-bypasses-rls",
        Error,
        "role {app}",
        "create role {extra} nologin bypassrls; create role {extra}_between nologin; alter role {app} noinherit;
         grant {extra} to {extra}_between; grant {extra}_between to {app}",
        "create role {extra} nologin; alter role {app} noinherit; grant {extra} to {app}",
    ),
    // Nobody but a superuser has any right: the application comes in as that.
    shop(
        "login-bypasses-rls",
        Warning,
        "role postgres",
        "create table notes (tenant_id uuid not null, id uuid, primary key (tenant_id, id))",
        "",
    )
    .on(Base::Bare),
    shop(
        "login-owns-tables",
        Error,
        "role {app}",
        "grant {owner} to {app}",
        "",
    ),
    shop(
        "login-owns-tables",
        Error,
        "role {owner}",
        "alter role {owner} login; grant connect on database {db} to {owner}; revoke all on shop.notes from {app}",
        // A login that owns them beside the application's: it migrates.
        "alter role {owner} login; grant connect on database {db} to {owner}",
    ),
    shop(
        "login-may-grant-itself",
        Error,
        "role {app}",
        "create role {extra} nologin bypassrls; create role {extra}_between nologin; grant {extra} to {extra}_between;
         grant {extra}_between to {app} with admin option",
        "create role {extra} nologin; grant {extra} to {app} with admin option",
    ),
    shop(
        "login-may-grant-itself",
        Error,
        "role {app}",
        "create role {extra} nologin createrole; grant {extra} to {app}",
        "create role {extra} nologin createrole",
    )
    .before(16),
    shop(
        "login-replicates",
        Error,
        "role {app}",
        "alter role {app} replication",
        "",
    ),
    shop(
        "login-has-server-role",
        Error,
        "role {app}",
        "grant pg_read_server_files to {app}",
        "",
    ),
    shop(
        "login-has-server-role",
        Warning,
        "role {app}",
        "create role {extra} nologin; grant pg_monitor to {extra}; grant {extra} to {app}",
        "create role {extra} nologin; grant pg_monitor to {extra}",
    ),
    shop(
        "login-has-server-role",
        Error,
        "role {app}",
        "grant pg_execute_server_program to {app}",
        "",
    ),
    shop(
        "login-has-server-role",
        Warning,
        "role {app}",
        "grant pg_read_all_data to {app}",
        "",
    ),
    shop(
        "login-has-settings",
        Error,
        "role {app}",
        "alter role {app} set shop.tenant = '00000000-0000-0000-0000-000000000001'",
        "alter role {app} set statement_timeout = '5s'",
    ),
    shop(
        "login-has-settings",
        Error,
        "database {db}",
        "alter database {db} set session_replication_role = replica",
        "alter database {db} set session_replication_role = origin",
    ),
    shop(
        "login-has-settings",
        Warning,
        "role {app}",
        "alter role {app} in database {db} set row_security = off",
        "create role {extra} login; alter role {extra} set row_security = off",
    ),
    shop(
        "parameter-granted",
        Error,
        "parameter session_replication_role",
        "grant set on parameter session_replication_role to {app}",
        "grant set on parameter log_min_messages to {app}",
    ),
    shop(
        "right-beyond-rows",
        Error,
        "shop.notes",
        "grant truncate, references on shop.notes to {app}",
        "create role {extra} nologin; grant truncate, trigger on shop.notes to {extra}",
    ),
    shop(
        "right-beyond-rows",
        Error,
        "shop.notes",
        "grant trigger on shop.notes to {app}",
        "",
    ),
    shop(
        "right-beyond-rows",
        Warning,
        "shop.notes",
        "grant references on shop.notes to public",
        "",
    ),
    shop(
        "right-beyond-rows",
        Warning,
        "shop.notes",
        "grant maintain on shop.notes to {app}",
        "",
    )
    .since(17),
    shop(
        "create-on-schema",
        Error,
        "schema shop",
        "grant create on schema shop to {app}",
        "create role {extra} nologin; grant create on schema shop to {extra}",
    ),
    shop(
        "create-on-schema",
        Error,
        "schema public",
        "grant create on schema public to public",
        "",
    ),
    // The owner of the database is a member of pg_database_owner, which owns public.
    shop(
        "create-on-schema",
        Error,
        "schema public",
        "alter database {db} owner to {app}",
        "",
    ),
    shop(
        "create-on-database",
        Warning,
        "database {db}",
        "grant create on database {db} to {app}",
        "",
    ),
    shop(
        "temporary-tables",
        Warning,
        "database {db}",
        "grant temporary on database {db} to public",
        "",
    ),
    shop(
        "default-privileges",
        Warning,
        "default privileges of {owner} in schema shop",
        "alter default privileges for role {owner} in schema shop grant all on tables to {app}",
        "create role {extra} nologin; alter default privileges for role {owner} in schema shop grant all on tables to {extra}",
    ),
    shop(
        "default-privileges",
        Info,
        "default privileges of {owner}",
        "alter default privileges for role {owner} grant select on tables to {app}",
        "alter default privileges for role {owner} revoke execute on functions from public",
    ),
    shop(
        "statistics-readable",
        Error,
        "pg_statistic",
        "grant select on pg_statistic to {app}",
        "",
    ),
    shop(
        "statements-readable",
        Info,
        "view public.pg_stat_statements",
        "create view public.pg_stat_statements as select ''::text as query; grant select on public.pg_stat_statements to public",
        "create view public.pg_stat_statements as select ''::text as query",
    ),
    shop(
        "function-reaches-out",
        Error,
        "function pg_read_file(text)",
        "grant execute on function pg_read_file(text) to {app}",
        "create role {extra} nologin; grant execute on function pg_read_file(text) to {extra}",
    ),
    shop(
        "function-reaches-out",
        Warning,
        "function public.dblink(text,text)",
        "create extension dblink",
        "create extension dblink; do $$ declare f regprocedure; begin
           for f in select oid from pg_proc where proname like 'dblink%' loop execute format('revoke all on function %s from public', f); end loop;
         end $$",
    )
    .needs("dblink"),
    shop(
        "foreign-server",
        Warning,
        "foreign server elsewhere",
        "create foreign data wrapper wire; create server elsewhere foreign data wrapper wire; grant usage on foreign server elsewhere to {app}",
        "create foreign data wrapper wire; create server elsewhere foreign data wrapper wire",
    ),
    shop(
        "foreign-server",
        Warning,
        "user mapping for public on server elsewhere",
        "create foreign data wrapper wire; create server elsewhere foreign data wrapper wire; create user mapping for public server elsewhere",
        "create foreign data wrapper wire; create server elsewhere foreign data wrapper wire; create user mapping for postgres server elsewhere",
    ),
    shop(
        "foreign-table",
        Warning,
        "foreign table shop.far",
        "create foreign data wrapper wire; create server elsewhere foreign data wrapper wire;
         create foreign table shop.far (tenant_id uuid) server elsewhere; grant select on shop.far to {app}",
        "create foreign data wrapper wire; create server elsewhere foreign data wrapper wire;
         create foreign table shop.far (tenant_id uuid) server elsewhere",
    ),
    shop(
        "large-object",
        Warning,
        "large objects",
        "set role {app}; select lo_create(0)",
        "select lo_create(0)",
    ),
    shop(
        "large-object",
        Error,
        "setting lo_compat_privileges",
        "alter database {db} set lo_compat_privileges = on",
        "",
    ),
];
