-- D13. Rows from before may refer to nothing, or to another tenant's.
select
  'warning' as level,
  format('constraint %I on %s', k.conname, t.name) as object,
  'is NOT VALID: rows that were there before it were never checked' as what,
  'Under FORCE, VALIDATE sees the rows of the tenant that is bound, and says yes for all the others.' as why,
  format('As the owner and in one transaction: alter table %1$s no force row level security; alter table %1$s validate constraint %2$I; alter table %1$s force row level security', t.name, k.conname) as mend
from tenant_table t
join pg_constraint k on k.conrelid = t.oid and k.contype in ('f', 'c') and not k.convalidated
where to_jsonb(k) ->> 'conenforced' is distinct from 'false'
