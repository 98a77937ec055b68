//! What stands around a body: the path, the query, the cursor in it, the credential.

use serde_json::json;

use crate::callers::{Call, Tenant, call, get, missing, operator, post, text};

#[test]
fn an_id_of_another_kind_is_told_from_one_that_is_missing() {
    let home = Tenant::founded();
    let writer = home.writer();
    let ask = |method: &str, rest: &str| call(method, &home.path(rest)).by(&writer);
    for wrong in [
        "x",
        "res_",
        &missing("wsp"),
        "res_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "res_01H455VB4PEX5VSKNK084SN02Q",
        "%00",
        "%ff",
    ] {
        let rest = format!("/resources/{wrong}");
        ask("GET", &rest).invalid("resource");
        ask("DELETE", &rest).invalid("resource");
        ask("POST", &format!("{rest}/restore")).invalid("resource");
        ask("GET", &format!("{rest}/acl")).invalid("resource");
    }
    ask("GET", &format!("/workspaces/{}", missing("res"))).invalid("workspace");
    ask("GET", &format!("/keys/{}", missing("res"))).invalid("key");
    let resource = text(&home.resource("Subject")["id"]);
    for wrong in ["x", &missing("res"), "prn_1"] {
        ask("DELETE", &format!("/resources/{resource}/acl/{wrong}")).invalid("principal");
    }
    ask("GET", &format!("/resources/{}", missing("res"))).refused(404, "not-found");
    ask("GET", &format!("/workspaces/{}", missing("wsp"))).refused(404, "not-found");
    ask("GET", &format!("/keys/{}", missing("key"))).refused(404, "not-found");
    ask(
        "DELETE",
        &format!("/resources/{resource}/acl/{}", missing("prn")),
    )
    .refused(404, "not-found");
}

#[test]
fn a_tenant_that_no_text_can_name_is_not_there() {
    let home = Tenant::founded();
    let before = home.footprint();
    for name in [
        "%ff",
        "%00",
        "%2e%2e",
        "%20",
        "a%2fb",
        "ten_x",
        &"x".repeat(3000),
        &home.slug.to_uppercase(),
    ] {
        for bearer in [home.writer().as_str(), operator()] {
            let path = format!("/api/v1/tenants/{name}/workspaces");
            let answer = get(&path).by(bearer).send();
            assert!([400, 404].contains(&answer.status), "{name}: {answer:?}");
        }
        let body = json!({ "type": "prompt", "title": "Lost" });
        let answer = post(&format!("/api/v1/tenants/{name}/resources"), &body)
            .by(&home.writer())
            .send();
        assert!([400, 404].contains(&answer.status), "{name}: {answer:?}");
    }
    assert_eq!(home.footprint(), before);
}

#[test]
fn a_query_is_refused_by_field_and_rule() {
    let home = Tenant::founded();
    let writer = home.writer();
    let cases: &[(&str, &str, &str)] = &[
        ("/resources", "limit=0", "limit"),
        ("/resources", "limit=200", "limit"),
        ("/resources", "limit=-1", "limit"),
        ("/resources", "limit=70000", "limit"),
        ("/resources", "limit=x", "limit"),
        ("/resources", "limit=", "limit"),
        ("/resources", "type=poem", "type"),
        ("/resources", "visibility=", "visibility"),
        ("/resources", "workspace=x", "workspace"),
        ("/resources", "q=", "q"),
        ("/resources", "q=%00", "q"),
        ("/resources", "q=%E2%80%AE", "q"),
        ("/resources", "cursor=", "cursor"),
        ("/resources", "cursor=x", "cursor"),
        ("/resources", "cursor=AAAA", "cursor"),
        ("/resources", "cursor=%ff%fe", "cursor"),
        ("/audit", "action=Bad", "action"),
        ("/audit", "action=resources", "action"),
        ("/audit", "actor=res_1", "actor"),
        ("/audit", "resource=x", "resource"),
        ("/audit", "workspace=x", "workspace"),
        ("/keys", "limit=0", "limit"),
        ("/workspaces", "cursor=x", "cursor"),
        ("/deployments", "resource=x", "resource"),
        ("/deployments", "status=running", "status"),
        ("/deployments", "cursor=x", "cursor"),
        ("/personas", "key=x", "key"),
        ("/personas", "cursor=x", "cursor"),
    ];
    for (list, query, field) in cases {
        get(&home.path(&format!("{list}?{query}")))
            .by(&writer)
            .invalid(field);
    }
    let long = format!("/resources?q={}", "x".repeat(201));
    get(&home.path(&long)).by(&writer).invalid("q");
    // Twice the same, and what nobody knows: both are refused instead of being overlooked.
    for list in [
        "/resources",
        "/audit",
        "/keys",
        "/workspaces",
        "/deployments",
        "/personas",
    ] {
        get(&home.path(&format!("{list}?limit=1&limit=2")))
            .by(&writer)
            .invalid("limit");
        get(&home.path(&format!("{list}?tenant_id=x")))
            .by(&writer)
            .invalid("tenant_id");
        get(&home.path(&format!("{list}?limit=1")))
            .by(&writer)
            .gets(200);
    }
    for query in [
        "kind=company",
        "plan=gold",
        "status=gone",
        "limit=0",
        "q=%07",
        "cursor=x",
    ] {
        let field = query.split('=').next().unwrap();
        get(&format!("/api/v1/tenants?{query}"))
            .by(operator())
            .invalid(field);
    }
}

#[test]
fn moments_beyond_what_the_database_knows_are_refused() {
    let home = Tenant::founded();
    let (writer, resource) = (home.writer(), home.resource("Subject"));
    let one = home.path(&format!("/resources/{}", text(&resource["id"])));
    let before = home.footprint();
    let delete = |tag: &str| call("DELETE", &one).by(&writer).header("if-match", tag);
    for tag in [
        "",
        "x",
        "\"x\"",
        "\"\"",
        "1",
        "W/\"1\"",
        "\"1\", \"2\"",
        "\"99999999999999999999\"",
        "\"1",
        "**",
    ] {
        delete(tag).invalid("If-Match");
    }
    delete("*").header("if-match", "*").invalid("If-Match");
    for (tag, status) in [
        ("\"-377705023201000000\"", 400),
        ("\"253402207200000000\"", 412),
        ("\"0\"", 412),
        ("\"-1\"", 400),
    ] {
        let answer = delete(tag).send();
        assert_eq!(answer.status, status, "{tag}: {answer:?}");
    }
    for moment in [
        "-009999-01-02T01:59:59Z",
        "1999-01-01T00:00:00Z",
        "yesterday",
        "2031-02-30T00:00:00Z",
        "+010000-01-01T00:00:00Z",
    ] {
        let body = json!({ "name": "key", "permissions": ["read"], "expires_at": moment });
        post(&home.path("/keys"), &body)
            .by(operator())
            .invalid("expires_at");
    }
    assert_eq!(home.footprint(), before);
}

/// None of these is told from the others, wherever it is presented.
#[test]
fn a_credential_that_is_not_good_is_no_credential() {
    let (home, other) = (Tenant::founded(), Tenant::founded());
    let (id, key) = home.key(&["read", "write"]);
    let (_, revoked) = home.key(&["read"]);
    let revoked_id =
        text(&get(&home.path("/keys")).by(operator()).gets(200).json()["items"][0]["id"]);
    let resources = home.path("/resources");
    get(&resources).by(&key).gets(200);
    get(&resources).by(&revoked).gets(200);
    call("DELETE", &home.path(&format!("/keys/{revoked_id}")))
        .by(operator())
        .gets(204);
    let ticket = home.writer();
    let forged = format!(
        "{}{}",
        &ticket[..ticket.len() - 2],
        if ticket.ends_with("00") { "11" } else { "00" }
    );
    // Made for another tenant, and signed for this one.
    let (mine, theirs) = (ticket.clone(), other.writer());
    let grafted = format!("{}{}{}", &mine[..6], &theirs[6..38], &mine[38..]);
    let token = operator();
    let nobody = get(&resources).refused(401, "unauthorized");
    let flipped = if key.ends_with('0') { "1" } else { "0" };
    let bad: Vec<String> = vec![
        key[..key.len() - 1].to_owned(),
        format!("{key}0"),
        format!("{}{flipped}", &key[..key.len() - 1]),
        key.to_uppercase(),
        key.replacen("tk_", "op_", 1),
        token.replacen("op_", "tk_", 1),
        token[..token.len() - 1].to_owned(),
        format!("{key} {token}"),
        id,
        home.id.clone(),
        revoked.clone(),
        forged,
        grafted,
        ticket[..ticket.len() - 2].to_owned(),
        "\\x".to_owned(),
        "null".to_owned(),
    ];
    let before = home.footprint();
    let made = json!({ "type": "prompt", "title": "Bad" });
    for credential in &bad {
        for path in [
            &resources,
            &home.path(""),
            &other.path("/keys"),
            &"/api/v1/tenants".to_owned(),
            &"/_int/tenancy/ping".to_owned(),
        ] {
            let answer = get(path).by(credential).send();
            assert_eq!(
                (answer.status, &answer.body),
                (401, &nobody.body),
                "{path}: {credential}"
            );
        }
        post(&resources, &made)
            .by(credential)
            .refused(401, "unauthorized");
        // What is wrong with a request is told to nobody who made his credential up: by that he would learn which slug belongs
        // to the id that he wrote into a ticket.
        if *credential != revoked {
            for tenant in [&home, &other] {
                let list = tenant.path("/resources?cursor=x");
                get(&list).by(credential).refused(401, "unauthorized");
                call("POST", &tenant.path("/resources"))
                    .body("{")
                    .by(credential)
                    .refused(401, "unauthorized");
            }
        }
    }
    get(&home.path("/resources?cursor=x"))
        .by(&ticket)
        .invalid("cursor");
    for header in [
        format!("Basic {key}"),
        key.clone(),
        format!("bearer{key}"),
        format!("Bearer  {key}"),
    ] {
        get(&resources)
            .header("authorization", &header)
            .refused(401, "unauthorized");
    }
    get(&resources)
        .header("authorization", &format!("bearer {key}"))
        .gets(200);
    // Two credentials are none, also when both are good.
    get(&resources)
        .by(&key)
        .by(&key)
        .refused(401, "unauthorized");
    get(&resources)
        .by(&key)
        .by(operator())
        .refused(401, "unauthorized");
    assert_eq!(home.footprint(), before);
    get(&resources).by(&key).gets(200);
}

#[test]
fn a_cursor_is_good_for_its_own_list_filter_and_caller_only() {
    let home = Tenant::founded();
    let other = Tenant::founded();
    for title in ["One", "Two", "Three"] {
        home.resource(title);
        other.resource(title);
    }
    let (writer, reader) = (home.writer(), home.reader());
    let member = home.member(rowhouse::members::Role::Member);
    let list = |tenant: &Tenant, rest: &str, by: &str| get(&tenant.path(rest)).by(by);
    let cursor = |call: Call| text(&call.gets(200).json()["next"]);
    let mine = cursor(list(&home, "/resources?limit=1", &writer));
    let on =
        |tenant: &Tenant, rest: &str, by: &str| list(tenant, &format!("{rest}cursor={mine}"), by);
    on(&home, "/resources?", &writer).gets(200);
    on(&home, "/resources?limit=2&", &reader).gets(200); // the same principal, another length
    on(&home, "/resources?type=prompt&", &writer).invalid("cursor");
    on(&home, "/resources?q=o&", &writer).invalid("cursor");
    on(&home, "/audit?", &writer).invalid("cursor");
    on(&home, "/workspaces?", &writer).invalid("cursor");
    on(&home, "/keys?", &writer).invalid("cursor");
    on(&home, "/resources?", &member).invalid("cursor");
    on(&other, "/resources?", &other.writer()).invalid("cursor");
    let resource = text(&home.resource("Four")["id"]);
    on(&home, &format!("/resources/{resource}/acl?"), &writer).invalid("cursor");
    // An operator's is bound to the tenant that he came for.
    let trail = cursor(list(&home, "/audit?limit=1", operator()));
    list(&home, &format!("/audit?cursor={trail}"), operator()).gets(200);
    list(&other, &format!("/audit?cursor={trail}"), operator()).invalid("cursor");
    list(&home, &format!("/audit?cursor={trail}"), &writer).invalid("cursor");
    let registry = cursor(get("/api/v1/tenants?limit=1").by(operator()));
    get(&format!("/api/v1/tenants?limit=1&cursor={registry}"))
        .by(operator())
        .gets(200);
    get(&format!("/api/v1/tenants?kind=personal&cursor={registry}"))
        .by(operator())
        .invalid("cursor");
    // Cut, prolonged, with another letter.
    let flipped = if mine.ends_with('A') { "E" } else { "A" };
    for broken in [
        mine[..mine.len() - 1].to_owned(),
        format!("{mine}AAAA"),
        format!("{}{flipped}", &mine[..mine.len() - 1]),
        mine.to_uppercase(),
    ] {
        let answer = list(&home, &format!("/resources?cursor={broken}"), &writer).send();
        assert!(
            answer.status == 400 || (answer.status == 200 && broken.len() == mine.len()),
            "{broken}: {answer:?}"
        );
    }
}

/// A cursor is bound by what its caller knows, so he can make one up: it must not lead further than his own list.
#[test]
fn a_cursor_that_was_made_up_is_a_place_in_ones_own_list_or_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let home = Tenant::founded();
    for title in ["One", "Two", "Three"] {
        home.resource(title);
    }
    let writer = home.writer();
    let first = get(&home.path("/resources?limit=1"))
        .by(&writer)
        .gets(200)
        .json();
    let binding = URL_SAFE_NO_PAD.decode(text(&first["next"])).unwrap()[..8].to_vec();
    for (micros, status) in [
        (i64::MIN, 400),
        (i64::MAX, 400),
        (-377_705_023_201_000_000, 400), // jiff's first moment, before the database's
        (-1, 400),
        (0, 200),
        (253_402_207_200_000_000, 200), // jiff's last one
    ] {
        let mut bytes = binding.clone();
        bytes.extend(micros.to_be_bytes());
        bytes.extend([0xff; 16]);
        let cursor = URL_SAFE_NO_PAD.encode(bytes);
        let answer = get(&home.path(&format!("/resources?cursor={cursor}")))
            .by(&writer)
            .send();
        assert_eq!(answer.status, status, "{micros}: {answer:?}");
    }
}
