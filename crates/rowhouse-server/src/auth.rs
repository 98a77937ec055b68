//! Who calls: extractors. A handler's signature says who may call it; one without an extractor of these has no way to a
//! tenant's rows, since only they give a transaction.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use rowhouse::{Context, Rowhouse, TenantTx, Ticket, keys};

use crate::error::Problem;

/// Whoever holds a ticket (`\x..`) or an API key (`tk_..`): a caller inside one tenant.
pub struct Caller {
    house: Rowhouse,
    credential: Credential,
}

enum Credential {
    Ticket(Ticket),
    Key(Context),
}

impl Caller {
    /// A transaction inside the caller's tenant. Whether the credential is still good shows at its first statement.
    pub async fn begin(&self) -> Result<TenantTx, Problem> {
        Ok(match &self.credential {
            Credential::Ticket(ticket) => self.house.begin_with_ticket(ticket.clone()).await?,
            Credential::Key(context) => self.house.begin(context).await?,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Rowhouse: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let house = Rowhouse::from_ref(state);
        let bearer = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(Problem::unauthorized)?;
        let credential = match bearer.parse() {
            Ok(ticket) => Credential::Ticket(ticket),
            Err(_) => Credential::Key(keys::authenticate(&house, bearer).await?),
        };
        Ok(Self { house, credential })
    }
}
