-- A14. Whose a row is that does not say it.
select
  case when d.adbin is null then 'info' else 'error' end as level,
  t.name as object,
  case when d.adbin is null then format('has no default for %I', t.col)
       else format('gives rows that do not name a tenant to always the same one (default of %I)', t.col) end as what,
  case when d.adbin is null then 'Every insert has to name the tenant; one that takes it from the wrong place is stopped by WITH CHECK only.'
       else 'An insert that forgets the tenant, by whoever is not bound by policies, lands with a tenant that has nothing to do with it.' end as why,
  case when d.adbin is null then format('alter table %s alter column %I set default: the function that says the tenant of this transaction', t.name, t.col)
       else format('alter table %s alter column %I drop default', t.name, t.col) end as mend
from tenant_table t
join pg_attribute a on a.attrelid = t.oid and a.attnum = t.attnum and a.attgenerated = ''
left join pg_attrdef d on d.adrelid = t.oid and d.adnum = t.attnum
where t.attnum > 0
  and t.rls
  -- A constant, if need be with a cast; a null is none.
  and (d.adbin is null or (d.adbin::text like '{CONST %' and d.adbin::text not like '%:constisnull true %'))
