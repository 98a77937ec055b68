-- B18. A policy that looks the caller up in a table that the caller may write.
select distinct on (p.oid, c.oid)
  'error' as level,
  format('policy %I on %s', p.name, p.table_name) as object,
  format('believes %I.%I, which the application may write and which has no row-level security', n.nspname, c.relname) as what,
  'A caller who may write that table gives himself the rows of any tenant.' as why,
  format('alter table %I.%I enable row level security, force row level security; or revoke insert, update, delete on it', n.nspname, c.relname) as mend
from policy p
join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
join pg_class c on c.oid = d.refobjid and c.oid <> p.relation and c.relkind in ('r', 'p')
join pg_namespace n on n.oid = c.relnamespace
join aclexplode(c.relacl) x on x.privilege_type in ('INSERT', 'UPDATE', 'DELETE') and x.grantee in (select oid from app_grantee)
where not c.relrowsecurity
order by p.oid, c.oid
