//! Rights inside a tenant (docs/adr/010), against a model of them that is plain Rust: people are invited, come, go, change their
//! roles, teams and projects, give and take rights, the tenant is closed and opened. Whether somebody may do a step is what
//! the model says; after each, what every principal can read, write and share is what the model says, too. What
//! `access::explain` says is compared with what Postgres does, not with the model.

mod house;
pub mod lists;
mod model;
pub mod rules;
pub mod two_tickets;

use std::collections::BTreeSet;

use rowhouse::access::{self, Action};
use rowhouse::resources::{self, Filter};
use rowhouse::{Context, Error, TenantTx};
use uuid::Uuid;

use crate::attacks::checks;
use crate::world::World;
use house::{House, PEOPLE, set_alpha};

checks![
    what_everybody_may_is_what_the_model_says,
    explanations_agree_with_the_database,
];

/// How many steps the model walks; after each of them everything is compared.
const STEPS: usize = 78;

async fn ids(tx: &mut TenantTx, sql: &str) -> Result<BTreeSet<Uuid>, Error> {
    Ok(tx
        .query(sql, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

/// What Postgres lets a caller read, write and share, by doing it. Nothing of it stays.
async fn in_fact(world: &World, context: &Context) -> Result<[BTreeSet<Uuid>; 3], Error> {
    let mut tx = world.house.begin(context).await?;
    let read = ids(&mut tx, "select id from rowhouse.resources").await?;
    let written = match ids(
        &mut tx,
        "update rowhouse.resources set title = 'mine' returning id",
    )
    .await
    {
        Err(Error::ReadOnly) => {
            tx.rollback().await;
            return Ok([read, BTreeSet::new(), BTreeSet::new()]);
        }
        written => written?,
    };
    let tenant = world.alpha.id.uuid();
    tx.batch(&format!(
        "do $$
         declare
           thing uuid;
         begin
           for thing in select id from rowhouse.resources loop
             begin
               insert into rowhouse.resource_acl (resource_id, principal_id, access) values (thing, '{tenant}', 'read')
               on conflict (tenant_id, resource_id, principal_id) do update set access = 'read';
             exception when insufficient_privilege then
               null;
             end;
           end loop;
         end
         $$"
    ))
    .await?;
    let touched = format!(
        "select resource_id from rowhouse.resource_acl where principal_id = '{tenant}' and updated_at >= now()"
    );
    let shared = ids(&mut tx, &touched).await?;
    tx.rollback().await;
    Ok([read, written, shared])
}

/// What the library's list shows a caller, page by page.
async fn listed(world: &World, context: &Context) -> Result<BTreeSet<Uuid>, Error> {
    let mut tx = world.house.begin(context).await?;
    let (mut all, mut filter) = (BTreeSet::new(), Filter::default());
    loop {
        let page = resources::list(&mut tx, &filter, 6).await?;
        filter.after = page.last().map(|last| (last.updated_at, last.id));
        let is_last = page.len() < 6;
        for shown in page {
            assert!(all.insert(shown.id.uuid()), "shown twice: {shown:?}");
        }
        if is_last {
            tx.rollback().await;
            return Ok(all);
        }
    }
}

pub async fn what_everybody_may_is_what_the_model_says(world: &World) {
    let walked = walk(world, 7, STEPS).await;
    let missing: Vec<&&str> = [
        "invite",
        "accept",
        "promote",
        "demote",
        "remove",
        "move",
        "into a project",
        "out of a project",
        "grant",
        "revoke",
        "suspend",
        "resume",
        "replace",
    ]
    .iter()
    .filter(|name| !walked.done.contains_key(**name))
    .collect();
    assert!(
        missing.is_empty(),
        "never done: {missing:?}: {:?}",
        walked.done
    );
}

/// Other walks each time: a test that fails prints its seed. Whether a kind of step came up is chance here, and asked of
/// the walk above.
#[cfg(test)]
#[tokio::test]
#[ignore = "long: make test.long"]
async fn walks_that_nobody_has_seen_before_end_where_the_model_says() {
    for _ in 0..6 {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        println!("seed {seed}");
        walk(&World::new().await, seed, 3 * STEPS).await;
    }
}

async fn walk(world: &World, seed: u64, steps: usize) -> House {
    let mut house = House::furnished(world, seed, 20).await;
    let mut looked_at = 0;
    for step in 0..=steps {
        if step > 0 {
            house.step(world).await;
        }
        for (who, context) in house.callers(world) {
            let facts = match in_fact(world, &context).await {
                Ok(facts) => facts,
                Err(Error::NotAMember | Error::TenantNotActive) => Default::default(),
                Err(error) => panic!("{error}"),
            };
            if step % 8 == 0 {
                let listed = listed(world, &context).await.unwrap_or_default();
                assert_eq!(
                    listed, facts[0],
                    "HOLE: the list of {who} after {step} steps"
                );
            }
            for (least, fact) in (1..).zip(&facts) {
                let model = house.model.holding(who, least);
                looked_at += model.len();
                assert_eq!(
                    *fact,
                    model,
                    "HOLE: after {step} steps, {who} ({:?}), right {least}: {:#?}",
                    house.model.members.get(&who),
                    fact.symmetric_difference(&model)
                        .map(|id| &house.model.things[id])
                        .collect::<Vec<_>>()
                );
            }
        }
    }
    assert!(
        looked_at > steps * 20,
        "the model allows next to nothing: {looked_at}"
    );
    house
}

/// Each principal, each action, each resource.
pub async fn explanations_agree_with_the_database(world: &World) {
    explanations_agree(world, 1, 15).await;
}

#[cfg(test)]
#[tokio::test]
#[ignore = "long: make test.long"]
async fn ten_thousand_explanations_agree_with_the_database() {
    let world = World::new().await;
    assert!(explanations_agree(&world, 11, 40).await > 10_000);
}

/// In each round 25 steps are done, and then everything is asked. How many questions that were.
async fn explanations_agree(world: &World, rounds: usize, things: usize) -> usize {
    let mut questions = 0;
    let mut house = House::furnished(world, 11, things as u128).await;
    // Its asker sees everything, so that he may ask about everything.
    let asker = Context::principal(world.alpha.id, world.job().await);
    for _ in 0..rounds {
        for _ in 0..25 {
            house.step(world).await;
        }
        if house.model.suspended {
            set_alpha(world, "active").await;
            house.model.suspended = false;
        }
        for (who, context) in house.callers(world) {
            let facts = match in_fact(world, &context).await {
                Err(Error::NotAMember) => Default::default(),
                facts => facts.unwrap(),
            };
            let everything = || {
                let actions = Action::ALL.iter().zip(&facts);
                actions.flat_map(|about| house.model.things.keys().map(move |id| (about, *id)))
            };
            let mut posed = Vec::new();
            let mut tx = world.house.begin(&asker).await.unwrap();
            for ((action, _), id) in everything() {
                let question = access::question(&mut tx, who.into(), *action, id.into()).await;
                posed.push(question.unwrap());
            }
            tx.commit().await.unwrap();
            for (((action, fact), id), question) in everything().zip(posed) {
                let said = question.answer(&world.house).await.unwrap();
                assert_eq!(
                    said.allowed,
                    fact.contains(&id),
                    "HOLE: {who} {action} {id}: {said:?}"
                );
                assert!(!said.because.is_empty(), "{who} {action} {id}: no reason");
                questions += 1;
            }
        }
    }
    let everything = rounds * things * (PEOPLE.len() + house.keys.len()) * Action::ALL.len();
    assert_eq!(questions, everything);
    questions
}
