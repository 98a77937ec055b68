//! One test binary for the library; each slice has a file here.

#![cfg(test)] // so that clippy sees helpers, too, as tests

mod abandoned;
mod attacks;
mod catalogue;
mod chinook;
mod deployments;
mod docs;
mod doctor;
mod embedded;
mod isolation;
mod keys;
mod mail;
mod names;
mod people;
mod personas;
mod plans;
mod pool;
mod probe;
mod provisioning;
mod requests;
mod resources;
mod rights;
mod schema;
mod tables;
mod trail;
mod wall;
mod world;

/// Each check is also a mutant's killer, found by its name.
#[test]
fn every_check_has_a_name_of_its_own() {
    let files: [&[(&str, attacks::Check)]; 38] = [
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
        pool::CHECKS,
        provisioning::CHECKS,
        people::CHECKS,
        people::accepting::CHECKS,
        people::in_session::CHECKS,
        people::inviting::CHECKS,
        people::membership::CHECKS,
        people::project_admins::CHECKS,
        people::switching::CHECKS,
        personas::CHECKS,
        requests::CHECKS,
        rights::CHECKS,
        rights::lists::CHECKS,
        rights::rules::CHECKS,
        rights::two_tickets::CHECKS,
        trail::CHECKS,
        wall::CHECKS,
        wall::managing::CHECKS,
        wall::no_longer::CHECKS,
        wall::races::CHECKS,
        wall::tickets::CHECKS,
    ];
    let mut names = std::collections::BTreeSet::new();
    for (name, _) in files.into_iter().flatten() {
        assert!(names.insert(name), "{name}");
    }
}
