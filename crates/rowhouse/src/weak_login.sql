-- Could the login that asks get around the wall? The first reason found, with the statement that mends it; no row when
-- there is none. $1: the group it has to belong to.
with recursive
  -- Every role that the login is, inherits from, or may SET ROLE to; `via` whom, so that a mend takes away that edge.
  becomes (oid, via, depth) as (
    select oid, null::oid, 0 from pg_catalog.pg_roles where rolname = session_user
    union all
    select m.roleid, m.member, b.depth + 1 from pg_catalog.pg_auth_members m join becomes b on b.oid = m.member
  ),
  reachable as (
    select distinct on (r.oid) r.*, b.depth,
      case when b.depth > 0 then format('revoke %I from %I', r.rolname, pg_get_userbyid(b.via)) end as leave
    from pg_catalog.pg_roles r join becomes b on b.oid = r.oid
    order by r.oid, b.depth
  ),
  -- Rights on schemas and on this database, by whom they were given to: the login, a group of its, or everybody.
  granted (what, who, on_what) as (
    select x.privilege_type, x.grantee, format('schema %I', n.nspname)
    from pg_catalog.pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
    where n.nspname !~ '^pg_(toast|temp)'
    union all
    select x.privilege_type, x.grantee, format('database %I', d.datname)
    from pg_catalog.pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
    where d.datname = current_database()
  ),
  reasons (rank, depth, why, mend) as (
    select it.rank, r.depth, it.why, coalesce(r.leave, it.mend)
    from reachable r
    cross join lateral (values
      (1, r.rolsuper, format('%s is a superuser', r.rolname), format('alter role %I nosuperuser', r.rolname)),
      (2, r.rolbypassrls, format('%s has BYPASSRLS', r.rolname), format('alter role %I nobypassrls', r.rolname)),
      (3, r.rolreplication, format('%s has REPLICATION', r.rolname), format('alter role %I noreplication', r.rolname)),
      (4, r.rolname in ('rowhouse_owner', 'rowhouse_definer', 'rowhouse_migrator', 'rowhouse_sealer'),
        format('it may become %s, which owns the wall', r.rolname), null),
      (4, r.rolname in ('rowhouse_app', 'rowhouse_platform', 'rowhouse_mailer') and r.rolname <> $1,
        format('it may act for the other side: it is a member of %s', r.rolname), null),
      -- Before 16, CREATEROLE may grant itself any role; since then only those it has ADMIN on.
      (5, r.rolcreaterole and current_setting('server_version_num')::int < 160000,
        format('%s has CREATEROLE', r.rolname), format('alter role %I nocreaterole', r.rolname)),
      (6, r.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
          'pg_execute_server_program', 'pg_signal_backend', 'pg_maintain', 'pg_create_subscription', 'pg_checkpoint',
          'pg_monitor', 'pg_read_all_stats', 'pg_read_all_settings', 'pg_stat_scan_tables'),
        format('it is a member of %s', r.rolname), null)
    ) it (rank, holds, why, mend)
    where it.holds
    union all
    select 5, b.depth, format('it may grant itself %s (ADMIN OPTION)', m.roleid::regrole),
      format('revoke admin option for %s from %s', m.roleid::regrole, m.member::regrole)
    from pg_catalog.pg_auth_members m join becomes b on b.oid = m.member
    where m.admin_option
    union all
    select 7, b.depth, format('it owns %s', c.oid::regclass), format('alter table %s owner to rowhouse_owner', c.oid::regclass)
    from pg_catalog.pg_class c join becomes b on b.oid = c.relowner
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 8, coalesce(b.depth, 0), case when g.on_what ^@ 'database' then 'it may create schemas' else format('it may create objects in %s', g.on_what) end,
      format('revoke create on %s from %s', g.on_what, case g.who when 0 then 'public' else g.who::regrole::text end)
    from granted g left join becomes b on b.oid = g.who
    where g.what = 'CREATE' and (g.who = 0 or b.oid is not null)
    union all
    select 9, coalesce(b.depth, 0), 'it may create temporary tables',
      format('revoke temporary on %s from %s', g.on_what, case g.who when 0 then 'public' else g.who::regrole::text end)
    from granted g left join becomes b on b.oid = g.who
    where g.what = 'TEMPORARY' and (g.who = 0 or b.oid is not null)
    union all
    select 10, 0, 'it may set session_replication_role',
      format('revoke set on parameter session_replication_role from %I', session_user)
    where has_parameter_privilege(session_user, 'session_replication_role', 'set')
    union all
    -- The login may store settings for itself: one tenant's statement would meet all the others.
    select 11, 0, format('settings are stored for it that meet every tenant (%s)', array_to_string(s.setconfig, ', ')),
      format('alter role %I%s reset all', session_user, case when d.datname is null then '' else format(' in database %I', d.datname) end)
    from pg_catalog.pg_db_role_setting s
    join becomes b on b.oid = s.setrole and b.depth = 0
    left join pg_catalog.pg_database d on d.oid = s.setdatabase
    where s.setdatabase = 0 or d.datname = current_database()
    union all
    select 12, 0, format('it is not a member of %s', $1), format('grant %I to %I', $1, session_user)
    where not pg_has_role(session_user, $1, 'usage')
  )
select session_user::text as login, why, mend from reasons order by rank, depth, why limit 1
