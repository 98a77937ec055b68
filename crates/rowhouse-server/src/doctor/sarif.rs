//! SARIF 2.1.0, the format in which code hosts and editors take findings. Objects of a database have no file and no line:
//! they are logical locations.

use rowhouse::tables::doctor::{Finding, Level, RULES};
use serde_json::{Value, json};

/// The log of one run.
pub fn log(findings: &[Finding]) -> Value {
    // Every rule that could have spoken, and what is found beside the rules (--count).
    let mut rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    for finding in findings {
        if !rules.contains(&finding.rule.as_str()) {
            rules.push(&finding.rule);
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "rowhouse doctor",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|name| rule(name)).collect::<Vec<_>>(),
            } },
            "results": findings.iter().map(|finding| result(finding, &rules)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(name: &str) -> Value {
    json!({ "id": name, "shortDescription": { "text": name.replace('-', " ") } })
}

fn result(finding: &Finding, rules: &[&str]) -> Value {
    json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.iter().position(|rule| *rule == finding.rule),
        "level": match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "note",
        },
        "message": { "text": format!("{} {}. {} Mend it with: {}", finding.object, finding.what, finding.why, finding.mend) },
        "locations": [{ "logicalLocations": [{ "fullyQualifiedName": finding.object }] }],
        // By this a viewer knows a finding again.
        "partialFingerprints": { "finding/v1": format!("{}|{}|{}", finding.rule, finding.object, finding.what) },
    })
}
