//! The OpenAPI 3.1 document, made from the route table and from specimens of what is answered.

use mesh_proto::port::Event;
use serde_json::{Map, Value, json};

use super::outcome::MEANINGS;
use super::routes::{Action, Kind, Missing, Parameter, Place, ROUTES, Route};
use super::{metrics, samples};

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mesh node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The control API of a running node, on the loopback interface. The port stands in the file \
                api.address of the node's data folder, the token in api.token.",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
            "responses": { "error": {
                "description": "It was not done.",
                "content": { "application/json": { "schema": reference("error") } },
            } },
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "responses": { "200": success(route), "default": { "$ref": "#/components/responses/error" } },
    });
    let elsewhere = route.parameters.iter().filter(|parameter| parameter.place != Place::Body);
    let elsewhere: Vec<Value> = elsewhere.map(parameter_value).collect();
    if !elsewhere.is_empty() {
        operation["parameters"] = Value::Array(elsewhere);
    }
    let body: Vec<&Parameter> = route.parameters.iter().filter(|parameter| parameter.place == Place::Body).collect();
    if !body.is_empty() {
        let required: Vec<&str> =
            body.iter().filter(|parameter| parameter.missing == Missing::Refused).map(|one| one.name).collect();
        let properties: Map<String, Value> = body.iter().map(|one| (one.name.to_owned(), schema_of(one))).collect();
        let schema = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        operation["requestBody"] =
            json!({ "required": !required.is_empty(), "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn success(route: &Route) -> Value {
    let (media, schema) = match route.action {
        Action::Metrics => (metrics::CONTENT_TYPE, json!({ "type": "string" })),
        Action::Events => ("text/event-stream", json!({ "type": "string" })),
        Action::Document => ("application/json", json!({ "type": "object" })),
        _ => ("application/json", reference(route.reply())),
    };
    let mut content = Map::new();
    content.insert(media.to_owned(), json!({ "schema": schema }));
    let text = match route.action {
        Action::Events => "Each event's data is a JSON object of the schema \"event\".",
        _ => "It was done.",
    };
    json!({ "description": text, "content": content })
}

fn parameter_value(parameter: &Parameter) -> Value {
    let place = if parameter.place == Place::Path { "path" } else { "query" };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.missing == Missing::Refused,
        "schema": schema_of(parameter),
    })
}

fn schema_of(parameter: &Parameter) -> Value {
    let id = json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" });
    let mut schema = match parameter.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Integer => json!({ "type": "integer", "minimum": 0 }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Id => id,
        Kind::Class => json!({ "type": "string", "enum": ["interactive", "public", "bulk"] }),
        Kind::Access => json!({ "oneOf": [
            { "type": "string", "enum": ["ticket", "public"] },
            { "type": "object", "properties": { "community": id.clone() }, "required": ["community"] },
            { "type": "object", "properties": { "members": { "type": "array", "items": id } }, "required": ["members"] },
        ] }),
    };
    schema["description"] = Value::from(parameter.text);
    match parameter.missing {
        Missing::Refused => {}
        Missing::Null if parameter.place == Place::Body => match schema["oneOf"].as_array_mut() {
            Some(kinds) => kinds.push(json!({ "type": "null" })),
            None => schema["type"] = json!([schema["type"].clone(), "null"]),
        },
        Missing::Null => {}
        Missing::False => schema["default"] = Value::Bool(false),
        Missing::Number(number) => schema["default"] = Value::from(number),
        Missing::Text(text) => schema["default"] = Value::from(text),
    }
    schema
}

fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    for reply in samples::replies() {
        let (name, value) = match serde_json::to_value(&reply) {
            Ok(Value::Object(map)) => map.into_iter().next().unwrap_or_default(),
            _ => ("done".to_owned(), json!({ "done": true })),
        };
        let schema = inferred(&value);
        let merged = match schemas.remove(&name) {
            Some(known) => merged(known, schema),
            None => schema,
        };
        schemas.insert(name, merged);
    }
    schemas.insert("event".to_owned(), event_schema());
    let kinds: Vec<&str> = MEANINGS.iter().map(|meaning| meaning.name).collect();
    let error = json!({
        "type": "object",
        "properties": {
            "kind": { "type": "string", "enum": kinds },
            "message": { "type": "string", "description": "What failed and why." },
            "cure": { "type": "string", "description": "What to do next; may be empty." },
        },
        "required": ["kind", "message", "cure"],
    });
    schemas.insert(
        "error".to_owned(),
        json!({ "type": "object", "properties": { "error": error }, "required": ["error"] }),
    );
    schemas
}

/// The two events programs build on are described in full; all others carry their name and plain fields.
fn event_schema() -> Value {
    let events = [
        Event::TransferProgress { transfer: samples::transfer(true) },
        Event::TransferProgress { transfer: samples::transfer(false) },
        Event::TransferComplete { report: samples::report(true) },
        Event::TransferComplete { report: samples::report(false) },
    ];
    let schemas = events.iter().filter_map(|event| serde_json::to_value(event).ok()).map(|value| inferred(&value));
    let mut schema = schemas.reduce(merged).unwrap_or_else(|| json!({ "type": "object" }));
    schema["required"] = json!(["event"]);
    schema
}

/// A schema that a value meets.
fn inferred(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "type": "null" }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => match items.iter().map(inferred).reduce(merged) {
            Some(items) => json!({ "type": "array", "items": items }),
            None => json!({ "type": "array" }),
        },
        Value::Object(map) => {
            let properties: Map<String, Value> =
                map.iter().map(|(name, value)| (name.clone(), inferred(value))).collect();
            let required: Vec<&String> = map.keys().collect();
            json!({ "type": "object", "properties": properties, "required": required })
        }
    }
}

/// A schema that all values of both meet.
fn merged(left: Value, right: Value) -> Value {
    if left == right {
        return left;
    }
    if left["type"] != right["type"] {
        let mut any = Vec::new();
        for side in [left, right] {
            match side.get("anyOf").and_then(Value::as_array) {
                Some(sides) => any.extend(sides.iter().cloned()),
                None => any.push(side),
            }
        }
        any.dedup();
        return json!({ "anyOf": any });
    }
    if let (Some(ours), Some(theirs)) = (left.get("items"), right.get("items")) {
        return json!({ "type": "array", "items": merged(ours.clone(), theirs.clone()) });
    }
    let (Some(ours), Some(theirs)) = (left["properties"].as_object(), right["properties"].as_object()) else {
        return left;
    };
    let mut properties = ours.clone();
    for (name, schema) in theirs {
        let both = match properties.remove(name) {
            Some(known) => merged(known, schema.clone()),
            None => schema.clone(),
        };
        properties.insert(name.clone(), both);
    }
    let required: Vec<&String> = ours.keys().filter(|name| theirs.contains_key(*name)).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The document for the command line, as text.
#[must_use]
pub fn text() -> String {
    format!("{:#}", document())
}
