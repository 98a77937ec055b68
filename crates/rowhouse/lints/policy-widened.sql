-- A09, A12. A condition that names the tenant's column and does not hold to it: another side of an OR lets rows pass
-- without it, or it compares with <>, or the row with itself.
with
  -- Read from the stored tree, of the few that have an OR, or are one comparison by <> or of nothing but the row.
  condition (oid, relation, attnum, col, tree) as (
    select p.oid, p.relation, t.attnum, t.col, regexp_replace(e.tree, '\\.', '', 'g')
    from policy p
    join tenant_table t on t.oid = p.relation and t.attnum > 0
    join pg_policy s on s.oid = p.oid
    cross join lateral (values (s.polqual::text, p.found), (s.polwithcheck::text, p.written)) as e (tree, asks)
    where e.asks >= 3
      and (e.tree like '%{BOOLEXPR :boolop or %'
        or substring(e.tree from '^\{OPEXPR :opno (\d+) ')::oid in (select oid from pg_operator where oprrest = 'neqsel'::regproc)
        or (e.tree like '{OPEXPR %' and e.tree !~ '\{(CONST|FUNCEXPR|SQLVALUEFUNCTION|SUBLINK|PARAM) '))
      and e.tree ~ format(':varno 1 :varattno %s ', t.attnum)
  ),
  -- Each of these has to hold: the sides of an AND, or the whole.
  conjunct (oid, attnum, tree, place, part) as (
    select c.oid, c.attnum, c.tree, 0, c.tree from condition c where c.tree not like '{BOOLEXPR :boolop and %'
    union all
    select c.oid, c.attnum, c.tree, s.place, s.part
    from condition c
    cross join lateral (
      select place, string_agg(letter, '' order by n) as part
      from (
        select letter, n, depth, count(*) filter (where letter = '{' and depth = 2) over (order by n) as place
        from (
          select letter, n, sum(case letter when '{' then 1 when '}' then -1 else 0 end) over (order by n) as depth
          from regexp_split_to_table(c.tree, '') with ordinality as l (letter, n)
        ) deep
      ) placed
      where place > 0 and (depth >= 2 or (letter = '}' and depth = 1))
      group by place
    ) s
    where c.tree like '{BOOLEXPR :boolop and %'
  ),
  -- One of these is enough: the sides of an OR, or the whole.
  side (oid, attnum, tree, place, part) as (
    select c.oid, c.attnum, c.tree, c.place, c.part from conjunct c where c.part not like '{BOOLEXPR :boolop or %'
    union all
    select c.oid, c.attnum, c.tree, c.place, s.part
    from conjunct c
    cross join lateral (
      select string_agg(letter, '' order by n) as part
      from (
        select letter, n, depth, count(*) filter (where letter = '{' and depth = 2) over (order by n) as place
        from (
          select letter, n, sum(case letter when '{' then 1 when '}' then -1 else 0 end) over (order by n) as depth
          from regexp_split_to_table(c.part, '') with ordinality as l (letter, n)
        ) deep
      ) placed
      where place > 0 and (depth >= 2 or (letter = '}' and depth = 1))
      group by place
    ) s
    where c.part like '{BOOLEXPR :boolop or %'
  ),
  judged (oid, tree, place, fault) as (
    select s.oid, s.tree, s.place,
      case
        when s.part ~ '^\{CONST .*:constvalue 1 \[ 0 ' then null -- false lets nothing pass
        when exists (
          select
          from pg_operator o
          where o.oid = substring(s.part from '^\{OPEXPR :opno (\d+) ')::oid and o.oprrest = 'neqsel'::regproc) then 'it compares with <>'
        when s.part like '{OPEXPR %' and s.part !~ '\{(CONST|FUNCEXPR|SQLVALUEFUNCTION|SUBLINK|PARAM) ' then 'it compares the row with itself'
        when s.part like '%:rtekind 0 %' then null
        when s.part ~ ':varno 1 :varattno '
          and (s.part ~ '\{FUNCEXPR :funcid (1[7-9]\d{3}|16[4-9]\d\d|163[89]\d|[2-9]\d{4}|\d{6,}|2077|3294) '
            or s.part ~ '\{SQLVALUEFUNCTION :op (9|1[0-2]) ') then null
        when s.part ~ format(':varno 1 :varattno %s ', s.attnum) and s.part ~ '\{(OPEXPR|SCALARARRAYOPEXPR) ' then null
        else 'another side of an OR lets them'
      end
    from side s
  ),
  loose (oid, faults) as (
    select j.oid, string_agg(distinct j.fault, ', ' order by j.fault)
    from judged j
    where not exists (
      select
      from judged o
      where o.oid = j.oid and o.tree = j.tree
      group by o.place
      having count(o.fault) = 0)
    group by j.oid
  )
select
  'warning' as level,
  format('policy %I on %s', p.name, p.table_name) as object,
  format('names %I, and rows of other tenants pass: %s', t.col, l.faults) as what,
  'A condition holds a tenant to his rows only if no way through it is without him.' as why,
  format('Put the tenant''s condition outside of every OR; or make it a restrictive policy: create policy tenant_floor on %s as restrictive for all to public using (..) with check (..)', p.table_name) as mend
from loose l
join policy p on p.oid = l.oid
join tenant_table t on t.oid = p.relation
where p.roles && array(select oid from app_grantee)
  and not exists (
    select
    from policy f
    where f.relation = p.relation
      and not f.is_permissive
      and 4 in (f.found, f.written)
      and f.cmd in ('*', p.cmd)
      and (f.roles = '{0}' or p.roles <@ f.roles)
      and f.oid not in (select oid from loose))
