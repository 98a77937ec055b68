-- What the app needs around table $1 and does not have yet: the sequences that its defaults draw from, its schema.
select format('grant usage on sequence %I.%I to rowhouse_app', n.nspname, s.relname)
from (
  select d.objid as oid from pg_depend d -- owned: serial and identity
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1 and d.deptype in ('a', 'i')
  union
  select d.refobjid from pg_attrdef f -- named in a default
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
  where f.adrelid = $1
) used
join pg_class s on s.oid = used.oid and s.relkind = 'S'
join pg_namespace n on n.oid = s.relnamespace
-- CASE, since this function raises for whatever else the planner may ask it of first
where case s.relkind when 'S' then not has_sequence_privilege('rowhouse_app', s.oid, 'usage') end
union all
select format('grant usage on schema %I to rowhouse_app', n.nspname)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = $1 and not has_schema_privilege('rowhouse_app', n.oid, 'usage')
