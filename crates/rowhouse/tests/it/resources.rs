//! Resources, their ACL, lists by key, and the trail that each change leaves.

use rowhouse::resources::{
    self, AclAccess, Changes, Filter, NewResource, ResourceType, Visibility,
};
use rowhouse::{Error, audit};

use crate::world::World;

#[tokio::test]
async fn a_resource_is_made_read_deleted_and_restored_inside_its_tenant_only() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let made = resources::create(&mut tx, NewResource::new(ResourceType::Prompt, "Greeting"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(made.owner_id, world.alpha.owner.into());

    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    assert_eq!(resources::get(&mut tx, made.id).await.unwrap(), made);
    resources::delete(&mut tx, made.id, None).await.unwrap();
    assert!(matches!(
        resources::get(&mut tx, made.id).await,
        Err(Error::NotFound("resource"))
    ));
    resources::restore(&mut tx, made.id).await.unwrap();
    assert_eq!(
        resources::get(&mut tx, made.id).await.unwrap().title,
        "Greeting"
    );
    tx.commit().await.unwrap();

    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    assert!(matches!(
        resources::get(&mut tx, made.id).await,
        Err(Error::NotFound("resource"))
    ));
    assert!(matches!(
        resources::delete(&mut tx, made.id, None).await,
        Err(Error::NotFound("resource"))
    ));
    assert!(matches!(
        resources::grant(&mut tx, made.id, world.beta.owner.into(), AclAccess::Admin).await,
        Err(Error::NotFound("resource"))
    ));
}

#[tokio::test]
async fn pages_of_a_list_hold_every_resource_once_in_order() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for number in 0..25 {
        let kind = if number % 5 == 0 {
            ResourceType::Model
        } else {
            ResourceType::Prompt
        };
        resources::create(&mut tx, NewResource::new(kind, format!("Number {number}")))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut other = world.house.begin(&world.beta.context()).await.unwrap();
    resources::create(&mut other, NewResource::new(ResourceType::Model, "Beta's"))
        .await
        .unwrap();
    other.commit().await.unwrap();

    let mut tx = world
        .house
        .begin(&world.alpha.context().read_only())
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut filter = Filter::default();
    loop {
        let page = resources::list(&mut tx, &filter, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.updated_at, last.id));
        seen.extend(page);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|a, b| (a.updated_at, a.id) > (b.updated_at, b.id)));

    let models = Filter {
        r#type: Some(ResourceType::Model),
        visibility: Some(Visibility::Tenant),
        ..Filter::default()
    };
    let titles: Vec<String> = resources::list(&mut tx, &models, 200)
        .await
        .unwrap()
        .into_iter()
        .map(|resource| resource.title)
        .collect();
    assert_eq!(
        titles,
        [
            "Number 20",
            "Number 15",
            "Number 10",
            "Number 5",
            "Number 0"
        ]
    );
}

#[tokio::test]
async fn an_acl_entry_names_a_principal_of_the_same_tenant() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let made = resources::create(&mut tx, NewResource::new(ResourceType::Tag, "t"))
        .await
        .unwrap();
    let everyone = world.alpha.id.into();
    resources::grant(&mut tx, made.id, everyone, AclAccess::Read)
        .await
        .unwrap();
    resources::grant(&mut tx, made.id, everyone, AclAccess::Write)
        .await
        .unwrap();
    let entries = resources::acl(&mut tx, made.id, None, 50).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].principal_id, entries[0].access),
        (everyone, AclAccess::Write)
    );
    let foreign = tx
        .attempt(async |tx| {
            resources::grant(tx, made.id, world.beta.owner.into(), AclAccess::Read).await
        })
        .await;
    assert!(
        matches!(foreign, Err(Error::NotFound("principal"))),
        "{foreign:?}"
    );
    resources::revoke(&mut tx, made.id, everyone).await.unwrap();
    assert!(
        resources::acl(&mut tx, made.id, None, 50)
            .await
            .unwrap()
            .is_empty()
    );
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn each_change_leaves_one_row_of_the_trail_and_a_failed_one_none() {
    let world = World::new().await;
    let context = world.alpha.context().with_request_id("req-1");
    let mut tx = world.house.begin(&context).await.unwrap();
    let made = resources::create(&mut tx, NewResource::new(ResourceType::Prompt, "one"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.house.begin(&context).await.unwrap();
    resources::delete(&mut tx, made.id, None).await.unwrap();
    tx.rollback().await;

    let mut tx = world.house.begin(&context).await.unwrap();
    let filter = audit::Filter::default();
    let trail = audit::list(&mut tx, &filter, 10).await.unwrap();
    assert_eq!(trail.len(), 2);
    assert_eq!(trail[1].action, "tenants.create");
    assert_eq!(trail[0].action, "resources.create");
    assert_eq!(trail[0].actor_id, world.alpha.owner.into());
    assert_eq!(trail[0].resource_id, Some(made.id));
    assert_eq!(trail[0].workspace_id, Some(made.workspace_id));
    assert_eq!(trail[0].request_id.as_deref(), Some("req-1"));
}

#[tokio::test]
async fn bad_titles_and_payloads_are_refused_with_field_and_rule() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    for title in ["", " x", "a\u{202E}b", "a\nb", &"x".repeat(201)] {
        let error = resources::create(&mut tx, NewResource::new(ResourceType::Prompt, title))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Invalid { ref field, .. } if field == "title"),
            "{title:?}: {error}"
        );
    }
    let list = NewResource {
        payload: serde_json::json!([]),
        ..NewResource::new(ResourceType::Prompt, "x")
    };
    let error = resources::create(&mut tx, list)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "payload: must be a JSON object");
    for text in [
        r#"{"a": "\u0000"}"#,
        r#"{"\u0000": 1}"#,
        r#"{"a": 1e400}"#,
        &format!(r#"{{"a": {}1{}}}"#, "[".repeat(40), "]".repeat(40)),
    ] {
        let bad = NewResource {
            payload: serde_json::from_str(text).unwrap(),
            ..NewResource::new(ResourceType::Prompt, "x")
        };
        let error = resources::create(&mut tx, bad).await.unwrap_err();
        assert!(
            matches!(error, Error::Invalid { ref field, .. } if field == "payload"),
            "{text}: {error}"
        );
    }
    // What fits comes back as it was sent.
    for text in [
        r#"{"a":12345678901234567890123456789,"b":1.10}"#,
        r#"{"a":1.7976931348623157e308}"#,
    ] {
        let good = NewResource {
            payload: serde_json::from_str(text).unwrap(),
            ..NewResource::new(ResourceType::Prompt, "x")
        };
        let made = resources::create(&mut tx, good).await.unwrap();
        let number = |payload: &serde_json::Value| payload["a"].as_f64().unwrap();
        let sent: serde_json::Value = serde_json::from_str(text).unwrap();
        let (back, sent) = (number(&made.payload), number(&sent));
        assert!((back - sent).abs() <= sent * 1e-15, "{text}");
    }
}

#[tokio::test]
async fn a_resource_goes_to_a_team_into_a_project_and_to_another_owner() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let new = NewResource {
        visibility: Visibility::Private,
        ..NewResource::new(ResourceType::Prompt, "mine")
    };
    let made = resources::create(&mut tx, new).await.unwrap();
    let team = rowhouse::teams::create(&mut tx, "night").await.unwrap().id;
    rowhouse::teams::add_member(&mut tx, team, world.alpha.owner)
        .await
        .unwrap();
    let project = rowhouse::projects::create(&mut tx, "apollo")
        .await
        .unwrap()
        .id;
    tx.commit().await.unwrap();
    let change = async |changes: Changes| {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let answer = resources::update(&mut tx, made.id, changes, None).await;
        if answer.is_ok() {
            tx.commit().await.unwrap();
        }
        answer
    };
    let to_a_team = Changes {
        visibility: Some(Visibility::Team),
        ..Changes::default()
    };
    let without = change(to_a_team.clone()).await;
    assert!(matches!(without, Err(Error::Invalid { .. })), "{without:?}");
    let to_a_team = Changes {
        team_id: Some(team),
        ..to_a_team
    };
    assert_eq!(change(to_a_team).await.unwrap().team_id, Some(team));
    let into_a_project = Changes {
        visibility: Some(Visibility::Project),
        project_id: Some(project),
        ..Changes::default()
    };
    assert_eq!(
        change(into_a_project).await.unwrap().project_id,
        Some(project)
    );
    let to = |owner: uuid::Uuid| Changes {
        owner_id: Some(owner.into()),
        ..Changes::default()
    };
    let given = change(to(team.uuid())).await.unwrap();
    assert_eq!(given.owner_id.uuid(), team.uuid());
    // To nobody, and to somebody of another tenant, in the same words.
    for stranger in [uuid::Uuid::from_u128(1), world.beta.owner.uuid()] {
        let refused = change(to(stranger)).await;
        assert!(
            matches!(refused, Err(Error::NotFound("owner"))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let world = World::new().await;
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let made = resources::create(&mut tx, NewResource::new(ResourceType::Prompt, "one"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let rename = async |title: &str, read_at| {
        let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
        let changes = Changes {
            title: Some(title.into()),
            ..Changes::default()
        };
        let answer = resources::update(&mut tx, made.id, changes, read_at).await;
        if answer.is_ok() {
            tx.commit().await.unwrap();
        }
        answer
    };
    let two = rename("two", Some(made.updated_at)).await.unwrap();
    assert_eq!((two.title.as_str(), two.id), ("two", made.id));
    let late = rename("three", Some(made.updated_at)).await;
    assert!(matches!(late, Err(Error::Changed)), "{late:?}");
    let mut tx = world.house.begin(&world.alpha.context()).await.unwrap();
    let late = resources::delete(&mut tx, made.id, Some(made.updated_at)).await;
    assert!(matches!(late, Err(Error::Changed)), "{late:?}");
    tx.rollback().await;
    rename("three", None).await.unwrap();
    // Of another tenant it is not even there.
    let mut tx = world.house.begin(&world.beta.context()).await.unwrap();
    let changes = Changes {
        title: Some("theirs".into()),
        ..Changes::default()
    };
    let foreign = resources::update(&mut tx, made.id, changes, None).await;
    assert!(
        matches!(foreign, Err(Error::NotFound("resource"))),
        "{foreign:?}"
    );
}
