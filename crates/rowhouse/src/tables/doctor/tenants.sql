-- The tables whose rows belong to tenants, each with the column that holds the tenant (0 where it was not recognised)
-- and the mode in which Rowhouse keeps it ('' where it does not).
--   $1  names of tenant columns that say so by themselves, the likeliest first
--   $2  names that say so only where a policy of this database asks for them
--   $3 to $6  Rowhouse's list of tables: schema, table, class, mode
--   $7  Rowhouse is there, even if this login may not read its list
with
  managed as (
    select schema_name, table_name, class, mode
    from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as m (schema_name, table_name, class, mode)
  ),
  -- Columns that a policy of their own table asks for.
  asked as (
    select distinct d.refobjid as relation, a.attname
    from pg_depend d
    join pg_policy p on p.oid = d.objid and p.polrelid = d.refobjid
    join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.classid = 'pg_policy'::regclass
      and d.refclassid = 'pg_class'::regclass
      and d.refobjsubid > 0
  ),
  known (attname, place) as (
    select name, min(place)
    from (
      select name, place from unnest($1::text[]) with ordinality as s (name, place)
      union all
      select name, place + 1000
      from unnest($2::text[]) with ordinality as s (name, place)
      where name in (select attname from asked)
    ) names
    group by name
  ),
  column_of as (
    select distinct on (a.attrelid) a.attrelid, a.attnum
    from pg_attribute a
    join known k on k.attname = a.attname
    where a.attnum > 0 and not a.attisdropped
    -- The one that the table's own policies ask for, first. Joined, the planner takes `asked` for one row, and loops.
    order by a.attrelid, (a.attrelid, a.attname) in (select relation, attname from asked) desc, k.place
  )
select c.oid, coalesce(o.attnum, 0::int2) as attnum, coalesce(m.mode, '') as mode
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join column_of o on o.attrelid = c.oid
left join managed m on m.schema_name = n.nspname and m.table_name = c.relname and m.class <> 'shared'
where c.relkind in ('r', 'p')
  and c.oid >= 16384
  and n.nspname !~ '^pg_(toast|temp)'
  and (o.attrelid is not null
    or c.relrowsecurity
    or exists (select from pg_policy p where p.polrelid = c.oid))
  and not exists (
    select
    from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  -- Rowhouse's registry and the inside of its wall stand outside of every tenant on purpose; they have rules of their own.
  and case
    when not $7::boolean then true
    when n.nspname = 'rowhouse_private' then false
    when n.nspname = 'rowhouse' then m.mode is not null
      or exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant_floor')
    else true
  end
order by c.oid
