-- The tables to probe: those whose rows belong to tenants, each with the column that holds the tenant, and Rowhouse's
-- shared ones.
--   $1  names of tenant columns that say so by themselves, the likeliest first
--   $2  names that say so only where a policy of this database asks for them
--   $3 to $6  Rowhouse's list of tables: schema, table, class, mode; $7  its project columns
--   $8  Rowhouse is there
with
  managed as (
    select schema_name, table_name, class, mode, project_column
    from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
      as m (schema_name, table_name, class, mode, project_column)
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
    select distinct on (a.attrelid) a.attrelid, a.attname
    from pg_attribute a
    join known k on k.attname = a.attname
    left join asked on asked.relation = a.attrelid and asked.attname = a.attname
    where a.attnum > 0 and not a.attisdropped
    order by a.attrelid, asked.relation is null, k.place -- the one that the table's own policies ask for, first
  )
select
  c.oid,
  format('%I.%I', n.nspname, c.relname) as name,
  c.relkind::text as kind,
  c.relispartition as is_partition,
  quote_ident(o.attname) as tenant,
  coalesce(m.class, case when $8::boolean then 'unclassified' else 'tenant' end) as class,
  coalesce(m.mode, case when c.relrowsecurity then 'enforce' else 'off' end) as mode,
  m.project_column
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join column_of o on o.attrelid = c.oid
left join managed m on m.schema_name = n.nspname and m.table_name = c.relname
where c.relkind in ('r', 'p')
  and c.oid >= 16384
  and n.nspname !~ '^pg_(toast|temp)'
  and not c.relispartition
  and (o.attrelid is not null
    or m.class is not null
    or c.relrowsecurity
    or exists (select from pg_policy p where p.polrelid = c.oid))
  and not exists (
    select
    from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  -- Rowhouse's registry and the inside of its wall belong to no tenant: they are asked in another way (around.rs).
  and case
    when not $8::boolean then true
    when n.nspname = 'rowhouse_private' then false
    when n.nspname = 'rowhouse' then m.class is not null
    else true
  end
order by n.nspname, c.relname
