//! The wall is taken down one piece at a time, each in a world of its own, and the check named beside it has to notice.
//!
//! `make mutants`. A check notices by failing with `HOLE`; another failure kills nothing. Before that, every check that
//! is named here has to pass in a whole world. Without `--ignored` nothing is done: `cargo test` has the checks anyway.

#![cfg(test)] // so that clippy sees helpers, too, as tests

#[path = "../it/attacks/mod.rs"]
mod attacks;
#[path = "../it/catalogue/mod.rs"]
mod catalogue;
#[path = "../it/deployments.rs"]
mod deployments;
#[path = "../it/mail.rs"]
mod mail;
#[path = "../it/people/mod.rs"]
mod people;
#[path = "../it/personas.rs"]
mod personas;
#[expect(dead_code, unused_imports, reason = "its other tests are tests only")]
#[path = "../it/pool/mod.rs"]
mod pool;
#[path = "../it/provisioning.rs"]
mod provisioning;
#[path = "../it/requests.rs"]
mod requests;
#[path = "../it/rights/mod.rs"]
mod rights;
mod taken;
#[path = "../it/trail.rs"]
mod trail;
#[path = "../it/wall/mod.rs"]
mod wall;
#[expect(dead_code, reason = "none of them is done to a database of nobody")]
#[path = "../it/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use futures_util::{FutureExt, StreamExt, stream};

use attacks::{Check, PATIENCE};
use taken::Mutation;

/// How many worlds at once.
const AT_ONCE: usize = 4;

/// `edit` replaces pieces of a function's text (`was`, `becomes`, ..), and fails where it does not find one.
const EDIT: &str = "
create function pg_temp.edit(function regproc, variadic pieces text[]) returns void language plpgsql as $$
declare
  definition text := pg_get_functiondef(function);
begin
  for n in 1 .. cardinality(pieces) by 2 loop
    if strpos(definition, pieces[n]) = 0 then
      raise exception '% does not hold: %', function, pieces[n];
    end if;
    definition := replace(definition, pieces[n], pieces[n + 1]);
  end loop;
  execute definition;
end
$$;
create function pg_temp.edit_policy(relation regclass, policy name, variadic pieces text[]) returns void language plpgsql as $$
declare
  used text;
  checked text;
begin
  select pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) into used, checked
  from pg_policy where polrelid = relation and polname = policy;
  for n in 1 .. cardinality(pieces) by 2 loop
    if strpos(concat(used, checked), pieces[n]) = 0 then
      raise exception '% does not hold: %, but %', policy, pieces[n], concat(used, checked);
    end if;
    used := replace(used, pieces[n], pieces[n + 1]);
    checked := replace(checked, pieces[n], pieces[n + 1]);
  end loop;
  execute format('alter policy %I on %s %s %s', policy, relation, 'using (' || used || ')', 'with check (' || checked || ')');
end
$$;
create function pg_temp.edit_view(relation regclass, variadic pieces text[]) returns void language plpgsql as $$
declare
  definition text := pg_get_viewdef(relation);
begin
  for n in 1 .. cardinality(pieces) by 2 loop
    if strpos(definition, pieces[n]) = 0 then
      raise exception '% does not hold: %', relation, pieces[n];
    end if;
    definition := replace(definition, pieces[n], pieces[n + 1]);
  end loop;
  execute format('create or replace view %s as %s', relation, definition);
end
$$;";

/// How a check ended: `Ok`, or what it said.
async fn run(check: Check, mutation: Option<&str>) -> Result<(), String> {
    let world = attacks::scene().await;
    if let Some(sql) = mutation {
        let root = world.superuser().await;
        root.batch_execute(EDIT).await.unwrap();
        if let Err(error) = root.batch_execute(sql).await {
            return Err(format!(
                "the mutation does not run: {:?}",
                error.as_db_error()
            ));
        }
    }
    let checked = AssertUnwindSafe(tokio::time::timeout(PATIENCE, check(&world)))
        .catch_unwind()
        .await;
    let outcome = match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("it takes too long".to_owned()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()),
    };
    attacks::tear_down(world).await;
    outcome
}

fn first_line(said: &str) -> String {
    let said = said
        .split("HOLE")
        .nth(1)
        .map_or(said, |rest| rest.trim_start_matches([':', ' ']));
    said.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(110)
        .collect()
}

async fn all() -> bool {
    let checks: BTreeMap<&str, Check> = [
        attacks::a_wall::CHECKS,
        attacks::a_wall::logins::CHECKS,
        attacks::b_ways_around::CHECKS,
        attacks::b_ways_around::changes::CHECKS,
        attacks::c_context::CHECKS,
        attacks::c_context::forged::CHECKS,
        attacks::c_context::keys::CHECKS,
        attacks::c_context::left_behind::CHECKS,
        attacks::d_keys::CHECKS,
        attacks::e_side_channels::CHECKS,
        attacks::p_projects::CHECKS,
        attacks::p_projects::context::CHECKS,
        catalogue::CHECKS,
        catalogue::functions::CHECKS,
        catalogue::grants::CHECKS,
        deployments::CHECKS,
        mail::CHECKS,
        requests::CHECKS,
        provisioning::CHECKS,
        rights::CHECKS,
        rights::lists::CHECKS,
        rights::rules::CHECKS,
        rights::two_tickets::CHECKS,
        trail::CHECKS,
        people::CHECKS,
        people::accepting::CHECKS,
        people::in_session::CHECKS,
        people::inviting::CHECKS,
        people::membership::CHECKS,
        people::project_admins::CHECKS,
        people::switching::CHECKS,
        personas::CHECKS,
        wall::CHECKS,
        wall::managing::CHECKS,
        wall::no_longer::CHECKS,
        wall::races::CHECKS,
        wall::tickets::CHECKS,
        pool::CHECKS,
    ]
    .concat()
    .into_iter()
    .collect();
    let only = std::env::var("ROWHOUSE_MUTANTS").unwrap_or_default();
    let mutations: Vec<Mutation> = taken::all()
        .filter(|(piece, _, _)| piece.contains(&only))
        .collect();
    let killers: BTreeSet<&str> = mutations.iter().map(|(_, _, killer)| *killer).collect();

    let mut fine = true;
    let whole: Vec<(&str, Result<(), String>)> = stream::iter(killers)
        .map(async |killer| (killer, run(checks[killer], None).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (killer, outcome) in whole {
        if let Err(said) = outcome {
            fine = false;
            eprintln!("RED IN A WHOLE WORLD  {killer}: {}", first_line(&said));
        }
    }
    let outcomes: Vec<(Mutation, Result<(), String>)> = stream::iter(mutations)
        .map(async |mutation| (mutation, run(checks[mutation.2], Some(mutation.1)).await))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let total = outcomes.len();
    let mut killed = 0;
    for ((piece, _, killer), outcome) in outcomes {
        match outcome {
            Err(said) if said.contains("HOLE") => {
                killed += 1;
                eprintln!(
                    "killed    {piece:<52} {killer}\n          {:<52} {}",
                    "",
                    first_line(&said)
                );
            }
            Err(said) => eprintln!("BROKEN    {piece:<52} {killer}\n          {said}"),
            Ok(()) => eprintln!("SURVIVED  {piece:<52} {killer}"),
        }
    }
    eprintln!("{killed} of {total} pieces were missed when they were gone");
    fine && killed == total
}

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--ignored") {
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    // What a check says goes into the table.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let fine = runtime.block_on(all());
    eprintln!("{} s", begun.elapsed().as_secs());
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
