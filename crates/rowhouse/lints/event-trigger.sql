-- B17. Code that runs with every DDL statement, as whoever runs that.
select
  case when f.oid is not null and f.owner in (select role from app_role) then 'error' else 'info' end as level,
  format('event trigger %I', e.evtname) as object,
  format('runs %s at %s', e.evtfoid::regprocedure, e.evtevent) as what,
  'It runs with the rights of whoever changes the schema, who is most likely the owner of the tables.' as why,
  format('Look at its body and at who owns it; or: drop event trigger %I', e.evtname) as mend
from pg_event_trigger e
left join code f on f.oid = e.evtfoid
where e.evtenabled <> 'D'
  and not exists (
    select
    from pg_depend d
    where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')
