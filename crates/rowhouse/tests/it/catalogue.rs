//! What holds of every table, function, view and grant, also of those not written yet: asked of the catalogue.

use std::collections::BTreeSet;

use rowhouse::members::Role;
use rowhouse::projects::ProjectRole;
use rowhouse::tenants::{Kind, PlanTier, Status};
use rowhouse::{deployments, jobs, keys, mail, provisioning, quotas, resources};

use crate::attacks::{allowed, checks, sees};
use crate::world::World;

checks![
    every_relation_is_in_exactly_one_class,
    every_walled_table_enables_and_forces_row_security,
    every_walled_table_has_the_whole_floor,
    nothing_but_the_floor_is_restrictive_and_nothing_else_is_public,
    tenant_id_is_a_uuid_never_null_and_never_updated,
    tenant_id_leads_every_key_and_index,
    foreign_keys_hold_the_tenant,
    no_foreign_key_acts_on_another_row,
    no_right_goes_beyond_rows,
    nobody_may_create_anything,
    tables_have_one_owner_and_functions_another,
    functions_with_their_owners_rights_are_these,
    functions_find_names_on_their_own_path,
    policy_functions_are_stable_and_parallel,
    views_run_as_their_caller,
    every_table_says_when,
    every_constraint_has_a_name_of_its_own,
    closed_sets_are_those_of_the_enums,
    policies_read_no_other_table,
    triggers_are_these,
    keys_of_the_seal_are_out_of_reach,
];

/// The registry, by name. Every other table is `admin`, `content` or `shared` by its row in `managed_tables`.
const REGISTRY: &[&str] = &[
    "jobs",
    "locator",
    "managed_tables",
    "operator_requests",
    "operator_tokens",
    "platform_audit",
    "probes",
    "schema_history",
    "tenants",
    "users",
];

/// Every function that runs with its owner's rights, and why it has to.
const DEFINERS: &[&str] = &[
    "rowhouse.accept_invitation(text,uuid,text,uuid,bytea,timestamp with time zone,uuid,text)", // lets somebody in
    "rowhouse.add_member(bytea,uuid,text,uuid,text)",
    "rowhouse.bound_tenant()", // reads the key of the seal
    "rowhouse.end_session(uuid)",
    "rowhouse.enter(bytea)", // reads both keys and the liveness row
    "rowhouse.found_tenant(uuid,text,text,text,text,uuid,uuid,text)", // writes the first rows of a tenant
    "rowhouse.hold_session(bytea)",                                   // locks a liveness row
    "rowhouse.invite(uuid,text,text,timestamp with time zone,uuid)", // makes a token that its caller must not know
    "rowhouse.key_used()", // writes beside the keys, for one that may not write them
    "rowhouse.key_uses()",
    "rowhouse.leave()",            // removes one who may remove nobody
    "rowhouse.locate(text,bytea)", // reads the locator
    "rowhouse.memberships(uuid)",  // reads the liveness rows
    "rowhouse.note_mail(uuid,uuid,integer,text,text,double precision,uuid)", // writes the outbox, for who has no right to it
    "rowhouse.open_session(bytea,uuid,bytea,timestamp with time zone,uuid,text)",
    "rowhouse.own_key_hash()",      // reads a column that nobody else may
    "rowhouse.people()",            // reads names from the registry
    "rowhouse.rotate_seal()",       // writes the keys
    "rowhouse.seal_audit(integer)", // marks rows that nobody may change
    "rowhouse.service_principal(uuid,text)", // reads the liveness rows
    "rowhouse.take_mail(double precision)", // reads the outbox, as nobody else may
    "rowhouse.writable_tenant()",   // calls bound_tenant under a path of its own
    "rowhouse_private.deployment_placed()", // locks the caller's liveness row
    "rowhouse_private.entry_given()",      // reads the caller's liveness row
    "rowhouse_private.entry_received()",   // locks a principal
    "rowhouse_private.invitation_changed()",
    "rowhouse_private.key_changed()",
    "rowhouse_private.mail_queued()", // tells the registry that there is something to do
    "rowhouse_private.managed_by_caller(uuid,uuid)", // reads the caller's liveness row, and locks the tenant's
    "rowhouse_private.member_changed()",
    "rowhouse_private.member_went()",
    "rowhouse_private.membership_changed()",
    "rowhouse_private.one_at_a_time(uuid)",
    "rowhouse_private.persona_changed()",
    "rowhouse_private.principal_added()",
    "rowhouse_private.project_deleted()", // stops what its caller may not see
    "rowhouse_private.projects_changed()",
    "rowhouse_private.provisioning_started()", // as mail_queued
    "rowhouse_private.refresh(uuid,uuid)", // keeps the liveness row, as the triggers above and below
    "rowhouse_private.resource_moved()",   // writes what its caller may see no more
    "rowhouse_private.team_changed()",
    "rowhouse_private.tenant_changed()",
    "rowhouse_private.user_changed()",
    "rowhouse_private.workspace_changed()",
];

/// plpgsql without `set search_path`, since it is called once for each policied relation: every name qualified.
const QUALIFIED: &[&str] = &[
    "rowhouse.bound_tenant()",
    "rowhouse.enter(bytea)",
    "rowhouse.residue(bigint)",
];

/// Every trigger of ours: what it watches is kept up to date in the same transaction.
const TRIGGERS: &[&str] = &[
    "rowhouse.api_keys|key_changed",
    "rowhouse.deployments|deployment_changed",
    "rowhouse.deployments|deployment_placed",
    "rowhouse.invitations|invitation_changed",
    "rowhouse.outbox|mail_queued",
    "rowhouse.persona_mappings|persona_changed",
    "rowhouse.principals|principal_added",
    "rowhouse.projects|projects_added",
    "rowhouse.projects|projects_changed",
    "rowhouse.projects|projects_deleted",
    "rowhouse.provisioning_runs|provisioning_resumed",
    "rowhouse.provisioning_runs|provisioning_started",
    "rowhouse.resource_acl|given",
    "rowhouse.resource_acl|received",
    "rowhouse.resources|deployments_moved",
    "rowhouse.resources|deployments_stopped",
    "rowhouse.resources|shared",
    "rowhouse.team_members|team_members_changed",
    "rowhouse.teams|team_changed",
    "rowhouse.tenant_members|member_changed",
    "rowhouse.tenant_members|member_went",
    "rowhouse.tenants|tenant_changed",
    "rowhouse.user_project_roles|roles_changed",
    "rowhouse.users|user_changed",
    "rowhouse.workspaces|workspace_changed",
];

/// Tables behind the wall: those that say so, of whatever schema.
const WALLED: &str = "(select format('%I.%I', schema_name, table_name)::regclass as oid, * from rowhouse.managed_tables where class in ('admin', 'content')) w";

/// The query finds nothing: what it finds are the offenders.
async fn none(world: &World, sql: &str) {
    sees(&world.superuser().await, sql, &[]).await;
}

async fn ask(world: &World, sql: &str) -> BTreeSet<String> {
    allowed(&world.superuser().await, sql)
        .await
        .into_iter()
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

pub async fn every_relation_is_in_exactly_one_class(world: &World) {
    let tables = ask(
        world,
        "select relname from pg_class where relnamespace = 'rowhouse'::regnamespace and relkind in ('r', 'p', 'f', 'm', 'S')",
    )
    .await;
    let managed = ask(
        world,
        "select table_name from rowhouse.managed_tables where schema_name = 'rowhouse'",
    )
    .await;
    let registry = set(REGISTRY);
    assert!(registry.is_disjoint(&managed), "HOLE: in two classes");
    let classified: BTreeSet<_> = registry.union(&managed).cloned().collect();
    assert_eq!(tables, classified, "HOLE: unclassified, or gone");
    let inner = ask(
        world,
        "select relname from pg_class where relnamespace = 'rowhouse_private'::regnamespace and relkind not in ('i', 't')",
    )
    .await;
    assert_eq!(
        inner,
        set(&[
            "context",
            "drop_owned_fails_here",
            "key_uses",
            "keyring",
            "liveness",
            "login_secret",
            "old_context",
            "tenant_states"
        ]),
        "HOLE: an inner table that this test does not know"
    );
    // Whatever the application can read in another schema, and that holds a tenant, is classified.
    none(
        world,
        "select c.oid::regclass from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
         where c.relkind in ('r', 'p', 'f', 'm') and c.relnamespace <> 'rowhouse_private'::regnamespace
           and (has_any_column_privilege('rowhouse_app', c.oid, 'select') or has_any_column_privilege('rowhouse_app', c.oid, 'insert'))
           and not exists (select from rowhouse.managed_tables m where format('%I.%I', m.schema_name, m.table_name)::regclass = c.oid)",
    )
    .await;
}

pub async fn every_walled_table_enables_and_forces_row_security(world: &World) {
    none(
        world,
        &format!("select w.oid::regclass from {WALLED} join pg_class c on c.oid = w.oid where c.relforcerowsecurity is not true or c.relrowsecurity is distinct from (w.mode <> 'off')"),
    )
    .await;
    none(
        world,
        "select oid::regclass from pg_class where relnamespace = 'rowhouse'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_history' and not (relrowsecurity and relforcerowsecurity)",
    )
    .await;
    // Partitions and heirs of a walled table are walled, or nobody but their owner can address them.
    none(
        world,
        &format!(
            "select i.inhrelid::regclass from pg_inherits i join {WALLED} on w.oid = i.inhparent
             where not exists (select from rowhouse.managed_tables m where format('%I.%I', m.schema_name, m.table_name)::regclass = i.inhrelid)
               and has_any_column_privilege('rowhouse_app', i.inhrelid, 'select')"
        ),
    )
    .await;
}

pub async fn every_walled_table_has_the_whole_floor(world: &World) {
    const READS: &str =
        "((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,\n    true))";
    const FIRST: &str = "(rowhouse.floor_first() AND ((tenant_id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,\n    true)))";
    const WRITES: &str =
        "((tenant_id, true) = ( SELECT rowhouse.writable_tenant() AS writable_tenant,\n    true))";
    let policies = ask(
        world,
        &format!(
            "select concat_ws('|', w.oid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::text,
               pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
             from {WALLED} join pg_policy p on p.polrelid = w.oid where p.polname like 'tenant\\_floor%' and w.mode = 'enforce'"
        ),
    )
    .await;
    let tables = ask(
        world,
        &format!("select w.oid::regclass from {WALLED} where w.mode = 'enforce'"),
    )
    .await;
    assert!(
        tables.contains("public.notes") || tables.contains("notes"),
        "{tables:?}"
    );
    let mut expected = BTreeSet::new();
    for table in &tables {
        if table == "rowhouse.audit_log" {
            // Trails are written under read access too, and changed by nobody.
            expected.insert(format!("{table}|tenant_floor|*|f|{{0}}|{FIRST}|{READS}"));
        } else {
            expected.insert(format!("{table}|tenant_floor|*|f|{{0}}|{FIRST}|{WRITES}"));
            expected.insert(format!("{table}|tenant_floor_update|w|f|{{0}}|{WRITES}"));
            expected.insert(format!("{table}|tenant_floor_delete|d|f|{{0}}|{WRITES}"));
        }
    }
    assert_eq!(policies, expected, "HOLE: a floor lacks a piece");
    none(
        world,
        &format!(
            "select w.oid::regclass from {WALLED} where w.project_column is not null and w.mode = 'enforce' and not exists (
               select from pg_policy p where p.polrelid = w.oid and p.polname = 'project_floor' and not p.polpermissive and p.polcmd = '*' and p.polroles = '{{0}}'
                 and pg_get_expr(p.polqual, p.polrelid) = format('((%1$I = ANY (( SELECT rowhouse.current_projects() AS current_projects)::uuid[])) AND (rowhouse.pair(tenant_id, %1$I) = ANY (( SELECT rowhouse.projects_inside() AS projects_inside)::text[])))', w.project_column)
                 and pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))"
        ),
    )
    .await;
}

pub async fn nothing_but_the_floor_is_restrictive_and_nothing_else_is_public(world: &World) {
    none(
        world,
        &format!(
            "select w.oid::regclass, p.polname from {WALLED} join pg_policy p on p.polrelid = w.oid
             where w.mode = 'enforce' and (p.polpermissive = (p.polname like '%\\_floor%') or (p.polpermissive and 0 = any (p.polroles)))"
        ),
    )
    .await;
    // Of the registry, the application sees the tenant it is bound to.
    let registry = ask(
        world,
        "select concat_ws('|', p.polrelid::regclass, p.polname, pg_get_expr(p.polqual, p.polrelid)) from pg_policy p
         where p.polrelid in (select oid from pg_class where relnamespace = 'rowhouse'::regnamespace) and 'rowhouse_app'::regrole = any (p.polroles)
           and p.polrelid::regclass::text in ('rowhouse.tenants', 'rowhouse.users', 'rowhouse.locator', 'rowhouse.operator_tokens', 'rowhouse.platform_audit')",
    )
    .await;
    assert_eq!(
        registry,
        set(&[
            "rowhouse.tenants|bound_one|(rowhouse.floor_first() AND ((id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,\n    true)))"
        ]),
        "HOLE"
    );
    none(
        world,
        "select polrelid::regclass, polname from pg_policy p where 0 = any (p.polroles) and p.polpermissive and not exists (
           select from rowhouse.managed_tables m where format('%I.%I', m.schema_name, m.table_name)::regclass = p.polrelid and m.mode <> 'enforce')",
    )
    .await;
}

pub async fn tenant_id_is_a_uuid_never_null_and_never_updated(world: &World) {
    none(
        world,
        &format!(
            "select w.oid::regclass from {WALLED} where not exists (
               select from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
               where a.attrelid = w.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype and a.attnotnull
                 and pg_get_expr(d.adbin, d.adrelid) = 'rowhouse.default_tenant()')"
        ),
    )
    .await;
    for role in [
        "rowhouse_app",
        "rowhouse_platform",
        "rowhouse_mailer",
        "rowhouse_enforced",
    ] {
        none(
            world,
            &format!("select w.oid::regclass from {WALLED} where has_column_privilege('{role}', w.oid, 'tenant_id', 'update')"),
        )
        .await;
        // Nor the other columns of a primary key.
        none(
            world,
            &format!(
                "select w.oid::regclass, a.attname from {WALLED} join pg_index i on i.indrelid = w.oid and i.indisprimary
                 join pg_attribute a on a.attrelid = w.oid and a.attnum = any (i.indkey) where has_column_privilege('{role}', w.oid, a.attnum, 'update')"
            ),
        )
        .await;
    }
}

pub async fn tenant_id_leads_every_key_and_index(world: &World) {
    none(
        world,
        &format!(
            "select i.indexrelid::regclass from {WALLED} join pg_index i on i.indrelid = w.oid
             join pg_attribute a on a.attrelid = w.oid and a.attname = 'tenant_id' where i.indkey[0] <> a.attnum"
        ),
    )
    .await;
    none(
        world,
        &format!("select w.oid::regclass from {WALLED} where not exists (select from pg_index i where i.indrelid = w.oid and i.indisprimary)"),
    )
    .await;
    // What is unique over all tenants: the registry's own keys, nothing else.
    let unique = ask(
        world,
        "select c.conname from pg_constraint c join pg_class t on t.oid = c.conrelid
         where t.relnamespace = 'rowhouse'::regnamespace and c.contype in ('u', 'p', 'x') and not exists (
           select from pg_attribute a where a.attrelid = c.conrelid and a.attnum = c.conkey[1] and a.attname = 'tenant_id')",
    )
    .await;
    assert_eq!(
        unique,
        set(&[
            "locator_pkey",
            "managed_tables_pkey",
            "operator_requests_pkey",
            "operator_tokens_digest",
            "operator_tokens_pkey",
            "platform_audit_pkey",
            "probes_pkey",
            "schema_history_pkey",
            "tenants_pkey",
            "users_pkey",
        ]),
        "HOLE: unique over all tenants"
    );
    none(
        world,
        "select conname from pg_constraint where contype = 'x'",
    )
    .await;
}

pub async fn foreign_keys_hold_the_tenant(world: &World) {
    // Between two walled tables the tenant is part of the key, on both sides; to the registry it is the tenant itself,
    // or a user of the platform.
    none(
        world,
        &format!(
            "select k.conname from pg_constraint k join {WALLED} on w.oid = k.conrelid where k.contype = 'f'
             and not exists (
               select from pg_attribute mine, pg_attribute its, unnest(k.conkey, k.confkey) as pair (here, there)
               where mine.attrelid = k.conrelid and mine.attnum = pair.here and mine.attname = 'tenant_id'
                 and its.attrelid = k.confrelid and its.attnum = pair.there
                 and (its.attname = 'tenant_id' or (k.confrelid = 'rowhouse.tenants'::regclass and its.attname = 'id')))
             and k.confrelid <> 'rowhouse.users'::regclass"
        ),
    )
    .await;
    // Every walled table of ours belongs to a tenant that exists.
    none(
        world,
        &format!("select w.oid::regclass from {WALLED} where not exists (select from pg_constraint k where k.conrelid = w.oid and k.contype = 'f' and k.confrelid = 'rowhouse.tenants'::regclass)"),
    )
    .await;
    none(
        world,
        "select conname from pg_constraint where contype = 'f' and not convalidated",
    )
    .await;
}

pub async fn no_foreign_key_acts_on_another_row(world: &World) {
    none(
        world,
        "select conname from pg_constraint where contype = 'f' and (confdeltype not in ('a', 'r') or confupdtype not in ('a', 'r'))",
    )
    .await;
}

pub async fn no_right_goes_beyond_rows(world: &World) {
    none(
        world,
        "select c.oid::regclass, a.grantee::regrole, a.privilege_type from pg_class c, aclexplode(c.relacl) a
         where c.oid >= 16384 and (a.grantee = 0 or a.grantee::regrole::text not in ('rowhouse_owner', 'postgres'))
           and (a.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') or a.is_grantable or a.grantee = 0)",
    )
    .await;
    none(
        world,
        "select t.attrelid::regclass, t.attname from pg_attribute t, aclexplode(t.attacl) a
         where t.attrelid >= 16384 and (a.privilege_type not in ('SELECT', 'INSERT', 'UPDATE') or a.is_grantable or a.grantee = 0)",
    )
    .await;
    // Nobody deletes a tenant or a user; trails are not changed; content is none of the platform's business.
    for (role, right, tables) in [
        (
            "rowhouse_app",
            "delete",
            "tenants,users,locator,audit_log,resources,api_keys,principals,outbox,jobs",
        ),
        (
            "rowhouse_platform",
            "delete",
            "tenants,users,locator,audit_log,platform_audit,principals,api_keys",
        ),
        (
            "rowhouse_app",
            "update",
            "tenants,users,locator,audit_log,principals,outbox,jobs",
        ),
        (
            "rowhouse_platform",
            "update",
            "locator,audit_log,platform_audit",
        ),
        (
            "rowhouse_app",
            "select",
            "users,locator,operator_tokens,platform_audit,outbox,jobs",
        ),
        (
            "rowhouse_platform",
            "select",
            "resources,resource_acl,outbox",
        ),
        (
            "rowhouse_mailer",
            "select",
            "outbox,jobs,tenants,users,locator,invitations,audit_log,resources,tenant_members",
        ),
        (
            "rowhouse_definer",
            "delete",
            "tenants,users,locator,audit_log,resources,api_keys",
        ),
        (
            "rowhouse_definer",
            "select",
            "resources,operator_tokens,platform_audit",
        ),
    ] {
        let has = if right == "delete" {
            "has_table_privilege"
        } else {
            "has_any_column_privilege"
        };
        none(
            world,
            &format!("select '{role}', '{right}', t from unnest('{{{tables}}}'::text[]) t where {has}('{role}', 'rowhouse.' || t, '{right}')"),
        )
        .await;
    }
    // Whose entries go with him is all that our own functions see of an access list: not what to, nor how far.
    let entries = "select format('%s %s', a.privilege_type, t.attname) from pg_attribute t, aclexplode(t.attacl) a
         where t.attrelid = 'rowhouse.resource_acl'::regclass and a.grantee = 'rowhouse_definer'::regrole
         union all select a.privilege_type from pg_class c, aclexplode(c.relacl) a
         where c.oid = 'rowhouse.resource_acl'::regclass and a.grantee = 'rowhouse_definer'::regrole";
    assert_eq!(
        ask(world, entries).await,
        set(&["DELETE", "SELECT principal_id", "SELECT tenant_id"])
    );
    none(world, "select defaclrole::regrole, a.grantee from pg_default_acl, aclexplode(defaclacl) a where a.grantee = 0 or a.grantee::regrole::text like 'rowhouse\\_%' and a.grantee <> defaclrole").await;
}

pub async fn nobody_may_create_anything(world: &World) {
    none(
        world,
        "select n.nspname, r.rolname from pg_namespace n, pg_roles r
         where r.rolname in ('rowhouse_app', 'rowhouse_platform', 'rowhouse_enforced', 'rowhouse_shadow', 'rowhouse_sealer', 'rowhouse_mailer', 'rowhouse_definer', 'test_app', 'test_platform', 'test_mailer')
           and n.nspname !~ '^pg_(toast|temp)' and has_schema_privilege(r.oid, n.oid, 'create')",
    )
    .await;
    none(
        world,
        "select r.rolname from pg_roles r where r.rolname in ('rowhouse_app', 'rowhouse_platform', 'rowhouse_definer', 'test_app', 'test_platform')
           and (has_database_privilege(r.oid, current_database(), 'create') or has_database_privilege(r.oid, current_database(), 'temporary'))",
    )
    .await;
    none(
        world,
        "select rolname from pg_roles where rolname like 'rowhouse\\_%' and (rolsuper or rolbypassrls or rolreplication or rolcreaterole or rolcreatedb or rolcanlogin)",
    )
    .await;
    none(
        world,
        "select oid::regclass from pg_class where relkind = 'f'",
    )
    .await;
    none(world, "select evtname from pg_event_trigger").await;
    none(world, "select pubname from pg_publication").await;
}

pub async fn tables_have_one_owner_and_functions_another(world: &World) {
    none(
        world,
        "select oid::regclass, relowner::regrole from pg_class where relnamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and relowner <> 'rowhouse_owner'::regrole",
    )
    .await;
    none(
        world,
        "select oid::regprocedure, proowner::regrole from pg_proc where pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and proowner <> 'rowhouse_definer'::regrole",
    )
    .await;
    none(
        world,
        "select oid::regclass from pg_class where relowner = 'rowhouse_definer'::regrole",
    )
    .await;
    none(
        world,
        "select oid::regprocedure from pg_proc where proowner = 'rowhouse_owner'::regrole",
    )
    .await;
}

pub async fn functions_with_their_owners_rights_are_these(world: &World) {
    let found = ask(
        world,
        "select oid::regprocedure from pg_proc where prosecdef and oid >= 16384",
    )
    .await;
    assert_eq!(found, set(DEFINERS), "HOLE: SECURITY DEFINER");
    // What everybody may call.
    let public = ask(
        world,
        "select p.proname from pg_proc p where p.pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace)
           and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)",
    )
    .await;
    assert_eq!(
        public,
        set(&[
            "administers_inside",
            "audiences_inside",
            "bound_tenant",
            "caller_administers",
            "caller_audiences",
            "caller_edits",
            "caller_principals",
            "caller_role",
            "current_principal",
            "current_projects",
            "current_tenant",
            "current_user_id",
            "default_tenant",
            "edits_inside",
            "enter",
            "floor_first",
            "ids",
            "pair",
            "pairs",
            "principals_inside",
            "projects_inside",
            "residue",
            "writable_tenant",
        ]),
        "HOLE: EXECUTE for everybody"
    );
}

pub async fn functions_find_names_on_their_own_path(world: &World) {
    // Parsed when they were made: `return ..` and `begin atomic`. Everything else sets a path, or is on the short list.
    let loose = ask(
        world,
        "select oid::regprocedure from pg_proc where pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace)
           and prosqlbody is null and not coalesce(proconfig @> array['search_path=pg_catalog, pg_temp'], false)",
    )
    .await;
    assert_eq!(
        loose,
        set(QUALIFIED),
        "HOLE: without a search_path of its own"
    );
    for function in QUALIFIED {
        let body = allowed(
            &world.superuser().await,
            &format!("select prosrc from pg_proc where oid = '{function}'::regprocedure"),
        )
        .await
        .join("\n");
        let complaints = unqualified(&body);
        assert!(complaints.is_empty(), "HOLE: in {function}: {complaints:?}");
    }
    // The lint finds what it is for.
    for (body, complaint) in [
        ("select sha256(x)", "sha256"),
        ("select pg_catalog.sha256(a || b)", "||"),
        ("select a = b", "="),
        ("select a * b", "*"),
        ("select 1 from keyring", "keyring"),
        ("select x::uuid", "uuid"),
        ("select case x when 1 then 2 end", "case x"),
        ("select x in (1)", "in"),
        ("select nullif(a, b)", "nullif"),
        ("select a is distinct from b", "distinct"),
        ("select a between b and c", "between"),
        (
            "select * from rowhouse.a natural join rowhouse.b",
            "natural",
        ),
        ("declare x text; begin", "text"),
    ] {
        assert!(
            unqualified(body).iter().any(|found| found == complaint),
            "the lint does not find {complaint:?} in {body:?}: {:?}",
            unqualified(body)
        );
    }
}

/// Names, types and operators of a plpgsql body that would be looked up on the caller's path.
fn unqualified(body: &str) -> Vec<String> {
    let tokens = tokens(body);
    let word = |n: usize| tokens.get(n).map_or("", String::as_str);
    let is_name = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '"')
    };
    let mut found = Vec::new();
    let mut declared: BTreeSet<String> = BTreeSet::from(["ticket".to_owned()]);
    for n in 0..tokens.len() {
        let (before, this, after) = (if n == 0 { "" } else { word(n - 1) }, word(n), word(n + 1));
        let qualified = before == "." || after == ".";
        match this {
            // Syntax that looks an operator up by itself.
            "in" | "between" | "nullif" | "distinct" | "natural" | "using" | "like" | "similar"
            | "ilike" | "any" | "all" | "some" | "greatest" | "least" | "order" | "group"
            | "union" | "execute" | "overlaps" => found.push(this.to_owned()),
            "case" if after != "when" => found.push(format!("case {after}")),
            // plpgsql's own.
            ":=" => {}
            // count(*).
            "*" if before == "(" && after == ")" => {}
            _ if is_name(this) => {
                let called = after == "(" && !KEYWORDS.contains(&this);
                let relation = ["from", "join"].contains(&before) && this != "(";
                let typed = before == "::"
                    || (declared.contains(before)
                        && !KEYWORDS.contains(&this)
                        && this != "constant");
                if !qualified
                    && (called && !["one", "operator"].contains(&this) || relation || typed)
                {
                    found.push(this.to_owned());
                }
                if ["declare", ";"].contains(&before) && is_name(this) && !KEYWORDS.contains(&this)
                {
                    declared.insert(this.to_owned());
                    if is_name(after) && word(n + 2) != "." && !KEYWORDS.contains(&after) {
                        found.push(after.to_owned());
                    }
                }
            }
            // Inside operator(pg_catalog.=).
            _ if before == "." && after == ")" => {}
            _ if this.chars().all(|sign| "+-*/<>=~!@#%^&|`?".contains(sign)) => {
                found.push(this.to_owned());
            }
            _ => {}
        }
    }
    found
}

const KEYWORDS: &[&str] = &[
    "begin", "end", "select", "from", "into", "return", "case", "when", "then", "else", "left",
    "join", "on", "and", "or", "not", "values", "declare", "if", "is", "null", "true", "false",
    "where", "operator", "raise", "coalesce", "as", "strict", "exists", "filter",
];

/// Words in lower case, numbers, signs; texts and comments are dropped.
fn tokens(body: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '\'' {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if first.is_ascii_alphanumeric() || first == '_' {
            rest.find(|next: char| !next.is_ascii_alphanumeric() && next != '_')
                .unwrap_or(rest.len())
        } else if "+-*/<>=~!@#%^&|`?:".contains(first) {
            rest.find(|next: char| !"+-*/<>=~!@#%^&|`?:".contains(next))
                .unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(length);
        if !token.starts_with("--") && !token.starts_with('\'') && !token.trim().is_empty() {
            tokens.push(token.to_lowercase());
        }
        rest = behind;
    }
    tokens
}

pub async fn policy_functions_are_stable_and_parallel(world: &World) {
    none(
        world,
        "select oid::regprocedure from pg_proc where oid >= 16384 and proleakproof",
    )
    .await;
    let called = ask(
        world,
        "select distinct d.refobjid::regprocedure from pg_depend d where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass",
    )
    .await;
    assert_eq!(
        called,
        set(&[
            "rowhouse.administers_inside()",
            "rowhouse.audiences_inside()",
            "rowhouse.bound_tenant()",
            "rowhouse.caller_principals()",
            "rowhouse.caller_role()",
            "rowhouse.current_principal()",
            "rowhouse.current_user_id()",
            "rowhouse.edits_inside()",
            "rowhouse.floor_first()",
            "rowhouse.may_see(uuid,uuid)",
            "rowhouse.may_share(uuid,uuid)",
            "rowhouse.may_use_workspace(uuid,uuid)",
            "rowhouse.pair(uuid,uuid)",
            "rowhouse.principals_inside()",
            "rowhouse.projects_inside()",
            "rowhouse.writable_tenant()"
        ]),
        "HOLE: policies call other functions"
    );
    none(
        world,
        "select oid::regprocedure from pg_proc where pronamespace = 'rowhouse'::regnamespace
           and proname in ('bound_tenant', 'writable_tenant', 'current_tenant', 'current_user_id', 'current_projects', 'caller_principals', 'caller_audiences', 'caller_edits', 'caller_administers', 'may_see', 'may_share', 'may_use_workspace', 'current_principal', 'caller_role', 'default_tenant')
           and (provolatile <> 's' or proparallel <> 's')",
    )
    .await;
    let immutable = ask(
        world,
        "select oid::regprocedure from pg_proc where pronamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and provolatile = 'i'",
    )
    .await;
    assert_eq!(
        immutable,
        set(&[
            "rowhouse.floor_first()", // so that they run while a plan is made
            "rowhouse.pair(uuid,uuid)",
            "rowhouse.rows_in_order()",
            "rowhouse_private.tenant_state(text,text,timestamp with time zone)",
        ]),
        "HOLE: IMMUTABLE"
    );
}

pub async fn views_run_as_their_caller(world: &World) {
    none(
        world,
        "select oid::regclass from pg_class where relkind = 'v' and oid >= 16384 and relnamespace <> 'information_schema'::regnamespace
           and not coalesce(reloptions @> '{security_invoker=true}', false)",
    )
    .await;
    none(
        world,
        "select oid::regclass from pg_class where relkind = 'm' and has_any_column_privilege('rowhouse_app', oid, 'select')",
    )
    .await;
}

pub async fn every_table_says_when(world: &World) {
    none(
        world,
        "select c.oid::regclass, wanted from pg_class c, unnest('{created_at,updated_at}'::text[]) wanted
         where c.relnamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and c.relkind in ('r', 'p') and c.relname <> 'schema_history'
           and not (wanted = 'updated_at' and c.relname like '%audit%')
           and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = wanted and a.atttypid = 'timestamptz'::regtype and a.attnotnull)",
    )
    .await;
    none(
        world,
        "select attrelid::regclass from pg_attribute where attname = 'updated_at' and attrelid::regclass::text like '%audit%' and attrelid >= 16384",
    )
    .await;
}

pub async fn every_constraint_has_a_name_of_its_own(world: &World) {
    none(
        world,
        "select conrelid::regclass, conname from pg_constraint
         where connamespace in ('rowhouse'::regnamespace, 'rowhouse_private'::regnamespace) and contype <> 'n' and conname ~ '(_check|_key|_fkey|_excl)\\d*$'",
    )
    .await;
}

fn texts(all: &[impl ToString]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

pub async fn closed_sets_are_those_of_the_enums(world: &World) {
    for (constraint, members) in [
        ("tenants_kind", texts(Kind::ALL)),
        ("tenants_plan", texts(PlanTier::ALL)),
        ("outbox_status", texts(mail::Status::ALL)),
        ("invitations_mail", texts(mail::Status::ALL)),
        ("provisioning_runs_status", texts(provisioning::Status::ALL)),
        ("quotas_name", texts(quotas::Name::ALL)),
        ("jobs_kind", texts(jobs::Kind::ALL)),
        ("tenants_status", texts(Status::ALL)),
        ("tenant_members_role", texts(Role::ALL)),
        ("invitations_role", texts(Role::ALL)),
        ("user_project_roles_role", texts(ProjectRole::ALL)),
        ("api_keys_environment", texts(keys::Environment::ALL)),
        ("deployments_environment", texts(keys::Environment::ALL)),
        ("deployments_status", texts(deployments::Status::ALL)),
        ("resources_type", texts(resources::ResourceType::ALL)),
        ("resources_visibility", texts(resources::Visibility::ALL)),
        ("resource_acl_access", texts(resources::AclAccess::ALL)),
    ] {
        let check = allowed(
            &world.superuser().await,
            &format!(
                "select pg_get_constraintdef(oid) from pg_constraint where conname = '{constraint}'"
            ),
        )
        .await
        .join("");
        let quoted: Vec<_> = check.split('\'').skip(1).step_by(2).collect();
        assert_eq!(quoted, members, "HOLE: {constraint} is not its enum");
    }
}

pub async fn policies_read_no_other_table(world: &World) {
    none(
        world,
        "select p.polrelid::regclass, p.polname, d.refobjid::regclass from pg_policy p join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
         where d.refclassid = 'pg_class'::regclass and d.refobjid <> p.polrelid and d.refobjid <> 'rowhouse.resource_acl'::regclass",
    )
    .await;
}

pub async fn triggers_are_these(world: &World) {
    let found = ask(
        world,
        "select tgrelid::regclass, tgname from pg_trigger where not tgisinternal and tgname <> 'touch' and tgenabled = 'O'",
    )
    .await;
    assert_eq!(found, set(TRIGGERS), "HOLE: triggers");
    none(
        world,
        "select c.oid::regclass from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'updated_at'
         where c.relnamespace = 'rowhouse'::regnamespace and c.relkind = 'r' and c.relname not in ('managed_tables', 'locator')
           and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'touch' and t.tgenabled = 'O' and t.tgtype = 19)",
    )
    .await;
    none(world, "select ev_class::regclass, rulename from pg_rewrite where rulename <> '_RETURN' and ev_class >= 16384").await;
}

pub async fn keys_of_the_seal_are_out_of_reach(world: &World) {
    let rights = ask(
        world,
        "select format('%s %s', a.grantee::regrole, a.privilege_type) from pg_class c, aclexplode(c.relacl) a where c.oid = 'rowhouse_private.keyring'::regclass and a.grantee <> c.relowner
         union all select format('%s %s(%s)', a.grantee::regrole, a.privilege_type, t.attname) from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = 'rowhouse_private.keyring'::regclass",
    )
    .await;
    assert_eq!(
        rights,
        set(&[
            "rowhouse_definer INSERT",
            "rowhouse_definer SELECT",
            "rowhouse_definer UPDATE",
            "rowhouse_sealer SELECT(ticket_head)",
            "rowhouse_sealer SELECT(ticket_key)",
        ]),
        "HOLE: who reads the keys"
    );
    none(
        world,
        "select r.rolname from pg_roles r where r.rolname in ('rowhouse_app', 'rowhouse_platform', 'rowhouse_enforced', 'test_app', 'test_platform')
           and (has_schema_privilege(r.oid, 'rowhouse_private', 'usage') or has_any_column_privilege(r.oid, 'rowhouse_private.keyring', 'select') or has_any_column_privilege(r.oid, 'rowhouse_private.liveness', 'select'))",
    )
    .await;
}
