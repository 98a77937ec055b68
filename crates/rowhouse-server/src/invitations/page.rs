//! `/invitations/accept`: the page that the mail of an invitation leads to.
//!
//! Invariants: opening it changes nothing and asks the database nothing, since programs that look after mail open its links;
//! the form's POST accepts. The token in the form is all the authority there is: without a cookie, another site has nothing to
//! ride on. The page loads nothing, runs nothing, is kept by nobody, and does not tell other sites where its reader was.

use std::sync::OnceLock;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rowhouse::Rowhouse;
use rowhouse::invitations::{self, Accepted};
use sha2::{Digest as _, Sha256};

use super::api::PublicUrl;
use crate::app::RequestId;
use crate::error::Problem;
use crate::html::{escaped, shown};

/// The page of an invitation, for whoever opens the link in the mail. It accepts nothing.
#[utoipa::path(
    get, path = "/invitations/accept", tag = "invitations", operation_id = "show_page",
    params(("token" = String, Query, description = "What came by mail: `invite_` and 48 characters")),
    responses(
        (status = 200, content_type = "text/html"),
        (status = 404, description = "no invitation's token", content_type = "text/html"),
    ),
)]
pub async fn show(uri: Uri) -> Response {
    let token = field(uri.query().unwrap_or_default().as_bytes(), "token");
    if invitations::is_token(&token) {
        page(StatusCode::OK, "You are invited", &form(&token, "", None))
    } else {
        refusal(&rowhouse::Error::NotFound("invitation").into())
    }
}

/// Accept an invitation by the form of its page: `token` and `name`.
#[utoipa::path(
    post, path = "/invitations/accept", tag = "invitations", operation_id = "accept_page",
    responses(
        (status = 200, content_type = "text/html"),
        (status = 400, description = "a name that is none", content_type = "text/html"),
        (status = 403, description = "the tenant is closed", content_type = "text/html"),
        (status = 404, description = "no invitation's token", content_type = "text/html"),
        (status = 409, description = "a member already", content_type = "text/html"),
        (status = 410, description = "used, revoked or expired", content_type = "text/html"),
    ),
)]
pub async fn accept(
    State(house): State<Rowhouse>,
    Extension(url): Extension<PublicUrl>,
    Extension(request): Extension<RequestId>,
    body: Bytes,
) -> Response {
    let (token, name) = (field(&body, "token"), field(&body, "name"));
    if !invitations::is_token(&token) {
        return refusal(&rowhouse::Error::NotFound("invitation").into());
    }
    match invitations::accept(&house, &token, name.trim(), Some(&request.0)).await {
        Ok(came) => page(StatusCode::OK, "Welcome", &welcome(&came, &url)),
        Err(error) => {
            let problem = Problem::from(error);
            if problem.code() == "invalid" {
                let rule = problem.detail().trim_start_matches("name: ");
                let form = form(&token, &name, Some(rule));
                page(problem.status(), "You are invited", &form)
            } else {
                refusal(&problem)
            }
        }
    }
}

/// A field of a form; empty where there is none.
fn field(form: &[u8], name: &str) -> String {
    form_urlencoded::parse(form)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// `wrong` is which rule the name breaks.
fn form(token: &str, name: &str, wrong: Option<&str>) -> String {
    let (name, invalid) = (
        escaped(name),
        if wrong.is_some() { "true" } else { "false" },
    );
    let wrong = wrong.map_or_else(String::new, |rule| {
        format!(
            "<p class=\"wrong\" id=\"wrong\" role=\"alert\">Your name {}.</p>\n",
            shown(rule)
        )
    });
    format!(
        "<p>Give your name and accept. Nothing is accepted yet.</p>\n\
         <form method=\"post\" action=\"accept\">\n\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">\n\
         <label for=\"name\">Your name</label>\n\
         <input id=\"name\" name=\"name\" value=\"{name}\" required maxlength=\"200\" autocomplete=\"name\" autofocus \
         aria-invalid=\"{invalid}\" aria-describedby=\"wrong note\">\n{wrong}\
         <p class=\"note\" id=\"note\">As your colleagues see it. Whoever has been here before keeps the name that he has.</p>\n\
         <button>Accept the invitation</button>\n</form>\n\
         <p class=\"note\">If you did not expect this, close the page.</p>\n"
    )
}

fn welcome(came: &Accepted, url: &PublicUrl) -> String {
    format!(
        "<p>You are a member of <strong>{tenant}</strong> now. The invitation is used up.</p>\n\
         <h2>Your session</h2>\n\
         <p>It is shown this once, and good until <time datetime=\"{until}\">{day} UTC</time>. Whoever has it is you: keep it as you keep a \
         password, and leave this page when you have it.</p>\n\
         <pre tabindex=\"0\" aria-label=\"Your session\"><code>{session}</code></pre>\n\
         <p>A program sends it with each request. Who you are, and where you belong:</p>\n\
         <pre tabindex=\"0\" aria-label=\"A request\"><code>session={session}\n\
         curl -H \"Authorization: Bearer $session\" {url}/api/v1/me</code></pre>\n",
        tenant = shown(&came.tenant.name),
        until = came.session.expires_at,
        day = came.session.expires_at.strftime("%-d %B %Y, %H:%M"),
        session = came.session.secret.reveal(),
        url = escaped(&url.0),
    )
}

/// Why it was not accepted, and what to do about it.
fn refusal(problem: &Problem) -> Response {
    let (heading, why, way_out) = match problem.code() {
        "invitation-over" => (
            "This invitation is over",
            problem.detail(),
            "Ask whoever invited you for another one. If it was you who accepted it, you are in already.",
        ),
        "not-found" => (
            "This is no invitation",
            "the link is not whole, or was made elsewhere",
            "Open it once more from the mail, or copy all of it, up to its last character.",
        ),
        "taken" => (
            "You are a member already",
            "the invitation is for somebody who is in",
            "Go on with the session that you have.",
        ),
        "tenant-not-active" => (
            "This invitation has to wait",
            "those who invited you are closed at the moment",
            "Try again later: the invitation stays good until it ends.",
        ),
        _ => (
            "This did not work",
            problem.detail(),
            "Nothing was accepted. Try again in a while.",
        ),
    };
    let body = format!(
        "<p role=\"alert\">Nobody came in: {}.</p>\n<p>{way_out}</p>\n",
        shown(why)
    );
    page(problem.status(), heading, &body)
}

const STYLE: &str = "
:root { color-scheme: light dark }
body { font: 1.0625rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 34rem; padding: 1.5rem 1rem }
h1 { font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere } h2 { font-size: 1.2rem; margin-top: 2rem }
label { display: block; font-weight: 600; margin: 1.5rem 0 .4rem }
input, button { border: 1px solid GrayText; border-radius: .4rem; box-sizing: border-box; font: inherit; padding: .6rem .75rem; width: 100% }
button { background: #1f5fbf; border-color: #1f5fbf; color: #fff; cursor: pointer; font-weight: 600; margin-top: .5rem }
:focus-visible { outline: 3px solid #4c8dff; outline-offset: 2px }
.note { font-size: .9375rem; opacity: .85 } .wrong { font-weight: 600 }
[aria-invalid=true], .wrong { border-color: #d32f2f }
.wrong { border-left: .3rem solid #d32f2f; padding-left: .6rem }
pre { background: #8882; border-radius: .4rem; overflow-wrap: anywhere; padding: .75rem; white-space: pre-wrap }
";

/// Both are HTML.
fn page(status: StatusCode, heading: &str, main: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{heading}</title>\n<style>{STYLE}</style></head>\n\
         <body><main>\n<h1>{heading}</h1>\n{main}</main></body></html>\n"
    );
    let policy = [(header::CONTENT_SECURITY_POLICY, policy())];
    (status, policy, Html(html)).into_response()
}

/// Its own style, its own form, and nothing else.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    })
}
