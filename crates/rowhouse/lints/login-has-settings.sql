-- C14, C16. Settings that are stored for a login, or for everybody in this database, meet every new session.
select
  case when s.name in ('row_security', 'session_preload_libraries', 'local_preload_libraries') then 'warning' else 'error' end as level,
  case when s.role = 0 then format('database %I', current_database()) else format('role %I', pg_get_userbyid(s.role)) end as object,
  format('begins every session with %s', s.setting) as what,
  case s.name
    when 'session_replication_role' then 'Triggers and foreign keys are not asked.'
    when 'row_security' then 'Statements fail where a policy would have to be asked, and in its place a role that no policy binds is used sooner or later.'
    when 'role' then 'The session acts as a role that no policy binds.'
    when 'session_preload_libraries' then 'Code is loaded into every session.'
    when 'local_preload_libraries' then 'Code is loaded into every session.'
    else 'A session that forgets to set its tenant works in this one.'
  end as why,
  case when s.role = 0 then format('alter database %I reset %s', current_database(), s.name)
       when s.database = 0 then format('alter role %I reset %s', pg_get_userbyid(s.role), s.name)
       else format('alter role %I in database %I reset %s', pg_get_userbyid(s.role), current_database(), s.name) end as mend
from (
  select d.setrole as role, d.setdatabase as database, c as setting,
    lower(split_part(c, '=', 1)) as name, substr(c, position('=' in c) + 1) as value
  from pg_db_role_setting d, unnest(d.setconfig) c
  where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and (d.setrole = 0 or d.setrole in (select role from app_role))
) s
where case s.name
  when 'session_replication_role' then s.value <> 'origin'
  when 'row_security' then lower(s.value) in ('off', 'false', 'no', '0')
  when 'role' then exists (select from bypasser b where b.name = s.value)
  when 'session_preload_libraries' then s.value <> ''
  when 'local_preload_libraries' then s.value <> ''
  -- A setting of one's own that names a tenant or a caller.
  else s.value <> '' and s.name ~ '\.(current_)?(tenant|org|organi[sz]ation|account|user|jwt|claims)' end
