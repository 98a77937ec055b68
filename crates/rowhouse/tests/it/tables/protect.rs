//! What `protect` makes of a table, and what it leaves as it was.

use rowhouse::Owner;
use rowhouse::tables::{self, Assign, Class, Protect};
use tokio_postgres::Client;

use super::{assert_violates, build, everything_said, protect, refused_by_right, truth};
use crate::catalogue;
use crate::world::{World, cluster, connect};

/// The definitions of a table's indexes and constraints, by name.
async fn definitions(client: &Client, table: &str) -> Vec<String> {
    let rows = client
        .query(
            "select coalesce(conname || ' ' || pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid))
             from pg_index i left join pg_constraint k on k.conindid = i.indexrelid and k.contype <> 'f'
             where i.indrelid = $1::text::regclass
             union all
             select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where contype = 'f' and conrelid = $1::text::regclass
             order by 1",
            &[&table],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn keys_and_indexes_begin_with_the_tenant_and_keep_the_rest() {
    let world = World::new().await;
    build(
        &world,
        r#"create table thing (
             id int, constraint thing_pk primary key (id) include (note) with (fillfactor = 70),
             code text constraint thing_code unique nulls not distinct,
             rank int constraint thing_rank unique deferrable initially deferred,
             parent int constraint thing_parent references thing (id) deferrable,
             note text, "Odd (one" text, tags jsonb, at timestamptz);
           create index a_desc on thing (at desc nulls last, id);
           create index b_ops on thing (note text_pattern_ops) include (rank) with (fillfactor = 80);
           create index c_part on thing ("Odd (one" collate "C") where note is not null;
           create unique index d_lower on thing (lower(code)) where rank > 0;
           create index e_gin on thing using gin (tags);
           create index f_hash on thing using hash (note);
           comment on constraint thing_pk on thing is 'it''s the key';
           comment on index a_desc is 'by age';
           comment on constraint thing_parent on thing is 'tree';
           alter table thing cluster on a_desc;
           alter table thing replica identity using index thing_pk"#,
    )
    .await;
    let done = protect(&world, &[Protect::content("thing", Assign::Empty)])
        .await
        .unwrap();
    let superuser = world.superuser().await;
    assert_eq!(
        definitions(&superuser, "thing").await,
        [
            "CREATE INDEX a_desc ON public.thing USING btree (tenant_id, at DESC NULLS LAST, id)",
            "CREATE INDEX b_ops ON public.thing USING btree (tenant_id, note text_pattern_ops) INCLUDE (rank) WITH (fillfactor='80')",
            r#"CREATE INDEX c_part ON public.thing USING btree (tenant_id, "Odd (one" COLLATE "C") WHERE (note IS NOT NULL)"#,
            "CREATE INDEX e_gin ON public.thing USING gin (tags)",
            "CREATE INDEX f_hash ON public.thing USING hash (note)",
            "CREATE UNIQUE INDEX d_lower ON public.thing USING btree (tenant_id, lower(code)) WHERE (rank > 0)",
            "thing_code UNIQUE NULLS NOT DISTINCT (tenant_id, code)",
            "thing_parent FOREIGN KEY (tenant_id, parent) REFERENCES thing(tenant_id, id) DEFERRABLE",
            "thing_pk PRIMARY KEY (tenant_id, id) INCLUDE (note)",
            "thing_rank UNIQUE (tenant_id, rank) DEFERRABLE INITIALLY DEFERRED",
            "thing_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES rowhouse.tenants(id)",
        ]
    );
    let kept: Vec<Option<String>> = superuser
        .query_one(
            "select array[
               (select array_to_string(reloptions, ' ') from pg_class where oid = 'thing_pk'::regclass),
               obj_description((select oid from pg_constraint where conname = 'thing_pk'), 'pg_constraint'),
               obj_description('a_desc'::regclass, 'pg_class'),
               obj_description((select oid from pg_constraint where conname = 'thing_parent'), 'pg_constraint'),
               (select indexrelid::regclass::text from pg_index where indrelid = 'thing'::regclass and indisclustered),
               (select indexrelid::regclass::text from pg_index where indrelid = 'thing'::regclass and indisreplident)]",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    let kept: Vec<&str> = kept
        .iter()
        .map(|it| it.as_deref().unwrap_or("nothing"))
        .collect();
    assert_eq!(
        kept,
        [
            "fillfactor=70",
            "it's the key",
            "by age",
            "tree",
            "a_desc",
            "thing_pk"
        ]
    );
    let notes = done[0].notes.join("\n");
    assert!(
        notes.contains("e_gin") && notes.contains("f_hash"),
        "{notes}"
    );
    assert!(!done[0].statements.is_empty());
}

#[tokio::test]
async fn rows_are_assigned_without_waking_the_tables_triggers() {
    let world = World::new().await;
    let (alpha, beta) = (world.alpha.id.uuid(), world.beta.id.uuid());
    build(
        &world,
        "create table customer (id int primary key, country text, touched int not null default 0);
         create table invoice (id int primary key, customer_id int not null references customer);
         create table line (id int primary key, invoice_id int constraint line_invoice references invoice deferrable initially deferred);
         create table held (id int primary key, tenant_id uuid);
         create table given (id int primary key);
         insert into customer select n, case when n % 3 = 0 then 'AT' else 'PE' end from generate_series(1, 9) n;
         insert into invoice select n, 1 + n % 9 from generate_series(1, 90) n;
         insert into line select n, 1 + n % 90 from generate_series(1, 900) n;
         insert into given values (1), (2);
         create function touch() returns trigger language plpgsql as 'begin new.touched := new.touched + 1; return new; end';
         create trigger touch before update on customer for each row execute function touch();
         create trigger always before update on customer for each row execute function touch();
         create trigger never before update on customer for each row execute function touch();
         alter table customer enable always trigger always;
         alter table customer disable trigger never",
    )
    .await;
    build(
        &world,
        &format!("insert into held values (1, '{alpha}'), (2, '{beta}')"),
    )
    .await;
    let done = protect(
        &world,
        &[
            Protect::content("line", Assign::Follow("line_invoice".into())),
            Protect::content("invoice", Assign::Follow("customer_id".into())),
            Protect::content(
                "customer",
                Assign::Sql(format!(
                    "case country when 'AT' then '{alpha}' else '{beta}' end -- a comment"
                )),
            ),
            Protect::content("held", Assign::Empty),
            Protect::content("given", Assign::Tenant(world.beta.id)),
        ],
    )
    .await
    .unwrap();
    assert_eq!(
        done.iter().map(|it| it.rows.unwrap()).collect::<Vec<_>>(),
        [900, 90, 9, 2, 2]
    );
    for (table, of_alpha, of_beta) in [
        ("customer", 3, 6),
        ("invoice", 30, 60),
        ("line", 300, 600),
        ("held", 1, 1),
        ("given", 0, 2),
    ] {
        for (tenant, rows) in [(&world.alpha, of_alpha), (&world.beta, of_beta)] {
            let seen = world
                .house
                .query(&tenant.context(), &format!("select from {table}"), &[])
                .await
                .unwrap();
            assert_eq!(seen.len(), rows, "{table} of {}", tenant.slug);
        }
    }
    assert_eq!(truth(&world, "select sum(touched) from customer").await, 0);
    // They work again, each as it did.
    world
        .house
        .execute(
            &world.alpha.context(),
            "update customer set country = 'IT'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(truth(&world, "select sum(touched) from customer").await, 6);
    let states = truth(&world, "select count(*) from pg_trigger where tgrelid = 'customer'::regclass and (tgname, tgenabled) in (('touch', 'O'), ('always', 'A'), ('never', 'D'))").await;
    assert_eq!(states, 3);
}

#[tokio::test]
async fn nobody_keeps_a_right_that_he_had_before() {
    let world = World::new().await;
    build(
        &world,
        "create role former_reader; create role former_owner;
         grant former_reader to test_platform;
         create table old (id serial primary key, a text, b text);
         alter table old owner to former_owner;
         grant all on old to public;
         grant all on old to rowhouse_app with grant option;
         grant select (a) on old to former_reader",
    )
    .await;
    let done = protect(&world, &[Protect::content("old", Assign::Empty)])
        .await
        .unwrap();
    let rights: Vec<String> = world
        .superuser()
        .await
        .query_one(
            "select array_agg(line order by line) from (
               select distinct format('%s %s', pg_get_userbyid(acl.grantee), acl.privilege_type) as line
               from pg_class c, aclexplode(c.relacl) acl where c.oid = 'old'::regclass and acl.grantee <> c.relowner
               union all
               select format('%s %s %s', case acl.grantee when 0 then 'public' else pg_get_userbyid(acl.grantee) end, acl.privilege_type, a.attname)
               from pg_attribute a, aclexplode(a.attacl) acl where a.attrelid = 'old'::regclass
               union all
               select format('%s %s', relname, pg_get_userbyid(relowner)) from pg_class where oid in ('old'::regclass, 'old_id_seq'::regclass)) lines",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(
        rights,
        [
            "old rowhouse_owner",
            "old_id_seq rowhouse_owner",
            "rowhouse_app DELETE",
            "rowhouse_app INSERT",
            "rowhouse_app SELECT",
            "rowhouse_app UPDATE a",
            "rowhouse_app UPDATE b",
            "rowhouse_app UPDATE id",
        ]
    );
    assert!(
        done[0]
            .notes
            .iter()
            .any(|note| note.contains("former_owner")),
        "{:?}",
        done[0].notes
    );
    for sql in ["truncate old", "select setval('old_id_seq', 1)"] {
        refused_by_right(world.house.execute(&world.alpha.context(), sql, &[]).await);
    }
    build(&world, "drop role former_reader; drop role former_owner").await;
}

#[tokio::test]
async fn a_second_run_changes_nothing_but_the_rights_on_new_columns() {
    let world = World::new().await;
    build(
        &world,
        "create table notes (id int primary key); create table kinds (id int primary key)",
    )
    .await;
    let plan = [
        Protect::content("notes", Assign::Empty),
        Protect::shared("kinds"),
    ];
    protect(&world, &plan).await.unwrap();
    let superuser = world.superuser().await;
    let before = everything_said(&superuser).await;
    let again = protect(&world, &plan).await.unwrap();
    assert!(
        again
            .iter()
            .all(|table| table.already && table.notes.is_empty() && table.statements.is_empty()),
        "{again:?}"
    );
    assert_eq!(everything_said(&superuser).await, before);

    let alpha = world.alpha.context();
    world
        .house
        .execute(&alpha, "insert into notes values (1)", &[])
        .await
        .unwrap();
    superuser
        .batch_execute("alter table notes add column \"Body\" text")
        .await
        .unwrap();
    let update = r#"update notes set "Body" = 'b'"#;
    refused_by_right(world.house.execute(&alpha, update, &[]).await);
    let again = protect(&world, &plan).await.unwrap();
    assert_eq!(
        again[0].notes,
        [r#"the app may now update the columns that were added since: "Body""#]
    );
    assert_eq!(world.house.execute(&alpha, update, &[]).await.unwrap(), 1);

    let otherwise = protect(&world, &[Protect::shared("notes")])
        .await
        .unwrap_err();
    assert!(
        otherwise.to_string().contains("already, as content"),
        "{otherwise}"
    );
}

#[tokio::test]
async fn a_table_made_later_joins_the_one_behind_the_wall() {
    let world = World::new().await;
    build(&world, "create table parent (id int primary key)").await;
    protect(&world, &[Protect::content("parent", Assign::Empty)])
        .await
        .unwrap();
    world
        .house
        .execute(&world.alpha.context(), "insert into parent values (1)", &[])
        .await
        .unwrap();
    build(
        &world,
        "create unique index on parent (id);
         create table child (id int primary key, parent_id int constraint child_parent references parent (id));
         insert into child values (1, 1)",
    )
    .await;
    protect(
        &world,
        &[Protect::content(
            "child",
            Assign::Follow("parent_id".into()),
        )],
    )
    .await
    .unwrap();
    let superuser = world.superuser().await;
    let keys = definitions(&superuser, "child").await;
    assert!(
        keys.contains(
            &"child_parent FOREIGN KEY (tenant_id, parent_id) REFERENCES parent(tenant_id, id)"
                .to_owned()
        ),
        "{keys:?}"
    );
    let insert = "insert into child values (2, 1)";
    assert_violates(
        world
            .house
            .execute(&world.beta.context(), insert, &[])
            .await,
        "23503",
    );
    assert_eq!(
        world
            .house
            .execute(&world.alpha.context(), insert, &[])
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        world
            .house
            .query(&world.alpha.context(), "select from child", &[])
            .await
            .unwrap()
            .len(),
        2
    );
}

/// What the catalogue is asked of our own tables, it is asked of these.
#[tokio::test]
async fn protected_tables_answer_the_catalogue_as_our_own_do() {
    let world = World::new().await;
    build(
        &world,
        "create table kinds (id int primary key);
         create table notes (id int primary key, kind int references kinds, project uuid not null, at date, unique (kind, at));
         create table lines (id int primary key, note int references notes, body text);
         create index on lines (body)",
    )
    .await;
    let plan = [
        Protect::shared("kinds"),
        Protect::content("notes", Assign::Empty).in_projects("project"),
        Protect::content("lines", Assign::Follow("note".into())),
    ];
    protect(&world, &plan).await.unwrap();
    catalogue::every_walled_table_enables_and_forces_row_security(&world).await;
    catalogue::every_walled_table_has_the_whole_floor(&world).await;
    catalogue::nothing_but_the_floor_is_restrictive_and_nothing_else_is_public(&world).await;
    catalogue::tenant_id_leads_every_key_and_index(&world).await;
    catalogue::no_foreign_key_acts_on_another_row(&world).await;
    catalogue::grants::no_right_goes_beyond_rows(&world).await;
    catalogue::grants::nobody_may_create_anything(&world).await;
    catalogue::grants::tables_have_one_owner_and_functions_another(&world).await;
    catalogue::policies_read_no_other_table(&world).await;
}

/// No superuser: owner of the database and of the tables, and member of `rowhouse_migrator`.
#[tokio::test]
async fn a_plain_login_that_owns_the_database_can_do_it() {
    let world = World::new().await;
    build(
        &world,
        &format!(
            "create role plain_owner login password 'test' in role rowhouse_migrator;
             alter database {} owner to plain_owner",
            world.database
        ),
    )
    .await;
    let client = connect(&cluster().url("plain_owner", &world.database)).await;
    client
        .batch_execute(
            "create table author (id int primary key, name text); insert into author values (1, 'a'), (2, 'b');
             create table book (id serial primary key, author_id int);
             insert into book (author_id) values (1), (1)",
        )
        .await
        .unwrap();
    let mut owner = Owner::connect(cluster().url("plain_owner", &world.database))
        .await
        .unwrap();
    let tx = owner.begin().await.unwrap();
    tables::protect(
        &tx,
        &[Protect::content("author", Assign::Tenant(world.alpha.id))],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    // The parent stands behind the wall already, where this login sees none of its rows.
    assert_eq!(
        client.query("select from author", &[]).await.unwrap().len(),
        0
    );
    // A key that could not be validated by it.
    client
        .batch_execute(
            "create unique index on author (id);
             alter table book add foreign key (author_id) references author (id) not valid",
        )
        .await
        .unwrap();
    let tx = owner.begin().await.unwrap();
    tables::protect(
        &tx,
        &[Protect::content("book", Assign::Follow("author_id".into()))],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let rows = world
        .house
        .query(
            &world.alpha.context(),
            "select from book join author on author.id = author_id",
            &[],
        )
        .await;
    assert_eq!(rows.unwrap().len(), 2);
    assert_eq!(
        client.query("select from author", &[]).await.unwrap().len(),
        0,
        "FORCE is back"
    );
    assert_violates(
        world
            .house
            .execute(
                &world.beta.context(),
                "insert into book (author_id) values (1)",
                &[],
            )
            .await,
        "23503",
    );
    let left = truth(&world, "select count(*) from pg_namespace where has_schema_privilege('rowhouse_owner', oid, 'create') and nspname = 'public'").await;
    assert_eq!(left, 0, "the right to create was lent only");
}

#[test]
fn classes_and_modes_are_those_of_the_checks() {
    assert_eq!(
        Class::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        ["admin", "content", "shared"]
    );
    assert_eq!(
        tables::Mode::ALL
            .iter()
            .map(|it| it.as_str())
            .collect::<Vec<_>>(),
        ["off", "shadow", "enforce"]
    );
}
