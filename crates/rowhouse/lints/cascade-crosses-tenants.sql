-- D05, B20. A foreign-key action is not asked for a tenant: it follows the key. It stays inside one where the tenant is
-- part of the key on both sides.
select
  case
    -- To the list of tenants itself: who may delete there is what counts.
    when k.conkey = array[t.attnum] and not exists (
      select
      from pg_class c, aclexplode(c.relacl) x
      where c.oid = k.confrelid and x.privilege_type in ('DELETE', 'UPDATE') and x.grantee in (select oid from app_grantee)) then 'info'
    else 'warning'
  end as level,
  format('constraint %I on %s', k.conname, t.name) as object,
  format('acts on rows of every tenant when a row of %I.%I is changed (%s)', n.nspname, p.relname,
    concat_ws(', ',
      case k.confdeltype when 'c' then 'on delete cascade' when 'n' then 'on delete set null' when 'd' then 'on delete set default' end,
      case k.confupdtype when 'c' then 'on update cascade' when 'n' then 'on update set null' when 'd' then 'on update set default' end)) as what,
  'Foreign-key actions go past row-level security: one row deleted there takes rows of other tenants with it.' as why,
  format('Make it again with NO ACTION, or with the tenant''s column on both sides: alter table %s drop constraint %I, add constraint %2$I ..', t.name, k.conname) as mend
from tenant_table t
join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
join pg_class p on p.oid = k.confrelid
join pg_namespace n on n.oid = p.relnamespace
left join tenant_table pt on pt.oid = k.confrelid
where (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
  and t.attnum > 0
  and not exists (
    select
    from unnest(k.conkey, k.confkey) as pair (here, there)
    where pair.here = t.attnum and pair.there = pt.attnum)
