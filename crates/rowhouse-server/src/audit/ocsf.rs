//! A row of the trail as an event of the Open Cybersecurity Schema Framework: class Entity Management (3004), version 1.3.0,
//! <https://schema.ocsf.io/1.3.0/classes/entity_management>.

use rowhouse::audit::Entry;
use rowhouse::ids::TenantId;
use serde_json::{Value, json};

const ENTITY_MANAGEMENT: u32 = 3004;
const OTHER: u32 = 99;
const SUCCESS: u32 = 1;
const FAILURE: u32 = 2;

/// One event. No personal data: ids only.
pub fn event(tenant: TenantId, entry: &Entry) -> Value {
    let (noun, verb) = entry.action.split_once('.').unwrap_or((&entry.action, ""));
    let activity = match verb {
        "create" | "add" | "found" | "grant" => 1,
        "read" => 2,
        "update" | "restore" | "suspend" | "resume" | "set_role" | "reroll" => 3,
        "delete" | "remove" | "revoke" => 4,
        _ => OTHER,
    };
    let refused = verb == "refuse";
    let mut event = json!({
        "class_uid": ENTITY_MANAGEMENT,
        "class_name": "Entity Management",
        "category_uid": 3,
        "category_name": "Identity & Access Management",
        "activity_id": activity,
        "activity_name": verb,
        "type_uid": ENTITY_MANAGEMENT * 100 + activity,
        "severity_id": 1,
        "status_id": if refused { FAILURE } else { SUCCESS },
        "time": entry.created_at.as_millisecond(),
        "metadata": {
            "version": "1.3.0",
            "uid": entry.id,
            "product": { "name": "Rowhouse", "vendor_name": "Rowhouse", "version": env!("CARGO_PKG_VERSION") },
            "tenant_uid": tenant,
        },
        "actor": { "user": { "uid": entry.actor_id } },
        "entity": { "type": noun, "uid": entry.object_id },
        "unmapped": {
            "on_behalf_of": entry.on_behalf_of,
            "workspace_id": entry.workspace_id,
            "project_id": entry.project_id,
            "resource_id": entry.resource_id,
            "detail": entry.detail,
        },
    });
    if refused {
        event["status_code"] = entry.detail["code"].clone();
    }
    if let Some(request) = &entry.request_id {
        event["metadata"]["correlation_uid"] = json!(request);
    }
    without_nulls(event)
}

/// The schema knows attributes that are there and attributes that are not, and none that are null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}
