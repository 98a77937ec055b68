-- A01, A03. The owner of a table switches its row-level security off, and without FORCE no policy binds him at all.
select distinct on (l.oid, t.owner)
  'error' as level,
  format('role %I', l.name) as object,
  case
    when l.how = 'owner' then 'owns tables of tenants, and nobody else has rights on them: so the application connects as their owner'
    when t.owner = l.oid then 'has rights on tables of tenants and owns some of them'
    else format('may become %I, which owns tables of tenants', pg_get_userbyid(t.owner))
  end as what,
  'The owner may drop policies and switch row-level security off; where it is not forced, no policy binds him.' as why,
  case
    when t.owner = l.oid then 'Let a role that cannot log in own the tables (alter table .. owner to ..), and grant the application select, insert, update, delete.'
    else format('revoke %I from %I', pg_get_userbyid(t.owner), pg_get_userbyid(r.via))
  end as mend
from app_role r
join app_login l on l.oid = r.login and not l.is_super
join tenant_table t on t.owner = r.role
order by l.oid, t.owner, r.via
