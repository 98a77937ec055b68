-- The foreign keys that leave or reach one of the tables $1.
with ends as (
  select c.oid, format('%I.%I', n.nspname, c.relname) as name, m.class, n.nspname = 'rowhouse' as is_ours
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join rowhouse.managed_tables m on m.schema_name = n.nspname and m.table_name = c.relname
)
select
  quote_ident(k.conname) as name,
  k.conname::text as raw_name,
  k.conrelid as child,
  child.name as child_name,
  child.class as child_class,
  child.is_ours as child_is_ours,
  array(
    select quote_ident(a.attname)
    from unnest(k.conkey) with ordinality u (attnum, i)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
    order by u.i) as child_columns,
  array(
    select a.attname::text
    from unnest(k.conkey) with ordinality u (attnum, i)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
    order by u.i) as raw_child_columns,
  k.confrelid as parent,
  parent.name as parent_name,
  parent.class as parent_class,
  parent.is_ours as parent_is_ours,
  array(
    select quote_ident(a.attname)
    from unnest(k.confkey) with ordinality u (attnum, i)
    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum
    order by u.i) as parent_columns,
  k.confdeltype::text as on_delete,
  k.confupdtype::text as on_update,
  k.confmatchtype = 'f' as match_full,
  case when k.condeferred then ' deferrable initially deferred' when k.condeferrable then ' deferrable' else '' end as deferrable,
  quote_literal(obj_description(k.oid, 'pg_constraint')) as comment
from pg_constraint k
join ends child on child.oid = k.conrelid
join ends parent on parent.oid = k.confrelid
where k.contype = 'f' and (k.conrelid = any ($1) or k.confrelid = any ($1))
order by child.name, k.conname
