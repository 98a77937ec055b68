-- Before it asked the policy, Postgres uses an index only through operators that are marked leakproof.
with
  leaky (opclass) as (
    select distinct c.oid
    from pg_opclass c
    join pg_am m on m.oid = c.opcmethod
    join pg_amop o on o.amopfamily = c.opcfamily and o.amoplefttype = c.opcintype and o.amoppurpose = 's'
      -- A btree also compares with other types: timestamptz with date is not leakproof, and nobody does it.
      and (o.amoprighttype = c.opcintype or m.amname not in ('btree', 'hash'))
    join pg_operator op on op.oid = o.amopopr
    join pg_proc p on p.oid = op.oprcode
    where not p.proleakproof
  ),
  slow as (
    select i.oid, i.name, i.table_name, i.leads, i.tenant,
      string_agg(coalesce(quote_ident(a.attname) || ' (' || format_type(a.atttypid, null) || ')', 'an expression'), ', ' order by u.place) as columns
    from index_of i
    cross join unnest(i.keys) with ordinality as u (attnum, place)
    left join pg_attribute a on a.attrelid = i.relation and a.attnum = u.attnum
    where (i.indclass::oid[])[u.place - 1] in (select opclass from leaky)
      or (u.attnum = 0 and exists (
        select
        from regexp_matches(i.indexprs::text, ':(?:funcid|opfuncid) (\d+) ', 'g') m
        join pg_proc p on p.oid = m[1]::oid
        where not p.proleakproof))
    group by i.oid, i.name, i.table_name, i.leads, i.tenant
  )
select
  case when s.leads = s.tenant then 'info' else 'warning' end as level,
  format('index %s', s.name) as object,
  format('serves no statement behind the policies of %s: comparisons of %s are not leakproof', s.table_name, s.columns) as what,
  'Postgres tries such a comparison only on rows that the policies let through: the index is passed over, or used for its first columns only.' as why,
  'Use text with a CHECK in place of an enum or citext, bigint in place of numeric, a stored generated column in place of an expression.' as mend
from slow s
