//! The page that an invitation's mail leads to: opened it changes nothing, its form accepts, and what is refused is told to
//! people.

use rowhouse::members::Role;
use serde_json::json;

use crate::callers::{Call, Tenant, call, execute, fresh_slug, get, operator, text, uuid};
use crate::world::{Answer, shared};

const PAGE: &str = "/invitations/accept";

/// The form, as a browser sends it.
fn submit(token: &str, name: &str) -> Call {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("name", name)
        .finish();
    call("POST", PAGE)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
}

fn address() -> String {
    format!("{}@example.com", fresh_slug())
}

/// A page that loads nothing, runs nothing, is kept by nobody and stands in nobody's frame.
#[track_caller]
fn is_safe(page: &Answer) {
    let policy = page.header("content-security-policy").unwrap();
    for rule in [
        "default-src 'none'",
        "style-src 'sha256-",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(page.header("cache-control").unwrap().contains("no-store"));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.header("set-cookie").is_none());
    for loads in [
        "<script", "<link", "<img", "src=", "style=", "onload", "@import",
    ] {
        assert!(!page.body.contains(loads), "{loads}: {}", page.body);
    }
}

/// The session that a page shows.
fn session(page: &Answer) -> String {
    let at = page.body.find("ses_").unwrap();
    page.body[at..at + 36].to_owned()
}

#[test]
fn to_open_it_accepts_nothing_and_its_form_does() {
    let home = Tenant::founded();
    let email = address();
    let (id, token) = home.invited(&email, Role::Member);
    let before = home.footprint();
    for method in ["GET", "HEAD", "GET"] {
        let page = call(method, &format!("{PAGE}?token={token}")).gets(200);
        is_safe(&page);
        if method == "GET" {
            let field = format!(r#"name="token" value="{token}""#);
            for part in [
                &*field,
                r#"method="post" action="accept""#,
                r#"<label for="name">"#,
                r#"id="name""#,
                r#"<html lang="en">"#,
                "width=device-width",
                "color-scheme: light dark",
            ] {
                assert!(page.body.contains(part), "{part}: {}", page.body);
            }
        }
    }
    assert_eq!(home.footprint(), before, "opened, it changed something");

    let page = submit(&token, " Grace <b>Hopper</b> ").gets(200);
    is_safe(&page);
    assert!(
        page.body.contains("member of <strong><bdi>Tenant</bdi>"),
        "{}",
        page.body
    );
    let me = get("/api/v1/me").by(&session(&page)).gets(200).json();
    assert_eq!(me["tenant_id"], home.id);
    let accepted = get(&home.path(&format!("/invitations/{id}")))
        .by(operator())
        .gets(200)
        .json();
    assert_eq!(accepted["accepted_by"], me["user_id"]);
    let member = get(&home.path(&format!("/members/{}", text(&me["user_id"]))))
        .by(operator())
        .gets(200)
        .json();
    assert_eq!(member["name"], "Grace <b>Hopper</b>");
    // Neither is in the log, the address of the page included.
    let log = shared().log();
    assert!(!log.contains(&token) && !log.contains(&session(&page)));
}

#[test]
fn what_is_refused_is_told_to_people_and_leaves_nothing() {
    let home = Tenant::founded();
    let other = Tenant::founded();
    let made = |role| home.invited(&address(), role);
    let set = |id: &str, what: &str| {
        let id = uuid(id);
        execute(&format!(
            "update rowhouse.invitations set {what} where id = '{id}'"
        ));
    };
    let (_, used) = made(Role::Owner);
    submit(&used, "Grace Hopper").gets(200);
    let (revoked_id, revoked) = made(Role::Member);
    set(&revoked_id, "revoked_at = now()");
    let (expired_id, expired) = made(Role::Member);
    set(&expired_id, "expires_at = now()");
    let (_, closed) = other.invited(&address(), Role::Owner);
    call("POST", &other.path("/suspend"))
        .by(operator())
        .gets(200);
    let unknown = format!("invite_{}", "0".repeat(48));
    for (token, status, says) in [
        (&*used, 410, "the invitation was used"),
        (&revoked, 410, "the invitation was revoked"),
        (&expired, 410, "the invitation has expired"),
        (&closed, 403, "closed at the moment"),
        (&unknown, 404, "is no invitation"),
        (&used[..40], 404, "is no invitation"),
        ("\"><script>alert(1)</script>", 404, "is no invitation"),
        ("", 404, "is no invitation"),
    ] {
        let page = submit(token, "Grace Hopper").gets(status);
        is_safe(&page);
        assert!(page.body.contains(says), "{token}: {}", page.body);
        assert!(!page.body.contains("ses_"), "{}", page.body);
    }
    let email = address();
    let (_, first) = home.invited(&email, Role::Member);
    let (_, second) = home.invited(&email, Role::Member);
    submit(&first, "Grace Hopper").gets(200);
    let page = submit(&second, "Grace Hopper").gets(409);
    assert!(
        page.body.contains("You are a member already"),
        "{}",
        page.body
    );
    let members = get(&home.path("/members")).by(operator()).gets(200).json();
    assert_eq!(members["items"].as_array().unwrap().len(), 2);
    // A link that was cut, or that is somebody's own.
    for query in [
        "",
        "?token=",
        "?token=invite_",
        "?token=%22%3E%3Cscript%3E",
        "?other=1",
    ] {
        let page = get(&format!("{PAGE}{query}")).gets(404);
        is_safe(&page);
        assert!(page.body.contains("This is no invitation"), "{}", page.body);
    }
    // What is no form at all.
    for (kind, body) in [
        (
            "application/json",
            json!({ "token": used, "name": "x" }).to_string(),
        ),
        ("application/x-www-form-urlencoded", "%%%&=&&token".into()),
        ("text/plain", "\u{0}".into()),
    ] {
        let call = call("POST", PAGE).header("content-type", kind).body(body);
        is_safe(&call.gets(404));
    }
}

#[test]
fn a_name_that_is_none_is_asked_for_again() {
    let home = Tenant::founded();
    let (_, token) = home.invited(&address(), Role::Owner);
    for name in [
        "",
        " ",
        "a\nb",
        "\u{202e}evil",
        "<b>\n\"&'",
        &"x".repeat(201),
    ] {
        let page = submit(&token, name).gets(400);
        is_safe(&page);
        let field = format!(r#"name="token" value="{token}""#);
        assert!(page.body.contains(&field), "{}", page.body);
        assert!(
            page.body.contains(r#"aria-invalid="true""#),
            "{}",
            page.body
        );
        assert!(!page.body.contains("<b>"), "{}", page.body);
    }
    submit(&token, "Ada").gets(200);
}
