-- B09. A foreign table takes no policies.
select
  'warning' as level,
  format('foreign table %I.%I', n.nspname, c.relname) as object,
  'can be used by the application and cannot have policies' as what,
  'Whatever stands behind it, every tenant sees the same rows.' as why,
  format('revoke all on %I.%I from public, and from whoever else has rights on it', n.nspname, c.relname) as mend
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'f'
  and c.oid in (select oid from exposed)
  and exists (select from tenant_table)
