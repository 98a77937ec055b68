-- What each policy asks, of the rows that a statement finds and of those that it writes:
--   0  nothing: `true`
--   1  something of the row, nothing of the caller: `published`
--   2  something of the caller, nothing of the row: `is_admin()`
--   3  something of both, or of another table: `owner_id = auth.uid()`
--   4  the tenant
--   5  nobody passes: `false`
-- Read from the stored tree: deparsing every policy of a large database takes seconds. A call counts as asking for the
-- caller when the function is not Postgres's own, or is current_setting() or current_user.
--   $1, $2  the tables of tenants and their tenant columns
--   $3  where not empty: the only settings that count
with
  expression as (
    select p.oid, p.polrelid, t.attnum, e.written, e.tree::text as tree, e.tree as stored
    from unnest($1::oid[], $2::int2[]) as t (oid, attnum)
    join pg_policy p on p.polrelid = t.oid
    cross join lateral (values (false, p.polqual), (true, p.polwithcheck)) as e (written, tree)
    where e.tree is not null
  ),
  seen as (
    select e.*,
      tree ~ ':varno 1 :varattno ' as of_row,
      attnum > 0 and tree ~ format(':varno 1 :varattno %s ', attnum) as of_tenant,
      tree ~ '\{(OPEXPR|SCALARARRAYOPEXPR) ' as compares,
      tree like '%:rtekind 0 %' as of_table,
      tree ~ '\{FUNCEXPR :funcid (1[7-9]\d{3}|16[4-9]\d\d|163[89]\d|[2-9]\d{4}|\d{6,}) '
        or tree ~ '\{SQLVALUEFUNCTION :op (9|1[0-2]) '
        or (tree ~ '\{FUNCEXPR :funcid (2077|3294) '
          and (cardinality($3::text[]) = 0
            or exists (
              select
              from unnest($3::text[]) name
              where position(quote_literal(name) in pg_get_expr(stored, polrelid)) > 0))) as of_caller
    from expression e
  ),
  ranked as (
    select oid, written,
      case
        when tree ~ '^\{CONST .*:constvalue 1 \[ 1 ' then 0
        when tree like '{CONST %' then 5
        when of_tenant and (of_caller or compares) then 4
        when of_table or (of_caller and of_row) then 3
        when of_caller then 2
        else 1
      end::int2 as rank
    from seen
  )
select p.oid, found.rank as found, written.rank as written
from pg_policy p
left join ranked found on found.oid = p.oid and not found.written
left join ranked written on written.oid = p.oid and written.written
where found.oid is not null or written.oid is not null
order by p.oid
