-- B13. The replication protocol carries every row of every tenant; policies do not apply to it.
select distinct on (l.oid, p.oid)
  'error' as level,
  format('role %I', l.name) as object,
  case when p.oid = l.oid then 'has REPLICATION' else format('may become %I, which has REPLICATION', p.rolname) end as what,
  'A replication connection, or logical decoding, reads the changes of all tenants past every policy.' as why,
  case when p.oid = l.oid then format('alter role %I noreplication', l.name)
       else format('revoke %I from %I', p.rolname, pg_get_userbyid(r.via)) end as mend
from app_role r
join app_login l on l.oid = r.login
join pg_roles p on p.oid = r.role and p.rolreplication and not p.rolsuper
order by l.oid, p.oid, r.via
