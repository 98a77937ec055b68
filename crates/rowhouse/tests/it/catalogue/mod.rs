//! What holds of every table, function, view and grant, also of those not written yet: asked of the catalogue.

pub mod functions;
pub mod grants;

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
    views_run_as_their_caller,
    every_table_says_when,
    every_constraint_has_a_name_of_its_own,
    closed_sets_are_those_of_the_enums,
    policies_read_no_other_table,
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
