-- Why table $1 cannot go behind the wall as class $2: every reason found, each to be read behind the table's name, with
-- the statement that mends it where there is one. Foreign keys are judged in keys.rs, rows in column.rs.
with
  t as (select c.*, format('%I.%I', n.nspname, c.relname) as name
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = $1),
  content as (select * from t where $2 = 'content'),
  tenant_column as (
    select a.* from pg_attribute a join content on a.attrelid = content.oid
    where a.attname = 'tenant_id' and not a.attisdropped)
select 'is temporary' from t where relpersistence = 't'
union all
select 'is a partition: protect tables that are not partitioned' from t where relispartition
union all
select 'takes part in inheritance: rows of a child are found through its parent'
from t
where not relispartition and exists (select from pg_inherits i where t.oid in (i.inhrelid, i.inhparent))
union all
select format('is of the type %s and takes no further column. Mend it with: alter table %s not of', reloftype::regtype, name)
from content where reloftype <> 0
union all
select format('belongs to the extension %I', e.extname)
from t
join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
join pg_extension e on e.oid = d.refobjid
union all
select format('has rules (%s), which rewrite statements before the wall sees them', string_agg(quote_ident(r.rulename), ', '))
from t join pg_rewrite r on r.ev_class = t.oid and t.relkind = 'r'
having count(*) > 0
union all
select format('has row-level security of its own (policies: %s). Mend it by dropping them, and with: alter table %s disable row level security',
  coalesce((select string_agg(quote_ident(p.polname), ', ' order by p.polname) from pg_policy p where p.polrelid = t.oid), 'none'), name)
from t where relrowsecurity or relforcerowsecurity or exists (select from pg_policy p where p.polrelid = t.oid)
union all
select format('has a column tenant_id of type %s: it must be uuid', format_type(atttypid, atttypmod))
from tenant_column where atttypid <> 'uuid'::regtype
union all
select 'has a generated column tenant_id: it must be a plain one' from tenant_column where attgenerated <> ''
union all
select format('has an exclusion constraint (%I), which compares rows of all tenants', k.conname)
from content join pg_constraint k on k.conrelid = content.oid and k.contype = 'x'
union all
select format('has a key (%I) whose index is not a btree', k.conname)
from content
join pg_constraint k on k.conrelid = content.oid and k.contype in ('p', 'u')
join pg_class i on i.oid = k.conindid
join pg_am m on m.oid = i.relam and m.amname <> 'btree'
union all
select format('is in the publication %I, which carries rows of all tenants. Mend it with: alter publication %1$I drop table %s',
  p.pubname, name)
from content
join pg_namespace n on n.oid = content.relnamespace
join pg_publication_tables p on p.schemaname = n.nspname and p.tablename = content.relname
union all
select distinct case
  when v.relkind = 'v' then format('is read by the view %s with the rights of its owner. Mend it with: alter view %1$s set (security_invoker = true)',
    v.oid::regclass)
  else format('is read by the materialized view %s, which holds rows of all tenants. Mend it with: revoke all on %1$s from public, rowhouse_app, rowhouse_platform',
    v.oid::regclass)
  end
from content
join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = content.oid and d.classid = 'pg_rewrite'::regclass
join pg_rewrite r on r.oid = d.objid
join pg_class v on v.oid = r.ev_class
where case v.relkind
    when 'v' then not exists (
      select from pg_options_to_table(v.reloptions) o
      where o.option_name = 'security_invoker' and lower(o.option_value) in ('true', 'on', 'yes', '1'))
    when 'm' then has_any_column_privilege('rowhouse_app', v.oid, 'select') or has_any_column_privilege('rowhouse_platform', v.oid, 'select')
  end
union all
select distinct format('has a key (%I) that %s is built on: drop that, protect the table, and create it again with tenant_id in its GROUP BY',
  k.conname, pg_describe_object(d.classid, d.objid, 0))
from content
join pg_constraint k on k.conrelid = content.oid and k.contype in ('p', 'u')
join pg_depend d on d.refclassid = 'pg_constraint'::regclass and d.refobjid = k.oid and d.deptype = 'n'
