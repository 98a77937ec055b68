-- Ways around a table ($1) that the login ($2) may take: views and materialized views that read it, in any number of
-- steps, and functions and procedures that run with their owner's rights and name it. Those that are not taken say why.
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
  ),
  -- The views themselves, and what they read: a view that Postgres itself can write may pass on to one that it cannot.
  below (view, relation) as (
    select view, view from above
    union
    select b.view, r.relation from below b join reads r on r.view = b.relation
  )
select
  c.relkind::text as kind,
  format('%I.%I', n.nspname, c.relname) as name,
  null::text as arguments,
  pg_relation_is_updatable(c.oid, true) as updatable,
  exists (
    select
    from below b
    where b.view = c.oid
      and (exists (select from pg_trigger g where g.tgrelid = b.relation and g.tgtype & 64 <> 0) -- INSTEAD OF
        or exists (select from pg_rewrite r where r.ev_class = b.relation and r.ev_type <> '1')) -- other than _RETURN
  ) as otherwise,
  has_any_column_privilege($2::text, c.oid, 'update') as may_update,
  has_table_privilege($2, c.oid, 'delete') as may_delete,
  case
    when not has_any_column_privilege($2, c.oid, 'select') or not has_schema_privilege($2, n.oid, 'usage')
      then 'the login has no right to read it'
  end as why_not
from above a
join pg_class c on c.oid = a.view
join pg_namespace n on n.oid = c.relnamespace
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
  0, false, false, false,
  case
    when p.prokind = 'p' then 'a procedure is not called: it may commit'
    when p.prokind <> 'f' then 'an aggregate or a window function is not called'
    when l.lanname not in ('sql', 'plpgsql') then format('it is written in %s, which may reach outside', l.lanname)
    -- A rollback does not undo what these do outside. A body in SQL is kept parsed, and its text is empty.
    when coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
      ~* '\m(dblink\w*|http_\w+|http|net|pg_net|program|lo_export|pg_write_\w+|pg_file_\w+)\s*[.(]|\mprogram\M|\mlo_export\M'
      then 'it reaches outside: no rollback would undo it'
    when p.prorettype = 'void'::regtype then 'it answers nothing in which a row could be seen'
  end
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
join pg_class c on c.oid = $1
where p.prosecdef
  and p.oid >= 16384
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype) -- nobody can call these
  and has_function_privilege($2, p.oid, 'execute')
  and has_schema_privilege($2, n.oid, 'usage')
  and case
    when p.prosqlbody is null then p.prosrc ~* ('\m' || regexp_replace(c.relname, '([^[:alnum:]_])', '\\\1', 'g') || '\M')
    else exists (
      select
      from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid)
  end
order by 1, 2
