-- D04. Since 18, a constraint may be written down and not be asked at all.
select
  'warning' as level,
  format('constraint %I on %s', k.conname, t.name) as object,
  'is NOT ENFORCED' as what,
  'It reads like a promise, and nothing keeps it: rows may refer to nothing, or to another tenant''s.' as why,
  format('alter table %s alter constraint %I enforced', t.name, k.conname) as mend
from tenant_table t
join pg_constraint k on k.conrelid = t.oid and k.contype in ('f', 'c')
where to_jsonb(k) ->> 'conenforced' = 'false'
