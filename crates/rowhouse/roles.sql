-- The roles of the wall. Roles belong to the whole server, not to one database, so this file may be run again
-- and again, also by two databases at once. No role here can log in: logins are made members of these groups.
--
--   rowhouse_owner     owns every table behind the wall, and no function
--   rowhouse_definer   owns every function, and no table: inside a foreign-key action Postgres works as the
--                      table's owner with FORCE switched off, and what is planned there outlives the action
--   rowhouse_migrator  may act as both: for migrations, `tables`, `seal rotate`
--   rowhouse_app       transactions of tenants
--   rowhouse_platform  the registry: tenants, users, plans
--   rowhouse_sealer    may read the ticket key
--   rowhouse_mailer    takes mail that waits to be sent, and notes how that went
--   rowhouse_enforced  what a statement of a table in mode `shadow` runs as to be walled in; rowhouse_shadow lies
--                      between it and the logins and does not inherit, so that membership alone enforces nothing
do $roles$
declare
  name text;
begin
  foreach name in array array['owner', 'definer', 'migrator', 'app', 'platform', 'sealer', 'mailer', 'enforced'] loop
    begin
      execute format('create role rowhouse_%s nologin', name);
    exception when duplicate_object or unique_violation then
      null; -- made by an earlier migration, or by another database's at this very moment
    end;
  end loop;
  begin
    create role rowhouse_shadow nologin noinherit;
  exception when duplicate_object or unique_violation then
    null;
  end;
end
$roles$;

do $members$
declare
  edge record;
begin
  for edge in
    select *
    from (values
      ('rowhouse_owner', 'rowhouse_migrator'),
      ('rowhouse_definer', 'rowhouse_migrator'),
      ('rowhouse_enforced', 'rowhouse_shadow'),
      ('rowhouse_app', 'rowhouse_enforced'),
      ('rowhouse_migrator', current_user::text)) as wanted (of_role, member)
    where case member
      -- A superuser needs no membership, and none is left behind that would outlive its being one. Since 16, whoever
      -- makes a role is a member of it that may grant it, and may neither act as it nor has its rights: hence `usage`.
      when current_user::text then not pg_has_role(current_user, of_role, 'usage')
      else not exists (
        select
        from pg_auth_members m
        where m.roleid = of_role::regrole and m.member = wanted.member::regrole)
      end
  loop
    begin
      execute format('grant %I to %I', edge.of_role, edge.member);
    exception when unique_violation then
      null; -- granted by another database's migration at this very moment
    end;
  end loop;
end
$members$;
