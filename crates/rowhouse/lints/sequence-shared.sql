-- D09. All tenants draw from one sequence.
select
  'info' as level,
  format('sequence %I.%I', n.nspname, s.relname) as object,
  format('numbers the rows of all tenants in %s', string_agg(distinct t.name, ', ' order by t.name)) as what,
  'The gaps between one''s own numbers tell how many rows the others made meanwhile.' as why,
  'Use a UUID, or a counter for each tenant.' as mend
from pg_depend d
join pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_namespace n on n.oid = s.relnamespace
join tenant_table t on t.oid = d.refobjid and t.rls
where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
group by s.oid, n.nspname, s.relname
