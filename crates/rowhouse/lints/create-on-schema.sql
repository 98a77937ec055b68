-- B06, A06. Who may create in a schema puts there a function or a table that others find in place of theirs.
select
  'error' as level,
  format('schema %I', n.nspname) as object,
  case when n.nspowner in (select role from app_role) then format('belongs to %I, whom the application is or may become', pg_get_userbyid(n.nspowner))
       else format('lets %s create objects', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) end as what,
  'A function or operator there is found before, or beside, one of Postgres''s: whoever runs into it runs it with his own rights. A table there can refer to rows of other tenants.' as why,
  case when n.nspowner in (select role from app_role) then format('alter schema %I owner to ..', n.nspname)
       else format('revoke create on schema %I from %s', n.nspname, case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) end as mend
from pg_namespace n
cross join lateral (
  select distinct grantee
  from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner)))
  where privilege_type = 'CREATE' and grantee in (select oid from app_grantee)
) x
where n.nspname !~ '^pg_(toast|temp)'
  and exists (select from tenant_table)
  and exists (select from app_login where not is_super)
