//! Looking into JSON whose outer shape does not matter to a test.

use serde_json::Value;

/// The first field of this name, however deep.
#[must_use]
pub fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|inner| find(inner, name))),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, name)),
        _ => None,
    }
}

/// The first number of this name, however deep.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn number(value: &Value, name: &str) -> u64 {
    let found = find(value, name).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no number \"{name}\" in {value}"))
}

/// The first text of this name, however deep.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    let found = find(value, name).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text \"{name}\" in {value}"))
}
