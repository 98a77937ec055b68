//! What holds of every right, and of who owns what.

use super::{ask, none, set};
use crate::attacks::checks;
use crate::world::World;

checks![
    no_right_goes_beyond_rows,
    nobody_may_create_anything,
    tables_have_one_owner_and_functions_another,
    keys_of_the_seal_are_out_of_reach,
];

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
