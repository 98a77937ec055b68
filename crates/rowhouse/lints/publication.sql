-- B13. A publication carries the rows of all tenants to whoever subscribes.
select
  'warning' as level,
  format('publication %I', p.pubname) as object,
  case
    when p.puballtables then 'carries the rows of every table, those of tenants among them'
    else format('carries the rows of %s', (
      select string_agg(t.name, ', ' order by t.name)
      from tenant_table t
      left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = t.oid
      left join pg_publication_namespace s on s.pnpubid = p.oid
      join pg_class c on c.oid = t.oid
      where (r.oid is not null and r.prqual is null) or s.pnnspid = c.relnamespace))
  end as what,
  'Logical replication does not ask policies. Who may connect with REPLICATION gets all tenants'' rows.' as why,
  format('alter publication %I drop ..; or see that the subscriber is as well guarded as this server', p.pubname) as mend
from pg_publication p
where exists (select from tenant_table)
  and (p.puballtables
    or exists (
      select
      from pg_publication_rel r
      where r.prpubid = p.oid and r.prqual is null and r.prrelid in (select oid from tenant_table))
    or exists (
      select
      from pg_publication_namespace s
      join pg_class c on c.relnamespace = s.pnnspid
      where s.pnpubid = p.oid and c.oid in (select oid from tenant_table)))
