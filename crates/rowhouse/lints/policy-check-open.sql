-- A11. USING finds the rows, WITH CHECK judges what becomes of them.
select
  'error' as level,
  format('policy %I on %s', o.name, o.table_name) as object,
  'finds rows of the caller''s tenant, and lets UPDATE write them into any other' as what,
  'A WITH CHECK that does not ask for the tenant lets a row be moved to another tenant.' as why,
  format('alter policy %I on %s with check (..): the condition of USING; without WITH CHECK, USING is taken for both', o.name, o.table_name) as mend
from open_clause o
where o.how = 'writes'
