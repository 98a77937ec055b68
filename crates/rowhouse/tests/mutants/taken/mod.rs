//! The pieces.

mod inside;
mod people;
mod seal;
mod wall;
mod work;

/// The piece, the SQL that takes it away as superuser, the check that has to notice.
pub type Mutation = (&'static str, &'static str, &'static str);

/// All of them.
pub fn all() -> impl Iterator<Item = Mutation> {
    [
        wall::POLICIES,
        wall::RIGHTS,
        wall::KEYS,
        seal::SEAL,
        seal::ENTER,
        seal::RESIDUE,
        people::LIVENESS,
        people::PEOPLE,
        inside::INSIDE,
        inside::DEPLOYED,
        work::PROVISIONING,
        work::MAIL,
        work::REQUESTS,
        work::TRAIL,
    ]
    .into_iter()
    .flatten()
    .copied()
}
