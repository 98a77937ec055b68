//! The OpenAPI document, as `rowhouse openapi` prints it, as a list of what can be asked, and what answers look like.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::world::rowhouse;

/// What the program prints.
pub fn printed() -> String {
    let output = rowhouse().arg("openapi").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(&printed()).unwrap())
}

/// A method on a path, and what the document says of it.
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    said: &'static Value,
}

/// All of them.
pub fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods
                .iter()
                .map(move |(method, said)| Operation { method, path, said })
        })
        .collect()
}

impl Operation {
    /// Whether it takes this kind of credential: `operator`, `caller` or `session`.
    pub fn takes(&self, credential: &str) -> bool {
        self.said["security"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one.get(credential).is_some()))
    }

    pub fn is_open(&self) -> bool {
        !self.takes("operator") && !self.takes("caller") && !self.takes("session")
    }

    /// A question whose words are a body is sent by POST, and changes nothing.
    pub fn changes(&self) -> bool {
        self.method != "get" && !self.path.contains("/access/")
    }

    /// Whether it is a method that writes, to whoever looks at the method alone.
    pub fn writes(&self) -> bool {
        self.method != "get"
    }

    /// The names in braces.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
    }

    pub fn takes_body(&self) -> bool {
        !self.said["requestBody"].is_null()
    }

    /// The example of its body. One that takes a body must have one.
    pub fn example(&self) -> Option<&'static Value> {
        self.takes_body().then(|| {
            let example = &self.said["requestBody"]["content"]["application/json"]["example"];
            assert!(
                example.is_object(),
                "{} {} has no example",
                self.method,
                self.path
            );
            example
        })
    }

    /// The one status that means that it was done.
    pub fn success(&self) -> u16 {
        let statuses = self.said["responses"].as_object().unwrap().keys();
        let done: Vec<u16> = statuses
            .map(|status| status.parse().unwrap())
            .filter(|status| *status < 400)
            .collect();
        assert_eq!(done.len(), 1, "{} {}", self.method, self.path);
        done[0]
    }

    /// The names of the parameters in its query.
    pub fn query(&self) -> Vec<&'static str> {
        self.named("query")
    }

    /// The names of the headers that it looks at.
    pub fn headers(&self) -> Vec<&'static str> {
        self.named("header")
    }

    fn named(&self, place: &str) -> Vec<&'static str> {
        let parameters = self.said["parameters"].as_array();
        parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == place)
            .filter_map(|parameter| parameter["name"].as_str())
            .collect()
    }

    /// How an answer with this status differs from what the document says of it; nothing when it does not.
    pub fn differs(&self, status: u16, body: &str) -> Option<String> {
        let Some(response) = self.said["responses"].get(status.to_string()) else {
            return Some(format!("{status} is not documented"));
        };
        let contents = response["content"].as_object();
        let described = contents.and_then(|contents| {
            let mut kinds = contents.iter();
            kinds.find(|(kind, _)| kind.ends_with("json"))
        });
        let Some(schema) = described.map(|(_, content)| &content["schema"]) else {
            return None; // no body, or one that is no JSON
        };
        match serde_json::from_str(body) {
            Ok(value) => differs(schema, &value, "body"),
            Err(error) => Some(format!("not JSON: {error}")),
        }
    }
}

/// Where a value is not what a schema says: a type, a missing or an undocumented property.
fn differs(schema: &Value, value: &Value, at: &str) -> Option<String> {
    let schema = resolved(schema);
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let fits = choices
                .iter()
                .any(|schema| differs(schema, value, at).is_none());
            return (!fits).then(|| format!("{at}: fits none of {choice}: {value}"));
        }
    }
    if !is_of_type(&schema["type"], value) {
        return Some(format!("{at}: {value} is not {}", schema["type"]));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Some(format!("{at}: {value} is none of {values:?}"));
    }
    if schema["format"] == "date-time"
        && let Some(text) = value.as_str()
        && text.parse::<jiff::Timestamp>().is_err()
    {
        return Some(format!("{at}: {value} is no moment"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Some(text) = value.as_str()
        && !text.starts_with(pattern.trim_start_matches('^').split('_').next()?)
    {
        return Some(format!("{at}: {value} does not fit {pattern}"));
    }
    if let Some(items) = value.as_array() {
        let mut each = items.iter().enumerate();
        return each
            .find_map(|(index, item)| differs(&schema["items"], item, &format!("{at}[{index}]")));
    }
    let (properties, required) = properties(schema);
    let fields = value.as_object()?;
    if properties.is_empty() {
        return None; // any object
    }
    if let Some(name) = required.iter().find(|name| !fields.contains_key(**name)) {
        return Some(format!("{at}: {name} is missing"));
    }
    fields
        .iter()
        .find_map(|(name, field)| match properties.get(name) {
            None => Some(format!("{at}: {name} is not documented")),
            Some(schema) => differs(schema, field, &format!("{at}.{name}")),
        })
}

fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        None => schema,
        Some(name) => document().pointer(name.trim_start_matches('#')).unwrap(),
    }
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => true,
    };
    match kind.as_array() {
        Some(kinds) => kinds.iter().any(is),
        None => is(kind),
    }
}

/// Of an object, with those that `allOf` adds.
fn properties(schema: &Value) -> (Map<String, Value>, Vec<&str>) {
    let mut all = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let required = schema["required"].as_array();
    let mut required: Vec<&str> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, needed) = properties(resolved(part));
        all.extend(more);
        required.extend(needed);
    }
    (all, required)
}
