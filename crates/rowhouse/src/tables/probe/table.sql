-- One table, as much as is needed to make up a row of it: $1 its oid, $2 the login that attacks.
select json_build_object(
  'oid', c.oid::bigint,
  'name', format('%I.%I', n.nspname, c.relname),
  'rights', json_build_object('insert', has_any_column_privilege($2::text, c.oid, 'insert')),
  'columns', (
    select coalesce(json_agg(json_build_object(
      'number', a.attnum,
      'name', quote_ident(a.attname),
      'plain', a.attname,
      'base', b.typname,
      'kind', b.typtype,
      'category', b.typcategory,
      'length', case when b.typname in ('varchar', 'bpchar') and coalesce(nullif(a.atttypmod, -1), t.typtypmod) > 4
        then coalesce(nullif(a.atttypmod, -1), t.typtypmod) - 4 end,
      -- Or where a second null would be a duplicate.
      'not_null', a.attnotnull or t.typnotnull or exists (
        select
        from pg_index i
        where i.indrelid = c.oid and i.indisunique and i.indnullsnotdistinct and a.attnum = any (i.indkey)),
      'has_default', a.atthasdef and a.attgenerated = '' or t.typdefault is not null,
      'identity', a.attidentity <> '',
      'always', a.attidentity = 'a',
      'generated', a.attgenerated <> '',
      'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = b.oid),
      'may_select', has_column_privilege($2, c.oid, a.attnum, 'select'),
      'may_insert', has_column_privilege($2, c.oid, a.attnum, 'insert'),
      'may_update', has_column_privilege($2, c.oid, a.attnum, 'update'))
      order by a.attnum), '[]')
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = (
      with recursive domain (oid, base) as (
        select t.oid, t.typbasetype
        union all
        select p.oid, p.typbasetype
        from domain d join pg_type p on p.oid = d.base)
      select d.oid from domain d where d.base = 0)
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'keys', (
    select coalesce(json_agg(json_build_object(
      'columns', (i.indkey::int2[])[0 : i.indnkeyatts - 1],
      'primary', i.indisprimary)), '[]')
    from pg_index i
    where i.indrelid = c.oid and i.indisunique),
  'checks', (
    select coalesce(json_agg(json_build_object(
      'name', k.conname,
      'columns', coalesce(k.conkey, '{}'),
      'text', pg_get_constraintdef(k.oid))), '[]')
    from pg_constraint k
    where k.conrelid = c.oid and k.contype = 'c'),
  'domain_checks', (
    select coalesce(json_agg(json_build_object(
      'name', k.conname,
      'columns', array[a.attnum],
      'text', pg_get_constraintdef(k.oid))), '[]')
    from pg_attribute a
    join pg_constraint k on k.contypid = a.atttypid and k.contype = 'c'
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'references', (
    select coalesce(json_agg(json_build_object(
      'name', k.conname,
      'parent', k.confrelid::bigint,
      'columns', k.conkey,
      'parent_columns', k.confkey)), '[]')
    from pg_constraint k
    where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0),
  -- Also of what a write here goes on to: partitions and children, and tables whose keys cascade from it.
  'triggers', (
    with recursive reached (oid) as (
      select c.oid
      union
      select onward.oid
      from reached
      cross join lateral (
        select i.inhrelid from pg_inherits i where i.inhparent = reached.oid
        union all
        select k.conrelid
        from pg_constraint k
        where k.confrelid = reached.oid and k.contype = 'f'
          and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
      ) onward (oid)
    )
    select coalesce(json_agg(json_build_object(
      'name', format('%I', g.tgname),
      'table', format('%I.%I', gn.nspname, gc.relname),
      'function', p.oid::regprocedure::text,
      'notifies', p.prosrc ~* '\m(pg_notify|notify)\M',
      'reaches_out', p.prosrc ~* '\m(dblink\w*|http_\w+|http|net|pg_net|program|lo_export|pg_write_\w+|pg_file_\w+)\s*[.(]|\mprogram\M|\mlo_export\M'
        or l.lanname not in ('sql', 'plpgsql', 'internal', 'c') and not l.lanpltrusted)
      order by gc.oid <> c.oid, gn.nspname, gc.relname, g.tgname), '[]')
    from reached
    join pg_trigger g on g.tgrelid = reached.oid
    join pg_class gc on gc.oid = g.tgrelid
    join pg_namespace gn on gn.oid = gc.relnamespace
    join pg_proc p on p.oid = g.tgfoid
    join pg_language l on l.oid = p.prolang
    where not g.tgisinternal and g.tgenabled in ('O', 'A')
      and (g.tgrelid = c.oid or g.tgparentid = 0)), -- not again what a partition has of its parent
  'sequences', (
    select coalesce(json_agg(format('%I.%I', sn.nspname, s.relname) order by 1), '[]')
    from (
      select distinct d2.refobjid as oid
      from pg_attrdef d
      join pg_depend d2 on d2.classid = 'pg_attrdef'::regclass and d2.objid = d.oid and d2.refclassid = 'pg_class'::regclass
      where d.adrelid = c.oid
      union
      select d.objid
      from pg_depend d
      where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'i'
    ) used
    join pg_class s on s.oid = used.oid and s.relkind = 'S'
    join pg_namespace sn on sn.oid = s.relnamespace),
  'leaves', (
    select coalesce(json_agg(json_build_object(
      'oid', leaf.oid::bigint,
      'name', format('%I.%I', ln.nspname, leaf.relname),
      'select', has_any_column_privilege($2, leaf.oid, 'select') and has_schema_privilege($2, ln.oid, 'usage'))
      order by leaf.relname), '[]')
    from (
      -- Not pg_partition_tree(), which locks them.
      with recursive below (oid) as (
        select i.inhrelid from pg_inherits i where i.inhparent = c.oid and c.relkind = 'p'
        union
        select i.inhrelid from below b join pg_inherits i on i.inhparent = b.oid)
      select oid from below
    ) tree
    join pg_class leaf on leaf.oid = tree.oid
    join pg_namespace ln on ln.oid = leaf.relnamespace)
)::text as table
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = $1
