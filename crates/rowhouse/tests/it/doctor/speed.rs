//! A database with many tables: one with a hole among a thousand that look large, found by itself. `ROWHOUSE_TABLES=50000`
//! makes as many, and it is printed how long they take.

use std::time::Instant;

use rowhouse::tables::doctor::{Level, Options};

use super::{Base, Place, serious};
use crate::world::{cluster, connect};

/// Each with a key, an index, policies for every command, and rights for the application.
const TABLES: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make test.long"]
async fn one_hole_among_a_thousand_tables_is_found() {
    let tables = std::env::var("ROWHOUSE_TABLES").map_or(TABLES, |count| count.parse().unwrap());
    let place = Place::new(Base::Shop).await;
    // A transaction holds a lock on each table that it makes, and the server has room for some thousand.
    let client = connect(&cluster().superuser(&place.database)).await;
    client.batch_execute(&place.fill(MAKE_ONE)).await.unwrap();
    for first in (0..tables).step_by(500) {
        let last = first + 499;
        client
            .batch_execute(&format!(
                "select make_one(n) from generate_series({first}, {last}) n"
            ))
            .await
            .unwrap();
    }
    // Each by itself, for the same reason: alone, ANALYZE is a transaction for each table.
    for statement in [
        "drop function make_one",
        "alter table shop.t_77 disable row level security",
        "analyze",
        "update pg_class set reltuples = 1000000 where relname ~ '^t_'",
    ] {
        client.batch_execute(statement).await.unwrap();
    }
    drop(client);

    let began = Instant::now();
    let findings = place.doctor(&Options::default()).await;
    let took = began.elapsed();
    println!("{tables} tables: {took:?}");
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .map(|finding| (finding.rule.as_str(), finding.object.as_str()))
        .collect();
    assert_eq!(errors, [("rls-off", "shop.t_77")]);
    assert_eq!(serious(&findings).len(), 1, "{:?}", serious(&findings));
    place.remove().await;
}

const MAKE_ONE: &str = "
    create function public.make_one(n int) returns void language plpgsql as $make$
    begin
      execute format('create table shop.t_%s (tenant_id uuid not null default shop.tenant(), id uuid not null default gen_random_uuid(), body varchar(50),
        parent uuid, primary key (tenant_id, id), foreign key (tenant_id, parent) references shop.t_%1$s)', n);
      execute format('create index on shop.t_%s (tenant_id, body)', n);
      execute format('alter table shop.t_%s enable row level security, force row level security', n);
      execute format('alter table shop.t_%s owner to {owner}', n);
      execute format('create policy read on shop.t_%s for select to {app} using (tenant_id = (select shop.tenant()))', n);
      execute format('create policy add on shop.t_%s for insert to {app} with check (tenant_id = (select shop.tenant()))', n);
      execute format('create policy change on shop.t_%s for update to {app} using (tenant_id = (select shop.tenant()))', n);
      execute format('create policy remove on shop.t_%s for delete to {app} using (tenant_id = nullif(current_setting(''shop.tenant'', true), '''')::uuid)', n);
      execute format('grant select, insert, update, delete on shop.t_%s to {app}', n);
    end
    $make$";
