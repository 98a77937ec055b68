-- D04, D06. Foreign keys are checked past row-level security.
select
  'warning' as level,
  format('constraint %I on %s', k.conname, t.name) as object,
  format('refers to %s without the tenant', p.name) as what,
  'A row may refer to another tenant''s: whether that exists can be told, and it cannot be deleted any more.' as why,
  format('alter table %s drop constraint %I, add constraint %2$I foreign key (%I, ..) references %s (%I, ..)', t.name, k.conname, t.col, p.name, p.col) as mend
from pg_constraint k
join tenant_table t on t.oid = k.conrelid and t.attnum > 0
join tenant_table p on p.oid = k.confrelid and p.attnum > 0
where k.contype = 'f'
  and k.conparentid = 0
  and not exists (
    select
    from unnest(k.conkey, k.confkey) as pair (here, there)
    where pair.here = t.attnum and pair.there = p.attnum)
