//! Invited and accepted: who learns the token, and what is said of an invitation that is no good.

use serde_json::{Value, json};

use super::{accept, address, invite, owned, token};
use crate::callers::{call, execute, fresh_slug, get, missing, number, post, text, uuid};
use crate::world::shared;

#[test]
fn an_invitation_shows_its_token_to_nobody() {
    let (home, owner) = owned();
    let email = address();
    let made = invite(&home, &owner.session, &email, "member")
        .once("once")
        .gets(201);
    let again = invite(&home, &owner.session, &email, "member")
        .once("once")
        .gets(201);
    assert_eq!(made.json(), again.json());
    let token = token(&email);
    let id = text(&made.json()["id"]);
    let one = get(&home.path(&format!("/invitations/{id}")))
        .by(&owner.session)
        .gets(200);
    let list = get(&home.path("/invitations")).by(&owner.session).gets(200);
    for answer in [&made, &one, &list] {
        assert!(
            answer.body.contains(&email) && !answer.body.contains(&token),
            "{answer:?}"
        );
        assert!(!answer.body.contains("digest"), "{answer:?}");
    }
    assert!(!shared().log().contains(&token) && !shared().log().contains(&email));
    accept(&token).gets(201);
    let one = get(&home.path(&format!("/invitations/{id}")))
        .by(&owner.session)
        .gets(200)
        .json();
    assert!(one["accepted_at"].is_string() && one["accepted_by"].is_string());
}

#[test]
fn an_invitation_that_is_over_says_why() {
    let (home, owner) = owned();
    let made = || {
        let email = address();
        let id = invite(&home, &owner.session, &email, "viewer")
            .gets(201)
            .json();
        (text(&id["id"]), token(&email))
    };
    let over = |token: &str, why: &str| {
        let answer = accept(token).refused(410, "invitation-over");
        assert_eq!(answer.json()["detail"], why);
    };
    let (_, used) = made();
    accept(&used).gets(201);
    over(&used, "the invitation was used");
    let (id, revoked) = made();
    let revoke = call("DELETE", &home.path(&format!("/invitations/{id}"))).by(&owner.session);
    revoke.gets(204);
    revoke.refused(410, "invitation-over");
    over(&revoked, "the invitation was revoked");
    let (id, expired) = made();
    execute(&format!(
        "update rowhouse.invitations set expires_at = now() where id = '{}'",
        uuid(&id)
    ));
    over(&expired, "the invitation has expired");
    // Another tenant's is not there.
    let (id, good) = made();
    let (other, theirs) = owned();
    call("DELETE", &other.path(&format!("/invitations/{id}")))
        .by(&theirs.session)
        .refused(404, "not-found");
    accept(&good).gets(201);
    accept("").refused(404, "not-found");
    accept(&good.replace("invite_", "ses_")).refused(404, "not-found");
}

#[test]
fn what_is_no_address_or_role_is_told_by_field() {
    let (home, owner) = owned();
    let invitations = format!(
        "select count(*) from rowhouse.invitations where tenant_id = '{}'",
        uuid(&home.id)
    );
    let before = number(&invitations);
    for email in [
        "",
        "nobody",
        "@example.com",
        "a@",
        "a@b@c",
        "a b@example.com",
        " a@example.com",
        "a@example.com ",
        "a@example.com\n",
        "a@example.com\r\nBcc: b@example.com",
        "a\u{0}@example.com",
        "Grace <grace@example.com>",
        "grace@example.com, eve@example.com",
        "\"grace\"@example.com",
        "a@ex\u{200b}ample.com",
        "a@\u{202e}moc.elpmaxe",
        "p\u{430}ypal@example.com",
        "grace@ex\u{430}mple.com",
        &format!("{}@example.com", "x".repeat(250)),
    ] {
        invite(&home, &owner.session, email, "member").invalid("email");
    }
    for role in ["", "Owner", "root", "system", "key"] {
        invite(&home, &owner.session, &address(), role).invalid("role");
    }
    let body = |extra: Value| {
        let mut body = json!({ "email": address(), "role": "member" });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        post(&home.path("/invitations"), &body).by(&owner.session)
    };
    for lasts in [json!(0), json!(-1), json!(2_592_001), json!("1")] {
        body(json!({ "lasts_seconds": lasts })).invalid("lasts_seconds");
    }
    body(json!({ "token": "mine" })).refused(400, "invalid");
    assert_eq!(number(&invitations), before);
    // Whole words in another alphabet are somebody's name.
    for email in [
        "пётр@пример.рф",
        "用户@例子.公司",
        "user+tag@sub.example.com",
    ] {
        let email = format!(
            "{}{email}",
            if email.is_ascii() {
                fresh_slug()
            } else {
                String::new()
            }
        );
        invite(&home, &owner.session, &email, "viewer").gets(201);
        accept(&token(&email)).gets(201);
    }
    for name in ["", " ", "a\nb", "\u{202e}evil"] {
        let body = json!({ "token": "invite_", "name": name });
        post("/api/v1/invitations/accept", &body).invalid("name");
    }
    let user = missing("usr");
    for (path, field) in [
        ("/members/x", "user"),
        (&*format!("/members/{}", missing("team")), "user"),
    ] {
        get(&home.path(path)).by(&owner.session).invalid(field);
    }
    let patch = call("PATCH", &home.path(&format!("/members/{user}"))).by(&owner.session);
    patch
        .clone()
        .json(&json!({ "role": "root" }))
        .invalid("role");
    patch
        .json(&json!({ "role": "member" }))
        .refused(404, "not-found");
}

#[test]
fn who_is_a_member_is_not_invited() {
    let (home, owner) = owned();
    let email = address();
    invite(&home, &owner.session, &email, "member").gets(201);
    let taken =
        invite(&home, &owner.session, &email.to_uppercase(), "viewer").refused(409, "taken");
    assert_eq!(taken.json()["field"], "email");
    accept(&token(&email)).gets(201);
    invite(&home, &owner.session, &email, "member").refused(409, "taken");
}
