-- A16. A function marked LEAKPROOF runs before the policy is asked, on the rows of all tenants.
select
  case when f.language in ('c', 'internal') then 'info' else 'error' end as level,
  format('function %s', f.name) as object,
  format('is marked LEAKPROOF and written in %s', f.language) as what,
  'Postgres takes its word for it and calls it on rows of other tenants. What it raises, logs or writes tells their values.' as why,
  format('alter function %s not leakproof', f.name) as mend
from code f
where f.is_leakproof
