//! Who calls: extractors. A handler's signature says who may call it; one without an extractor of these has no way to a
//! row, since only they give a transaction.
//!
//! - [`Operator`]: runs the platform. The registry.
//! - [`Caller`]: is inside one tenant, by ticket, session or API key. Its content.
//! - [`Person`]: has a session. What a user does across tenants.
//! - [`Insider`]: either of the two. The tenant's administration.
//!
//! Where the path names a tenant, it has to be the caller's own: any other is answered as one that does not exist, by the
//! same bytes and after the same work.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use rowhouse::ids::{PrincipalId, TenantId};
use rowhouse::sessions::{MadeSession, RequestContext};
use rowhouse::{
    Context, Error, PlatformTx, Rowhouse, TenantTx, Ticket, keys, operators, sessions, tenants,
};
use uuid::Uuid;

use crate::app::RequestId;
use crate::error::Problem;
use crate::input::parameters;
use crate::trail::{Known, Witness};

/// Whoever runs the platform, by an operator's token (`op_..`).
#[derive(Clone)]
pub struct Operator {
    house: Rowhouse,
    operator: rowhouse::Operator,
}

impl Operator {
    /// A transaction of the registry.
    pub async fn begin(&self) -> rowhouse::Result<PlatformTx> {
        self.house.begin_platform_as(self.operator.clone()).await
    }

    /// A transaction inside a tenant, as the platform: its administration, and its row in the registry.
    pub async fn inside(&self, tenant: &str) -> Result<TenantTx, Problem> {
        let mut tx = self.begin().await?;
        let tenant = tenants::find(&mut tx, tenant).await?;
        Ok(tx.inside(tenant.id).await?)
    }
}

/// Whoever holds a ticket (`\x..`), a session (`ses_..`) or an API key (`tk_..`): a caller inside one tenant.
#[derive(Clone)]
pub struct Caller {
    house: Rowhouse,
    request: RequestId,
    credential: Credential,
}

#[derive(Clone)]
enum Credential {
    Ticket(Ticket),
    /// Of a session or a key.
    Known(Context),
}

impl Caller {
    async fn holding(bearer: &str, house: &Rowhouse, request: RequestId) -> Result<Self, Problem> {
        let credential = match bearer.parse() {
            Ok(ticket) => Credential::Ticket(ticket),
            Err(_) if sessions::is_token(bearer) => {
                Credential::Known(sessions::authenticate(house, bearer).await?)
            }
            Err(_) => Credential::Known(keys::authenticate(house, bearer).await?),
        };
        Ok(Self {
            house: house.clone(),
            request,
            credential,
        })
    }

    /// Where the caller's transactions come from.
    pub fn house(&self) -> &Rowhouse {
        &self.house
    }

    /// A transaction inside the caller's tenant. Whether the credential is still good shows at its first statement.
    pub async fn begin(&self) -> rowhouse::Result<TenantTx> {
        let tx = match &self.credential {
            Credential::Ticket(ticket) => self.house.begin_with_ticket(ticket.clone()).await?,
            Credential::Known(context) => self.house.begin(context).await?,
        };
        Ok(tx.with_request_id(&self.request.0))
    }

    /// The tenant that the caller is inside of, as the credential says.
    pub fn tenant(&self) -> TenantId {
        match &self.credential {
            Credential::Ticket(ticket) => ticket.claimed_tenant(),
            Credential::Known(context) => context.tenant_id(),
        }
    }

    /// Who the caller is there, as the credential says.
    pub fn principal(&self) -> PrincipalId {
        match &self.credential {
            Credential::Ticket(ticket) => ticket.claimed_principal(),
            Credential::Known(context) => context.principal_id(),
        }
    }

    /// Whether the credential was given out by us, so that its holder may be told what is wrong with his request before the
    /// database says whether it is still good. A ticket that somebody made up would else tell him, by the difference, which
    /// slug belongs to the id that he wrote into it.
    async fn is_known(&self) -> rowhouse::Result<bool> {
        match &self.credential {
            Credential::Ticket(ticket) => self.house.minted(ticket).await,
            Credential::Known(_) => Ok(true),
        }
    }

    /// Asks the database whether the credential is good, before a refusal that only its holder may see: to whoever made
    /// one up, every answer is the same.
    async fn verify(&self) -> rowhouse::Result<()> {
        let mut tx = self.begin().await?;
        tx.execute("select", &[]).await?;
        tx.commit().await
    }

    /// Whether the path names the caller's own tenant. Only to who holds a good credential it is said that it does not.
    async fn is_at_home_in(&self, tenant: &str) -> rowhouse::Result<bool> {
        let named = match tenant.parse() {
            Ok(id) => Some(id),
            Err(_) => self.house.leads_to(tenant).await?,
        };
        if named == Some(self.tenant()) {
            tracing::Span::current().record("tenant_id", tracing::field::display(self.tenant()));
            Ok(true)
        } else {
            self.verify().await?;
            Ok(false)
        }
    }
}

/// Whoever has a session: a user, who may have others elsewhere.
pub struct Person {
    house: Rowhouse,
    context: Context,
    witness: Witness,
}

impl Person {
    /// What the user may ask for, in all tenants.
    pub async fn request_context(&self) -> Result<RequestContext, Problem> {
        Ok(RequestContext::of_session(&self.house, &self.context).await?)
    }

    /// A session of the same user in the tenant that the path names. One where the user does not belong is answered as one
    /// that does not exist, after the same work.
    pub async fn switch(&self, tenant: &str) -> Result<MadeSession, Problem> {
        let named = match tenant.parse() {
            Ok(id) => Some(id),
            Err(_) => self.house.leads_to(tenant).await?,
        };
        let to = named.unwrap_or_else(|| Uuid::nil().into());
        match sessions::switch(&self.house, &self.context, to).await {
            Err(Error::NotFound(_)) => {
                self.witness.strays();
                Err(Problem::no_such_tenant())
            }
            other => Ok(other?),
        }
    }
}

/// An operator, or a caller inside the tenant.
pub enum Insider {
    /// Runs the platform, and came for this tenant.
    Operator(Operator, String),
    /// Is inside it.
    Caller(Caller),
}

impl Insider {
    /// A transaction inside the tenant: as the platform, or as the caller.
    pub async fn begin(&self) -> Result<TenantTx, Problem> {
        match self {
            Self::Operator(operator, tenant) => operator.inside(tenant).await,
            Self::Caller(caller) => Ok(caller.begin().await?),
        }
    }
}

/// Whom a cursor or a list belongs to.
pub trait Asker {
    /// Bytes that tell this caller, in this tenant, from every other.
    fn identity(&self) -> Vec<u8>;
}

impl Asker for Operator {
    fn identity(&self) -> Vec<u8> {
        let id = self
            .operator
            .id()
            .map_or(Uuid::nil(), rowhouse::ids::OperatorTokenId::uuid);
        id.as_bytes().to_vec()
    }
}

impl Asker for Caller {
    fn identity(&self) -> Vec<u8> {
        [self.tenant().uuid(), self.principal().uuid()]
            .iter()
            .flat_map(|id| *id.as_bytes())
            .collect()
    }
}

impl Asker for Insider {
    fn identity(&self) -> Vec<u8> {
        match self {
            Self::Operator(operator, tenant) => [&operator.identity(), tenant.as_bytes()].concat(),
            Self::Caller(caller) => caller.identity(),
        }
    }
}

/// What stands behind `Bearer`.
fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, credential)| credential)
            .ok_or_else(Problem::unauthorized),
        _ => Err(Problem::unauthorized()),
    }
}

/// The tenant that the path names, where it names one.
async fn tenant_of<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Option<String>, Problem> {
    let parameters = parameters(parts, state).await?;
    Ok(parameters
        .into_iter()
        .find(|(name, _)| name == "tenant")
        .map(|(_, value)| value))
}

impl<S: Send + Sync> FromRequestParts<S> for Operator
where
    Rowhouse: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(parts)?;
        let house = Rowhouse::from_ref(state);
        if !operators::is_token(token) {
            // Somebody's ticket or key opens no operator's door, whatever it is good for, and in whatever state its tenant is.
            let caller = Caller::holding(token, &house, RequestId::of(parts)).await?;
            return Err(match caller.verify().await {
                Ok(()) | Err(Error::TenantNotActive) => {
                    Witness::of(parts).saw(Known::Caller(caller));
                    Problem::operators_only()
                }
                Err(refused) => refused.into(),
            });
        }
        let mut tx = house.begin_platform().await?;
        let operator = operators::verify(&mut tx, token).await?;
        tx.commit().await?;
        let operator = operator.ok_or_else(Problem::unauthorized)?;
        let request = RequestId::of(parts);
        let operator = Self {
            house,
            operator: operator.with_request_id(request.0),
        };
        Witness::of(parts).saw(Known::Operator(operator.clone()));
        Ok(operator)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Rowhouse: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if operators::is_token(bearer(parts)?) {
            Operator::from_request_parts(parts, state).await?;
            return Err(Error::SupportAccessRequired.into());
        }
        let house = Rowhouse::from_ref(state);
        let caller = Self::holding(bearer(parts)?, &house, RequestId::of(parts)).await?;
        if !caller.is_known().await? {
            caller.verify().await?;
        }
        Witness::of(parts).saw(Known::Caller(caller.clone()));
        if let Some(tenant) = tenant_of(parts, state).await?
            && !caller.is_at_home_in(&tenant).await?
        {
            Witness::of(parts).strays();
            return Err(Problem::no_such_tenant());
        }
        Ok(caller)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Insider
where
    Rowhouse: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if operators::is_token(bearer(parts)?) {
            let operator = Operator::from_request_parts(parts, state).await?;
            let tenant = tenant_of(parts, state)
                .await?
                .ok_or_else(Problem::no_such_tenant)?;
            return Ok(Self::Operator(operator, tenant));
        }
        Ok(Self::Caller(
            Caller::from_request_parts(parts, state).await?,
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person
where
    Rowhouse: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(parts)?;
        if !sessions::is_token(token) {
            if operators::is_token(token) {
                Operator::from_request_parts(parts, state).await?;
                return Err(Error::SupportAccessRequired.into());
            }
            // Somebody's key or ticket is no person, whatever else it is good for.
            let house = Rowhouse::from_ref(state);
            let caller = Caller::holding(token, &house, RequestId::of(parts)).await?;
            caller.verify().await?;
            Witness::of(parts).saw(Known::Caller(caller));
            return Err(Error::NotPermitted("only a session may do this".into()).into());
        }
        let house = Rowhouse::from_ref(state);
        let context = sessions::authenticate(&house, token).await?;
        let request = RequestId::of(parts);
        let context = context.with_request_id(request.0.clone());
        let caller = Caller {
            house: house.clone(),
            request,
            credential: Credential::Known(context.clone()),
        };
        let witness = Witness::of(parts);
        witness.saw(Known::Caller(caller));
        Ok(Self {
            house,
            context,
            witness,
        })
    }
}
