-- Ways around a table ($1) that the login ($2) may take: views and materialized views that read it, in any number of
-- steps, and functions that run with their owner's rights and name it.
with recursive
  reads (view, relation) as (
    select distinct r.ev_class, d.refobjid
    from pg_depend d
    join pg_rewrite r on r.oid = d.objid and r.rulename = '_RETURN'
    where d.classid = 'pg_rewrite'::regclass
      and d.refclassid = 'pg_class'::regclass
      and d.refobjid <> r.ev_class
      and r.ev_class >= 16384
  ),
  above (view) as (
    select view from reads where relation = $1
    union
    select r.view from above a join reads r on r.relation = a.view
  )
select
  c.relkind::text as kind,
  format('%I.%I', n.nspname, c.relname) as name,
  null::text as arguments,
  pg_relation_is_updatable(c.oid, true) as updatable,
  has_any_column_privilege($2::text, c.oid, 'update') as may_update,
  has_table_privilege($2, c.oid, 'delete') as may_delete
from above a
join pg_class c on c.oid = a.view
join pg_namespace n on n.oid = c.relnamespace
where has_any_column_privilege($2, c.oid, 'select')
  and has_schema_privilege($2, n.oid, 'usage')
union all
select
  'f',
  format('%I.%I', n.nspname, p.proname),
  (
    select string_agg(case
      when t.typname in ('uuid', 'text', 'varchar', 'int4', 'int8') then format('{tenant:%s}', t.typname)
      else format('null::%s', format_type(t.oid, null))
    end, ', ' order by a.place)
    from unnest(p.proargtypes::oid[]) with ordinality a (type, place)
    join pg_type t on t.oid = a.type
    where a.place <= p.pronargs - p.pronargdefaults
  ),
  0, false, false
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
join pg_class c on c.oid = $1
where p.prosecdef
  and p.prokind = 'f'
  and p.oid >= 16384
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'void'::regtype)
  and l.lanname in ('sql', 'plpgsql')
  and has_function_privilege($2, p.oid, 'execute')
  and has_schema_privilege($2, n.oid, 'usage')
  and case
    when p.prosqlbody is null then p.prosrc ~* ('\m' || regexp_replace(c.relname, '([^[:alnum:]_])', '\\\1', 'g') || '\M')
    else exists (
      select
      from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid)
  end
  -- A rollback does not undo what these do outside.
  and p.prosrc !~* '\m(dblink\w*|http_\w+|http|net|pg_net|program|lo_export|pg_write_\w+|pg_file_\w+)\s*[.(]|\mprogram\M|\mlo_export\M'
order by 1, 2
