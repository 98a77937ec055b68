-- Could the login that asks get around the wall? The first reason found, with the statement that mends it; no row when
-- there is none. $1: the group it has to belong to.
with recursive
  me as (select * from pg_catalog.pg_roles where rolname = session_user),
  -- every role that the login is, inherits from, or may SET ROLE to
  becomes (oid) as (
    select oid from me
    union
    select m.roleid from pg_catalog.pg_auth_members m join becomes b on m.member = b.oid
  ),
  reachable as (select r.* from pg_catalog.pg_roles r join becomes b on b.oid = r.oid),
  version as (select current_setting('server_version_num')::int as number),
  reasons (rank, why, mend) as (
    select 1, format('%s is a superuser', r.rolname),
      case when r.rolname = session_user then format('alter role %I nosuperuser', r.rolname)
           else format('revoke %I from %I', r.rolname, session_user) end
    from reachable r where r.rolsuper
    union all
    select 2, format('%s has BYPASSRLS', r.rolname),
      case when r.rolname = session_user then format('alter role %I nobypassrls', r.rolname)
           else format('revoke %I from %I', r.rolname, session_user) end
    from reachable r where r.rolbypassrls
    union all
    select 3, format('%s has REPLICATION', r.rolname),
      case when r.rolname = session_user then format('alter role %I noreplication', r.rolname)
           else format('revoke %I from %I', r.rolname, session_user) end
    from reachable r where r.rolreplication
    union all
    select 4, format('it may become %s, which owns the wall', r.rolname), format('revoke %I from %I', r.rolname, session_user)
    from reachable r where r.rolname in ('rowhouse_owner', 'rowhouse_definer', 'rowhouse_migrator', 'rowhouse_sealer')
    union all
    select 4, format('it may act for the other side: it is a member of %s', r.rolname),
      format('revoke %I from %I', r.rolname, session_user)
    from reachable r
    where r.rolname in ('rowhouse_app', 'rowhouse_platform') and r.rolname <> $1 and session_user <> r.rolname
    union all
    -- before 16, CREATEROLE may grant itself any role; since then only those it has ADMIN on
    select 5, format('%s has CREATEROLE', r.rolname), format('alter role %I nocreaterole', r.rolname)
    from reachable r, version v where r.rolcreaterole and v.number < 160000
    union all
    select 5, format('it may grant itself %s (ADMIN OPTION)', m.roleid::regrole),
      format('revoke admin option for %s from %s', m.roleid::regrole, m.member::regrole)
    from pg_catalog.pg_auth_members m join becomes b on b.oid = m.member
    where m.admin_option
    union all
    select 6, format('it is a member of %s', r.rolname), format('revoke %I from %I', r.rolname, session_user)
    from reachable r
    where r.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
      'pg_execute_server_program', 'pg_signal_backend', 'pg_maintain', 'pg_create_subscription', 'pg_checkpoint')
    union all
    select 7, format('it owns %s', c.oid::regclass), format('alter table %s owner to rowhouse_owner', c.oid::regclass)
    from pg_catalog.pg_class c join becomes b on b.oid = c.relowner
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 8, format('it may create objects in schema %I', n.nspname),
      format('revoke create on schema %I from %I, public', n.nspname, session_user)
    from pg_catalog.pg_namespace n
    where n.nspname !~ '^pg_' and has_schema_privilege(session_user, n.oid, 'create')
    union all
    select 8, 'it may create schemas', format('revoke create on database %I from %I, public', current_database(), session_user)
    where has_database_privilege(session_user, current_database(), 'create')
    union all
    select 9, 'it may create temporary tables',
      format('revoke temporary on database %I from %I, public', current_database(), session_user)
    where has_database_privilege(session_user, current_database(), 'temporary')
    union all
    select 10, 'it may set session_replication_role', format('revoke set on parameter session_replication_role from %I', session_user)
    where has_parameter_privilege(session_user, 'session_replication_role', 'set')
    union all
    select 11, format('settings are stored for it that change what its statements mean (%s)', array_to_string(s.setconfig, ', ')),
      format('alter role %I reset all', session_user)
    from pg_catalog.pg_db_role_setting s join me on me.oid = s.setrole
    where exists (
      select from unnest(s.setconfig) setting
      where setting ~* '^(app\.|search_path|role|row_security|session_authorization|session_replication_role|session_preload|local_preload|default_transaction)')
    union all
    select 12, format('it is not a member of %s', $1), format('grant %I to %I', $1, session_user)
    where not pg_has_role(session_user, $1, 'usage')
  )
select session_user::text as login, why, mend from reasons order by rank, why limit 1
