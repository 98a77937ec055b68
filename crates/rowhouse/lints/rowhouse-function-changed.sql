-- B04, B05. Functions of the wall: whose they are, how they are marked, who may call them, and what they say. Bodies in
-- SQL are stored parsed, and each version of Postgres prints them differently: those are not compared.
with made as (
  select f.name, f.oid,
    format('%s(%s) returns %s', f.oid::regproc, pg_get_function_identity_arguments(f.oid), pg_get_function_result(f.oid)) as signature,
    format('%s, %s%s%s%s', f.language,
      case f.volatility when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
      case f.parallel when 's' then ', parallel safe' when 'r' then ', parallel restricted' else '' end,
      case when f.is_definer then ', security definer' else '' end,
      case when f.proconfig is not null then ', set ' || array_to_string(f.proconfig, ', ') else '' end) as marks,
    f.owner,
    coalesce((
      select string_agg(case x.grantee when 0 then 'public' else x.grantee::regrole::text end, ', '
        order by x.grantee <> 0, x.grantee::regrole::text)
      from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
      where p.oid = f.oid and x.grantee <> f.owner), 'nobody else') as callers,
    -- The first newline stands behind the head, the last ones are not on the page.
    case when f.language = 'plpgsql' then substr(rtrim(f.prosrc, e'\n'), 2) end as body,
    f.is_leakproof
  from code f
  where f.nspname in ('rowhouse', 'rowhouse_private')
)
select
  'error' as level,
  format('function %s', coalesce(m.name, g.head)) as object,
  d.what,
  'Every policy believes what these functions say.' as why,
  'Find out who changed it, and restore it from the migrations: rowhouse migrate --dry-run on an empty database prints them.' as mend
from made m
full join (
  select split_part(head, '  -- ', 1) as signature, split_part(head, ' returns ', 1) as head, split_part(head, '  -- ', 2) as tail, body
  from page
  where kind = 'function'
) g on g.signature = m.signature
cross join lateral (
  select 'is not there any more' as what
  where m.oid is null
  union all
  select 'is not from a migration of this version of Rowhouse'
  where g.signature is null
  union all
  select format('belongs to %I', pg_get_userbyid(m.owner))
  where pg_get_userbyid(m.owner) <> 'rowhouse_definer'
  union all
  select format('is %s; it was made %s', m.marks, split_part(g.tail, '; ', 1))
  where m.marks <> split_part(g.tail, '; ', 1)
  union all
  select format('can be called by %s; it was made for %s', m.callers, split_part(g.tail, 'execute: ', 2))
  where m.callers <> split_part(g.tail, 'execute: ', 2)
  union all
  select 'is not the one of this version of Rowhouse: it says something else'
  where m.body <> g.body
  union all
  select 'is marked LEAKPROOF'
  where m.is_leakproof
) d
where (select installed from rowhouse)
