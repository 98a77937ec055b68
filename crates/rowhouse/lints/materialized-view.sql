-- B03. A materialized view holds what its owner saw when it was refreshed; it has no policies.
with recursive
  over (view, relation) as (
    select r.view, r.relation from reads r join tenant_table t on t.oid = r.relation
    union
    select r.view, o.relation from over o join reads r on r.relation = o.view
  ),
  door (hole, view) as (
    select o.view, o.view from over o join pg_class c on c.oid = o.view and c.relkind = 'm'
    union
    select d.hole, r.view from door d join reads r on r.relation = d.view
  )
select
  'error' as level,
  format('materialized view %I.%I', n.nspname, v.relname) as object,
  format('holds rows of %s and can be read by the application', string_agg(distinct t.name, ', ' order by t.name)) as what,
  'It is filled with its owner''s rights and has no policies: each reader sees the rows of all tenants.' as why,
  format('revoke all on %I.%I from public, and from whoever else has rights on it', n.nspname, v.relname) as mend
from over o
join tenant_table t on t.oid = o.relation
join pg_class v on v.oid = o.view and v.relkind = 'm'
join pg_namespace n on n.oid = v.relnamespace
where exists (select from door d join exposed e on e.oid = d.view where d.hole = v.oid)
group by v.oid, n.nspname, v.relname
