//! What holds of every function, and of the triggers that call some of them.

use std::collections::BTreeSet;

use super::{ask, none, set};
use crate::attacks::{allowed, checks};
use crate::world::World;

checks![
    functions_with_their_owners_rights_are_these,
    functions_find_names_on_their_own_path,
    policy_functions_are_stable_and_parallel,
    triggers_are_these,
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
    "rowhouse_private.entry_received()", // locks a principal
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
    "rowhouse_private.resource_deleted()", // stops what its caller may see no more
    "rowhouse_private.resource_moved()",   // writes what its caller may see no more
    "rowhouse_private.said_by_oneself()",  // reads the caller's liveness row
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
    "rowhouse.resources|said",
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
            "rowhouse.caller_role()",
            "rowhouse.current_principal()",
            "rowhouse.current_user_id()",
            "rowhouse.edits_inside()",
            "rowhouse.floor_first()",
            "rowhouse.ids(integer)",
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
