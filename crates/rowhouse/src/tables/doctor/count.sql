-- The foreign keys of the tables $1, each with a statement that says whether one of its rows refers to nothing. As with
-- the key itself (MATCH SIMPLE), a row with a null in its columns refers to nothing on purpose.
select
  format('constraint %I on %I.%I', k.conname, n.nspname, c.relname) as object,
  format('select exists (select from %I.%I as child where %s and not exists (select from %I.%I as parent where %s))',
    n.nspname, c.relname,
    (select string_agg(format('child.%I is not null', a.attname), ' and ')
     from unnest(k.conkey) as u (attnum)
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum),
    pn.nspname, p.relname,
    (select string_agg(format('parent.%I operator(%I.%s) child.%I', pa.attname, opn.nspname, o.oprname, a.attname), ' and ')
     from unnest(k.conkey, k.confkey, k.conpfeqop) as u (attnum, parent_attnum, equal)
     join pg_operator o on o.oid = u.equal
     join pg_namespace opn on opn.oid = o.oprnamespace
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
     join pg_attribute pa on pa.attrelid = k.confrelid and pa.attnum = u.parent_attnum)) as counts,
  format('Delete or correct the rows, outside of every tenant. Then: alter table %1$I.%2$I no force row level security; '
    || 'alter table %1$I.%2$I drop constraint %3$I, add constraint %3$I %4$s; alter table %1$I.%2$I force row level security',
    n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)) as mend
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class p on p.oid = k.confrelid
join pg_namespace pn on pn.oid = p.relnamespace
where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any ($1::oid[])
order by object
