-- B05, C13. A SECURITY DEFINER function that looks names up on its caller's path finds the caller's tables, functions
-- and operators, and uses them with its owner's rights.
select
  case when f.owner in (select oid from bypasser) or f.owner in (select owner from tenant_table) then 'error' else 'warning' end as level,
  format('function %s', f.name) as object,
  format('runs with the rights of %I, on the search_path of its caller', pg_get_userbyid(f.owner)) as what,
  'A caller who may create a temporary table, or anything in a schema on the path, makes it use that instead.' as why,
  format('alter function %s set search_path = pg_catalog, pg_temp; and qualify the names in it', f.name) as mend
from code f
where f.is_definer
  and not f.is_parsed -- names were looked up when it was made
  and f.language not in ('c', 'internal')
  and not exists (select from unnest(f.proconfig) c where c like 'search\_path=%')
  and (f.is_callable or exists (select from pg_trigger g where g.tgfoid = f.oid))
  -- Called once for each walled relation of a statement, too often for a SET clause: every name in them is qualified,
  -- which a test of Rowhouse proves, and rowhouse-function-changed sees to it that they are those.
  and not (f.nspname = 'rowhouse' and f.proname in ('bound_tenant', 'enter'))
