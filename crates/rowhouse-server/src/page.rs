//! Lists, page by page: `limit` and `cursor` in the query, `items` and `next` in the answer.
//!
//! A cursor is where the page before ended (a moment and an id), bound to its caller, its tenant and its filter: it is a
//! 400 under any other. It holds nothing that its caller has not seen, so it needs no secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rowhouse::select::LONGEST_PAGE;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::Asker;
use crate::error::Problem;
use crate::input::moment;

/// How many rows a page has, when nothing is said.
pub const DEFAULT_LIMIT: u16 = 50;
/// How many rows a page may have. One less than the library's, which is asked for one more row to see whether there is a next page.
pub const LONGEST: u16 = LONGEST_PAGE - 1;
const BINDING: usize = 8;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Listing<T> {
    /// The rows.
    items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// The query of a list: its filter, and where it goes on. What it serializes to is its filter alone; `limit` and `cursor`,
/// which are the same in every list, are documented by openapi.rs.
pub trait Paged: Serialize {
    /// How many rows a page has.
    fn limit(&self) -> Option<u16>;
    /// Where the page before ended.
    fn cursor(&self) -> Option<&str>;
}

/// Says that a query's `limit` and `cursor` are those of a list.
macro_rules! paged {
    ($query:ident) => {
        impl crate::page::Paged for $query {
            fn limit(&self) -> Option<u16> {
                self.limit
            }

            fn cursor(&self) -> Option<&str> {
                self.cursor.as_deref()
            }
        }
    };
}
pub(crate) use paged;

/// Where a page begins and how long it is.
pub struct Page {
    limit: u16,
    after: Option<(Timestamp, Uuid)>,
    binding: [u8; BINDING],
}

impl Page {
    /// The page that this caller asks for in this query.
    pub fn of<Q: Paged>(query: &Q, asker: &impl Asker) -> Result<Self, Problem> {
        Self::of_part(query, asker, Uuid::nil())
    }

    /// The same, of a list that is a part of something.
    pub fn of_part<Q: Paged>(query: &Q, asker: &impl Asker, part: Uuid) -> Result<Self, Problem> {
        let limit = query.limit().unwrap_or(DEFAULT_LIMIT);
        if !(1..=LONGEST).contains(&limit) {
            return Err(Problem::invalid(
                "limit",
                &format!("must be 1 to {LONGEST}"),
            ));
        }
        let filter = serde_json::to_vec(query).unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(std::any::type_name::<Q>())
            .chain_update(asker.identity())
            .chain_update(part)
            .chain_update(filter)
            .finalize();
        let mut binding = [0; BINDING];
        binding.copy_from_slice(&digest[..BINDING]);
        let after = query
            .cursor()
            .map(|cursor| {
                decode(cursor, binding).ok_or_else(|| {
                    Problem::invalid(
                        "cursor",
                        "must be the `next` of a page of this list, with the same filter and by the same caller",
                    )
                })
            })
            .transpose()?;
        Ok(Self {
            limit,
            after,
            binding,
        })
    }

    /// Behind which row it begins, for the library.
    pub fn after<Id: From<Uuid>>(&self) -> Option<(Timestamp, Id)> {
        self.after.map(|(at, id)| (at, id.into()))
    }

    /// How many rows to ask for: one more than the page holds, to see whether there is a next one.
    pub fn limit(&self) -> u16 {
        self.limit + 1
    }

    /// The answer; `place` tells what the list is ordered by.
    pub fn listing<T>(
        &self,
        mut items: Vec<T>,
        place: impl Fn(&T) -> (Timestamp, Uuid),
    ) -> Listing<T> {
        let more = items.len() > usize::from(self.limit);
        items.truncate(usize::from(self.limit));
        let next = items.last().filter(|_| more).map(|last| {
            let (at, id) = place(last);
            let mut bytes = self.binding.to_vec();
            bytes.extend(at.as_microsecond().to_be_bytes());
            bytes.extend(id.as_bytes());
            URL_SAFE_NO_PAD.encode(bytes)
        });
        Listing { items, next }
    }
}

fn decode(cursor: &str, binding: [u8; BINDING]) -> Option<(Timestamp, Uuid)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let bytes = bytes.strip_prefix(&binding)?;
    let (at, id) = bytes.split_at_checked(8)?;
    let at = moment(i64::from_be_bytes(at.try_into().ok()?))?;
    Some((at, Uuid::from_slice(id).ok()?))
}
