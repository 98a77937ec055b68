-- Behind `prelude.sql`: the largest tables of tenants, each with statements that ask how a page and a point of it would be
-- read by a login of the application, inside its smallest, median and largest tenant. Which those are is read from what
-- ANALYZE left; where that is hidden, one value stands for all, which is as good where a policy asks by a subquery.
-- Sequential scans are switched off: what is asked is whether the policies leave an index to be used. The point's ids are
-- subqueries, so that no value of theirs is needed.
with
  large as (
    select t.oid, t.name, t.relname, t.attnum, t.col, n.nspname, a.atttypid, c.relkind, c.reltuples,
      (select (i.indkey::int2[])[0 : i.indnkeyatts - 1]
       from pg_index i
       where i.indrelid = t.oid and i.indisprimary) as key,
      (select quote_ident(r.name)
       from app_login r
       join pg_roles p on p.oid = r.oid
       where not r.is_super
         and not p.rolbypassrls
         and (t.forced or not pg_has_role(r.oid, t.owner, 'usage'))
         and has_any_column_privilege(r.oid, t.oid, 'select')
       order by r.name <> session_user, r.name
       limit 1) as login
    from tenant_table t
    join pg_class c on c.oid = t.oid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = t.oid and a.attnum = t.attnum
    where t.rls
      and not t.is_partition
      and coalesce(t.mode, 'enforce') = 'enforce'
      and c.reltuples >= 10000
      -- Without one, index-not-led-by-tenant has said it.
      and exists (select from pg_index i where i.indrelid = t.oid and i.indisvalid and i.indkey[0] = t.attnum)
      -- Cut by tenant, it needs no index to find one.
      and not exists (select from pg_partitioned_table p where p.partrelid = t.oid and t.attnum = any (p.partattrs))
    order by c.reltuples desc, t.name
    limit 100
  ),
  sizes as (
    select l.oid, array_agg(m.value order by m.share, m.value) as tenants
    from large l
    join pg_stats s on s.schemaname = l.nspname and s.tablename = l.relname and s.attname = l.col and s.inherited = (l.relkind = 'p')
    cross join lateral (
      select c.value, c.share
      from unnest(s.most_common_vals::text::text[], s.most_common_freqs) as c (value, share)
      union all
      select h.value, 0
      from unnest(s.histogram_bounds::text::text[]) as h (value)
    ) as m
    group by l.oid
  ),
  inside as (
    select l.oid, w.tenant, w.place, s.tenants[w.place] as value
    from large l
    join sizes s on s.oid = l.oid
    cross join lateral (values ('smallest', 1), ('median', (cardinality(s.tenants) + 1) / 2), ('largest', cardinality(s.tenants)))
      as w (tenant, place)
    union all
    select l.oid, 'any', 0, case when l.atttypid = 'uuid'::regtype then '00000000-0000-0000-0000-000000000000' else '0' end
    from large l
    where l.oid not in (select oid from sizes)
  ),
  context as (
    select distinct l.oid, s.setting, s.setting like '%claims' as is_claims
    from large l
    join setting_read s on s.relation = l.oid
  ),
  bound as (
    select i.oid, i.place,
      string_agg(format('set local %I = %L; ', c.setting,
        case when c.is_claims then jsonb_build_object(l.col, i.value)::text else i.value end), '') as sets
    from inside i
    join large l on l.oid = i.oid
    join context c on c.oid = i.oid
    group by i.oid, i.place
  ),
  -- What is read, in which order, and by which key.
  column_list as (
    select l.oid,
      string_agg(quote_ident(a.attname), ', ' order by a.attnum) as shown,
      string_agg(quote_ident(a.attname), ', ' order by k.place) filter (where k.place > 0) as ordered,
      string_agg(format('%I = (select null::%s)', a.attname, format_type(a.atttypid, a.atttypmod)), ' and ') filter (where k.place > 0) as named
    from large l
    join pg_roles r on quote_ident(r.rolname) = l.login
    join pg_attribute a on a.attrelid = l.oid and a.attnum > 0 and not a.attisdropped
    left join unnest(l.key) with ordinality as k (attnum, place) on k.attnum = a.attnum and k.attnum <> l.attnum
    where has_column_privilege(r.oid, l.oid, a.attnum, 'select')
    group by l.oid
  ),
  read as (
    select l.oid, s.statement, 'select ' || c.shown || ' from ' || l.name || ' as a_row' || s.rest as sql
    from large l
    join column_list c on c.oid = l.oid
    cross join lateral (values
      ('page', coalesce(' order by ' || c.ordered, '') || ' limit 50'),
      ('point', ' where ' || c.named)) as s (statement, rest)
    where s.rest is not null
  )
select l.oid as relation, l.name, l.reltuples as size,
  array_agg(r.statement order by i.place, r.statement) as statements,
  array_agg(i.tenant order by i.place, r.statement) as tenants,
  format('set local enable_seqscan = off; set local role %s; ', l.login)
    || string_agg(coalesce(b.sets, '') || 'explain (verbose, costs off, format json) ' || r.sql, '; ' order by i.place, r.statement) as asks
from large l
join inside i on i.oid = l.oid
join read r on r.oid = l.oid
left join bound b on b.oid = i.oid and b.place = i.place
group by l.oid, l.name, l.login, l.reltuples
