-- One hash over what a wall is made of: relations with their owners, rights and columns, policies, constraints, triggers,
-- views, functions, members of roles, default rights, the database's own rights and settings, event triggers, what goes out
-- of it (publications, foreign servers), Rowhouse's own list ($1, as text). Names come qualified, because the search path
-- holds nothing but pg_catalog.
with
  ours as (
    select n.oid, n.nspname, n.nspowner, n.nspacl
    from pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  ),
  lines (line) as (
    select concat_ws(' ', 'schema', nspname, pg_get_userbyid(nspowner), array(select a::text from unnest(nspacl) a order by 1))
    from ours
    union all
    select concat_ws(' ', 'relation', n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner), c.relrowsecurity,
      c.relforcerowsecurity, c.relispartition, array(select a::text from unnest(c.relacl) a order by 1), c.reloptions)
    from pg_class c join ours n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select concat_ws(' ', 'column', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      a.attidentity, a.attgenerated, a.attacl, pg_get_expr(d.adbin, d.adrelid))
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f')
    join ours n on n.oid = c.relnamespace
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped
    union all
    select concat_ws(' ', 'policy', n.nspname, c.relname, p.polname, p.polcmd, p.polpermissive,
      array(select pg_get_userbyid(r) from unnest(p.polroles) r order by 1),
      pg_get_expr(p.polqual, p.polrelid), '/', pg_get_expr(p.polwithcheck, p.polrelid))
    from pg_policy p
    join pg_class c on c.oid = p.polrelid
    join ours n on n.oid = c.relnamespace
    union all
    select concat_ws(' ', 'constraint', n.nspname, c.relname, k.conname, k.convalidated, pg_get_constraintdef(k.oid))
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid
    join ours n on n.oid = c.relnamespace
    union all
    select concat_ws(' ', 'index', n.nspname, c.relname, pg_get_indexdef(i.indexrelid))
    from pg_index i
    join pg_class c on c.oid = i.indrelid
    join ours n on n.oid = c.relnamespace
    where i.indisunique
    union all
    select concat_ws(' ', 'trigger', n.nspname, c.relname, g.tgenabled, pg_get_triggerdef(g.oid))
    from pg_trigger g
    join pg_class c on c.oid = g.tgrelid
    join ours n on n.oid = c.relnamespace
    where not g.tgisinternal
    union all
    select concat_ws(' ', 'rule', n.nspname, c.relname, pg_get_ruledef(r.oid))
    from pg_rewrite r
    join pg_class c on c.oid = r.ev_class
    join ours n on n.oid = c.relnamespace
    union all
    select concat_ws(' ', 'function', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), pg_get_userbyid(p.proowner),
      p.prosecdef, p.provolatile, p.proparallel, p.proleakproof, p.proconfig,
      array(select a::text from unnest(p.proacl) a order by 1),
      case when p.prosqlbody is null then p.prosrc else pg_get_function_sqlbody(p.oid) end)
    from pg_proc p join ours n on n.oid = p.pronamespace
    union all
    select concat_ws(' ', 'member', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member), m.admin_option,
      to_jsonb(m) ->> 'inherit_option', to_jsonb(m) ->> 'set_option')
    from pg_auth_members m
    where m.roleid >= 16384 or m.member >= 16384
    union all
    select concat_ws(' ', 'role', rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication)
    from pg_roles
    where rolsuper or rolbypassrls or rolcreaterole or rolreplication
    union all
    select concat_ws(' ', 'default rights', pg_get_userbyid(d.defaclrole), d.defaclnamespace::regnamespace, d.defaclobjtype,
      array(select a::text from unnest(d.defaclacl) a order by 1))
    from pg_default_acl d
    union all
    select concat_ws(' ', 'database', pg_get_userbyid(datdba), array(select a::text from unnest(datacl) a order by 1))
    from pg_database
    where datname = current_database()
    union all
    select concat_ws(' ', 'setting', s.setdatabase <> 0, s.setrole::regrole, array(select c from unnest(s.setconfig) c order by 1))
    from pg_db_role_setting s
    where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    union all
    select concat_ws(' ', 'event trigger', evtname, evtevent, pg_get_userbyid(evtowner), evtfoid::regprocedure, evtenabled, evttags)
    from pg_event_trigger
    union all
    select concat_ws(' ', 'foreign server', s.srvname, w.fdwname, pg_get_userbyid(s.srvowner),
      array(select a::text from unnest(s.srvacl) a order by 1), s.srvoptions)
    from pg_foreign_server s
    join pg_foreign_data_wrapper w on w.oid = s.srvfdw
    union all
    select concat_ws(' ', 'user mapping', srvname, usename, umoptions)
    from pg_user_mappings
    union all
    select concat_ws(' ', 'publication', p.pubname, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
      pg_get_userbyid(p.pubowner),
      array(
        select concat_ws(' ', r.prrelid::regclass, r.prattrs, pg_get_expr(r.prqual, r.prrelid))
        from pg_publication_rel r where r.prpubid = p.oid order by 1),
      array(select n.pnnspid::regnamespace::text from pg_publication_namespace n where n.pnpubid = p.oid order by 1))
    from pg_publication p
    union all
    select concat_ws(' ', 'managed', $1::text)
  )
select encode(sha256(convert_to(string_agg(line, E'\n' order by line collate "C"), 'UTF8')), 'hex') as hash
from lines
