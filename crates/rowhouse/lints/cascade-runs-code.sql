-- B19. Inside a foreign-key action Postgres works as the owner of the table, with FORCE switched off.
with acted_on as (
  select t.oid, t.name, k.conname,
    k.confdeltype in ('c', 'n', 'd') as on_delete,
    k.confdeltype in ('n', 'd') or k.confupdtype in ('c', 'n', 'd') as on_update
  from tenant_table t
  join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
  where k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd')
)
select
  'warning' as level,
  format('trigger %I on %s', g.tgname, a.name) as object,
  format('runs before the action of foreign key %I, as the owner of the table and without its policies', a.conname) as what,
  'Inside a foreign-key action Postgres acts as the table''s owner and does not ask forced policies: what the trigger reads, it reads of all tenants, and plans cached there outlive the action.' as why,
  format('Make foreign key %I of %s again with NO ACTION, and delete children first', a.conname, a.name) as mend
from acted_on a
join pg_trigger g on g.tgrelid = a.oid and not g.tgisinternal and g.tgenabled <> 'D'
-- Bits of tgtype: 2 BEFORE, 8 DELETE, 16 UPDATE.
where g.tgtype & 2 = 2
  and ((a.on_delete and g.tgtype & 8 = 8) or (a.on_update and g.tgtype & 16 = 16))
  -- Rowhouse's calls nothing and reads no table: it sets a time.
  and not exists (select from code f where f.oid = g.tgfoid and f.nspname = 'rowhouse_private' and f.proname = 'touch')
union all
select distinct
  'warning',
  format('constraint %I on %s', k.conname, a.name),
  format('calls the volatile function %s, also inside the action of foreign key %I, as the owner of the table and without its policies', f.name, a.conname),
  'Inside a foreign-key action Postgres acts as the table''s owner and does not ask forced policies.',
  format('Let the CHECK compare columns of its row only, or replace the action of %I by NO ACTION', a.conname)
from acted_on a
join pg_constraint k on k.conrelid = a.oid and k.contype = 'c'
join pg_depend d on d.classid = 'pg_constraint'::regclass and d.objid = k.oid and d.refclassid = 'pg_proc'::regclass
join code f on f.oid = d.refobjid and f.volatility = 'v'
where a.on_update
