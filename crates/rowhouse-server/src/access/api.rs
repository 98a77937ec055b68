//! `/api/v1/tenants/{tenant}/access`: may this principal do that with this resource. In words of our own (`explain`), and
//! in those of `AuthZEN` 1.0 (`evaluation`, `evaluations`: <https://openid.net/specs/authorization-api-1_0.html>).

use axum::{Extension, Json};
use rowhouse::Error;
use rowhouse::access::{self, Action, Because, Explanation};
use rowhouse::ids::{KeyId, PrincipalId, ResourceId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::error::{Code, Problem};
use crate::input::{self, Body};
use crate::tenants::api::TenantPath;

/// How many questions may be asked at once.
const MOST_AT_ONCE: usize = 50;
const NOT_PERMITTED: &str = "not-permitted";

/// Who, what, with which.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The id of a user, key or principal, or of the tenant for what all its members may do.
    #[schema(pattern = "^(prn|usr|key|ten)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    principal: String,
    /// What is done.
    action: Action,
    /// With which resource.
    resource: ResourceId,
}

/// Say whether a principal may do something with a resource, and why; about others, for those who manage the tenant or the
/// resource.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/access/explain", tag = "access",
    params(TenantPath),
    request_body(content = Explain, example = json!({
        "principal": "key_01jb6zyr9ee0kt4bz5zp7cqr5h", "action": "write", "resource": "res_01jb6zyr9ee0kt4bz5zp7cqr5h"
    })),
    responses((status = 200, body = Explanation)),
    security(("caller" = [])),
)]
pub async fn explain(
    caller: Caller,
    Body(asked): Body<Explain>,
) -> Result<Json<Explanation>, Problem> {
    let principal = PrincipalId::named(&asked.principal)?;
    Ok(Json(
        ask(&caller, principal, asked.action, asked.resource).await?,
    ))
}

/// The caller's transaction ends before the question is put: that takes a transaction of its own.
async fn ask(
    caller: &Caller,
    principal: PrincipalId,
    action: Action,
    resource: ResourceId,
) -> Result<Explanation, Problem> {
    let mut tx = caller.begin().await?;
    let question = access::question(&mut tx, principal, action, resource).await?;
    tx.commit().await?;
    Ok(question.answer(caller.house()).await?)
}

/// Who asks to do something, as `AuthZEN` says it.
#[derive(Clone, Deserialize, ToSchema)]
pub struct Subject {
    /// `user`, `key`, or `tenant` for what all its members may do.
    r#type: String,
    /// Its id.
    id: String,
    /// Not looked at: what counts is what the database knows.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Option<Object>)]
    _properties: Option<Value>,
}

impl Subject {
    fn principal(&self) -> Result<PrincipalId, Problem> {
        Ok(match self.r#type.as_str() {
            "user" => self.id.parse::<UserId>()?.into(),
            "key" => self.id.parse::<KeyId>()?.into(),
            "tenant" => self.id.parse::<TenantId>()?.into(),
            _ => {
                return Err(Problem::invalid(
                    "subject.type",
                    "must be one of: user, key, tenant",
                ));
            }
        })
    }
}

/// What it asks to do.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(as = EvaluationAction)]
pub struct ActionName {
    /// `read`, `write` or `admin`.
    name: Action,
    /// Not looked at.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Option<Object>)]
    _properties: Option<Value>,
}

/// With what.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(as = EvaluationResource)]
pub struct ResourceName {
    /// `resource`.
    r#type: String,
    /// Its id.
    id: ResourceId,
    /// Not looked at.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Option<Object>)]
    _properties: Option<Value>,
}

/// A question, as `AuthZEN` puts it.
#[derive(Clone, Deserialize, ToSchema)]
pub struct Evaluation {
    /// Who.
    subject: Subject,
    /// What.
    action: ActionName,
    /// With which.
    resource: ResourceName,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Option<Object>)]
    _context: Option<Value>,
}

/// The answer, as `AuthZEN` gives it.
#[derive(Serialize, ToSchema)]
pub struct Decision {
    /// Whether it may.
    decision: bool,
    /// Why.
    context: Reasons,
}

/// Why.
#[derive(Serialize, ToSchema)]
pub struct Reasons {
    /// Through what; or what is missing.
    because: Vec<Because>,
    /// Why it was not decided, and is denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Undecided>,
}

/// What is wrong with one of several questions, as it would be told of one that stands alone.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationError)]
pub struct Undecided {
    /// The status.
    status: u16,
    /// The code of the problem.
    code: &'static str,
    /// Why.
    message: String,
}

impl Decision {
    fn denied(error: Option<Undecided>) -> Self {
        Self {
            decision: false,
            context: Reasons {
                because: Vec::new(),
                error,
            },
        }
    }
}

impl Undecided {
    /// Of a problem that the question has. What the service has, or the caller, all of them have.
    fn of(problem: &Problem) -> Option<Self> {
        matches!(problem.code(), "invalid" | NOT_PERMITTED).then(|| Self {
            status: problem.status().as_u16(),
            code: problem.code(),
            message: problem.detail().to_owned(),
        })
    }
}

impl Evaluation {
    /// What the caller does not see is denied as what is not there.
    async fn decide(&self, caller: &Caller) -> Result<Decision, Problem> {
        if self.resource.r#type != "resource" {
            return Err(Problem::invalid("resource.type", "must be: resource"));
        }
        let principal = self.subject.principal()?;
        let mut tx = caller.begin().await?;
        let question =
            access::question(&mut tx, principal, self.action.name, self.resource.id).await;
        let question = match question {
            Err(Error::NotFound(_)) => None,
            other => Some(other?),
        };
        tx.commit().await?;
        let Some(question) = question else {
            return Ok(Decision::denied(None));
        };
        let said = question.answer(caller.house()).await?;
        Ok(Decision {
            decision: said.allowed,
            context: Reasons {
                because: said.because,
                error: None,
            },
        })
    }
}

/// Decide, as `AuthZEN` asks for it.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/access/evaluation", tag = "access",
    params(TenantPath),
    request_body(content = Evaluation, example = json!({
        "subject": { "type": "key", "id": "key_01jb6zyr9ee0kt4bz5zp7cqr5h" },
        "action": { "name": "read" },
        "resource": { "type": "resource", "id": "res_01jb6zyr9ee0kt4bz5zp7cqr5h" }
    })),
    responses((status = 200, body = Decision)),
    security(("caller" = [])),
)]
pub async fn evaluation(
    caller: Caller,
    Body(asked): Body<Evaluation>,
) -> Result<Json<Decision>, Problem> {
    Ok(Json(asked.decide(&caller).await?))
}

/// Several questions; what one of them leaves out is what stands beside `evaluations`.
#[derive(Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "AuthZEN names it so")]
pub struct Evaluations {
    subject: Option<Subject>,
    action: Option<ActionName>,
    resource: Option<ResourceName>,
    /// Not looked at.
    #[serde(default, rename = "context")]
    #[schema(value_type = Option<Object>)]
    _context: Option<Value>,
    /// At most 50, each an object of `subject`, `action` and `resource`. Without any, what stands beside it is the one question,
    /// answered as by `evaluation`. One that cannot be decided, or is no such object, is denied, with its `error` in the context,
    /// and fails no other.
    #[serde(default)]
    #[schema(max_items = 50, value_type = Vec<Value>)]
    evaluations: Vec<Box<RawValue>>,
    #[serde(default)]
    options: Options,
}

impl Evaluations {
    async fn decide(&self, question: &RawValue, caller: &Caller) -> Result<Decision, Problem> {
        let part = input::object(question.get().as_bytes())?;
        self.fill(part)?.decide(caller).await
    }

    /// What a part leaves out is what stands beside it.
    fn fill(&self, part: Part) -> Result<Evaluation, Problem> {
        let missing = |field: &str| Problem::invalid(field, "must be given, here or for all");
        Ok(Evaluation {
            subject: part
                .subject
                .or_else(|| self.subject.clone())
                .ok_or_else(|| missing("subject"))?,
            action: part
                .action
                .or_else(|| self.action.clone())
                .ok_or_else(|| missing("action"))?,
            resource: part
                .resource
                .or_else(|| self.resource.clone())
                .ok_or_else(|| missing("resource"))?,
            _context: None,
        })
    }
}

/// One of several questions.
#[derive(Default, Deserialize)]
pub struct Part {
    subject: Option<Subject>,
    action: Option<ActionName>,
    resource: Option<ResourceName>,
    /// Not looked at.
    #[serde(default, rename = "context")]
    _context: Option<Value>,
}

/// How several questions are answered.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = EvaluationOptions)]
pub struct Options {
    #[serde(default)]
    evaluations_semantic: Semantic,
}

/// When to stop.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EvaluationsSemantic)]
pub enum Semantic {
    /// All of them.
    #[default]
    ExecuteAll,
    /// Behind the first that is denied.
    DenyOnFirstDeny,
    /// Behind the first that is permitted.
    PermitOnFirstPermit,
}

/// The answers, in the order of the questions; of one question that stood alone, its own.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Decisions {
    /// Of several.
    Several {
        /// As they were asked.
        evaluations: Vec<Decision>,
    },
    /// Of one.
    One(Decision),
}

/// Decide several things at once, as `AuthZEN` asks for it. One that cannot be decided is denied, and says why.
#[utoipa::path(
    post, path = "/api/v1/tenants/{tenant}/access/evaluations", tag = "access",
    params(TenantPath),
    request_body(content = Evaluations, example = json!({
        "subject": { "type": "key", "id": "key_01jb6zyr9ee0kt4bz5zp7cqr5h" },
        "resource": { "type": "resource", "id": "res_01jb6zyr9ee0kt4bz5zp7cqr5h" },
        "evaluations": [{ "action": { "name": "read" } }, { "action": { "name": "write" } }]
    })),
    responses((status = 200, body = Decisions)),
    security(("caller" = [])),
)]
pub async fn evaluations(
    caller: Caller,
    Body(asked): Body<Evaluations>,
) -> Result<(Option<Extension<Code>>, Json<Decisions>), Problem> {
    if asked.evaluations.len() > MOST_AT_ONCE {
        return Err(Problem::invalid(
            "evaluations",
            &format!("must be at most {MOST_AT_ONCE}"),
        ));
    }
    if asked.evaluations.is_empty() {
        let decision = asked.fill(Part::default())?.decide(&caller).await?;
        return Ok((None, Json(Decisions::One(decision))));
    }
    let mut evaluations = Vec::new();
    // A refusal stands in the trail, also where it is a part of an answer.
    let mut refused = None;
    for question in &asked.evaluations {
        let decision = match asked.decide(question, &caller).await {
            Ok(decision) => decision,
            Err(problem) => {
                let undecided = Undecided::of(&problem).ok_or(problem)?;
                if undecided.code == NOT_PERMITTED {
                    refused = Some(Extension(Code(NOT_PERMITTED)));
                }
                Decision::denied(Some(undecided))
            }
        };
        let enough = match asked.options.evaluations_semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision.decision,
            Semantic::PermitOnFirstPermit => decision.decision,
        };
        evaluations.push(decision);
        if enough {
            break;
        }
    }
    Ok((refused, Json(Decisions::Several { evaluations })))
}
