//! What a request brings: path, query, body and conditions, each checked, and refused with the field and the rule.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, HeaderMap, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method};
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use rowhouse::idempotency;
use rowhouse::tx::Transaction;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::answer::Answer;
use crate::error::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The variable parts of a path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = parameters(parts, state).await?;
        serde_path_to_error::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(
            parameters.into_iter(),
        ))
        .map(Self)
        .map_err(|error| broken(error.path(), "path", &error.inner().to_string()))
    }
}

/// Name and text of each variable part of a path.
pub async fn parameters<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>, Problem> {
    use axum::extract::path::ErrorKind;
    use axum::extract::rejection::PathRejection;
    match axum::extract::Path::from_request_parts(parts, state).await {
        Ok(axum::extract::Path(parameters)) => Ok(parameters),
        Err(PathRejection::FailedToDeserializePathParams(failed)) => {
            Err(match failed.into_kind() {
                ErrorKind::InvalidUtf8InPathParam { key } => {
                    Problem::invalid(&key, "must be UTF-8")
                }
                other => Problem::invalid("path", &other.to_string()),
            })
        }
        // The path has no variable part.
        Err(_) => Ok(Vec::new()),
    }
}

/// The query of a URL.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs)
            .map(Self)
            .map_err(|error| broken(error.path(), "query", &error.inner().to_string()))
    }
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_change = request.method() == Method::PATCH;
        let headers = request.headers().clone();
        let bytes = read(request, state).await?;
        let body = parse(&headers, &bytes)?;
        if is_change {
            refuse_nulls(&bytes)?;
        }
        Ok(Self(body))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<axum::body::Bytes, Problem> {
    axum::body::Bytes::from_request(request, state)
        .await
        .map_err(|rejection| Problem::unread(rejection.into_response().status()))
}

fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(Problem::not_json());
    }
    object(bytes)
}

/// A JSON object, read from these bytes.
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Of an array, serde would take the values for an object's fields, in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::invalid("body", "must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| broken(error.path(), "body", &rule_of(error.inner())))?;
    json.end()
        .map_err(|error| Problem::invalid("body", &error.to_string()))?;
    Ok(parsed)
}

/// What a change does not name stays as it is, and nothing that it can name may be taken away.
fn refuse_nulls(bytes: &[u8]) -> Result<(), Problem> {
    let fields: BTreeMap<String, Option<IgnoredAny>> = serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid("body", &error.to_string()))?;
    match fields.iter().find(|(_, value)| value.is_none()) {
        Some((field, _)) => Err(Problem::invalid(
            field,
            "must not be null: leave out what is to stay",
        )),
        None => Ok(()),
    }
}

/// What was expected, without where in the text it was: the field says that.
fn rule_of(error: &serde_json::Error) -> String {
    let said = error.to_string();
    if said.starts_with("expected value at") {
        return "is of another type than it should be, or no JSON".to_owned();
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => said.trim_end_matches(&place).to_owned(),
        _ => format!("must be JSON: {said}"),
    }
}

/// A refusal does not send back more than a person reads of what was sent.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The field that breaks a rule. Of one that is missing, or there twice, serde tells the place where it should stand, and
/// its name in the rule only.
fn broken(path: &serde_path_to_error::Path, root: &str, rule: &str) -> Problem {
    let rule = match rule {
        "invalid digit found in string"
        | "cannot parse integer from empty string"
        | "number too large to fit in target type"
        | "number too small to fit in target type" => "must be a whole number within its bounds",
        rule => rule,
    };
    let path = path.to_string();
    let known = path.trim_end_matches('?').trim_end_matches('.');
    let place = Some(known.to_owned()).filter(|place| !place.is_empty());
    let name = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|beginning| rule.strip_prefix(beginning)?.split('`').next());
    let field = match (place, name) {
        (Some(place), Some(name)) if place != name && !place.ends_with(&format!(".{name}")) => {
            format!("{place}.{name}")
        }
        (Some(place), _) => place,
        (None, Some(name)) => name.to_owned(),
        (None, None) => root.to_owned(),
    };
    Problem::invalid(&shortened(&field, 100), &shortened(rule, 300))
}

/// A JSON body that asks for something new, and the `Idempotency-Key` that makes it safe to send twice.
pub struct Change<T> {
    /// What is asked for.
    pub body: T,
    /// Does it once.
    pub once: Once,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Change<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (method, uri, headers) = (
            request.method().clone(),
            request.uri().clone(),
            request.headers().clone(),
        );
        let bytes = read(request, state).await?;
        Ok(Self {
            once: Once::of(&headers, &method, uri.path(), &bytes)?,
            body: parse(&headers, &bytes)?,
        })
    }
}

/// A request that is done once, when it came with an `Idempotency-Key`.
pub struct Once(Option<idempotency::Request>);

impl Once {
    fn of(headers: &HeaderMap, method: &Method, path: &str, body: &[u8]) -> Result<Self, Problem> {
        let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
        match (keys.next(), keys.next()) {
            (None, _) => Ok(Self(None)),
            (Some(key), None) => {
                let key = key.to_str().unwrap_or_default();
                let request = idempotency::Request::new(key, method.as_str(), path, body)?;
                Ok(Self(Some(request)))
            }
            _ => Err(Problem::invalid("Idempotency-Key", "must be given once")),
        }
    }

    /// The answer of before, or what `work` answers now; kept in the transaction that does it.
    pub async fn answer<Tx: Transaction>(
        &self,
        tx: &mut Tx,
        work: impl AsyncFnOnce(&mut Tx) -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let Some(request) = &self.0 else {
            return work(tx).await;
        };
        if let Some(before) = idempotency::answered(tx, request).await? {
            return Ok(Answer::again(before));
        }
        let answer = work(tx).await?;
        idempotency::keep(tx, request, &answer.to_keep()).await?;
        Ok(answer)
    }
}

impl IntoParams for Once {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Idempotency-Key",
            "1 to 255 printable ASCII characters: the same request with the same key is done once",
            "^[!-~]{1,255}$",
        )]
    }
}

/// `If-Match`: when what is to be changed was last changed, as its reader saw it.
pub struct IfMatch(pub Option<Timestamp>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IF_MATCH).iter();
        let tag = match (values.next(), values.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(tag), None) => tag.to_str().unwrap_or_default().trim(),
            _ => "",
        };
        if tag == "*" {
            return Ok(Self(None));
        }
        tag.strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'))
            .and_then(|tag| tag.parse().ok())
            .and_then(moment)
            .map(|at| Self(Some(at)))
            .ok_or_else(|| Problem::invalid("If-Match", "must be one ETag of this service, or *"))
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "If-Match",
            "The ETag of what you read: refused with 412 when it has changed since",
            "^(\\*|\"[0-9]{1,18}\")$",
        )]
    }
}

fn header(name: &str, what: &str, pattern: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(what))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some(pattern)),
        ))
        .build()
}

/// A moment as clients hold it, in an `ETag` and in a cursor: microseconds since 1970. What lies before is none that we gave
/// out, and may be one that the database has no room for.
pub fn moment(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros)
        .ok()
        .filter(|at| *at >= Timestamp::UNIX_EPOCH)
}
