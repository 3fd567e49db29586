//! Translates between HTTP calls and commands, by the rule of the route table: parameters are fields.
//!
//! An unknown or missing parameter is an error that names it; nothing is guessed.

use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{UserCommand, UserReply};
use serde_json::{Map, Value};

use super::routes::{Action, Kind, Missing, Parameter, Place, ROUTES, Route};

/// The name of the reply that says nothing else.
pub const DONE: &str = "done";

/// What came with a call, still as text.
#[derive(Debug, Default)]
pub struct Arguments {
    /// From the path.
    pub path: Vec<(String, String)>,
    /// From behind the `?`.
    pub query: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

/// A command as a call.
#[derive(Debug)]
pub struct Call {
    /// Which route.
    pub route: &'static Route,
    /// Path and query.
    pub target: String,
    /// The JSON body; empty if there is none.
    pub body: String,
}

fn invalid(message: impl Into<String>) -> UserError {
    UserError::new(ErrorKind::Invalid, message, "Compare the call with /v1/openapi.json.")
}

/// Reads a call as a command.
///
/// # Errors
/// A [`UserError`] that says which parameter is wrong.
pub fn command_of(route: &Route, arguments: Arguments) -> Result<UserCommand, UserError> {
    let mut fields = fields_of(route, arguments)?;
    let name = match route.action {
        Action::Command { name, fixed, .. } => {
            if let Some((field, value)) = fixed {
                fields.insert(field.to_owned(), Value::Bool(value));
            }
            name
        }
        Action::Catalogue => match fields.remove("search") {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                fields.insert("text".to_owned(), Value::String(text));
                "search"
            }
            _ => "browse",
        },
        _ => return Err(invalid("this route carries no command")),
    };
    fields.insert("do".to_owned(), Value::String(name.to_owned()));
    serde_json::from_value(Value::Object(fields)).map_err(|error| invalid(format!("a parameter is wrong: {error}")))
}

fn fields_of(route: &Route, arguments: Arguments) -> Result<Map<String, Value>, UserError> {
    let mut fields = body_fields(&arguments.body)?;
    for name in fields.keys() {
        known(route, Place::Body, name)?;
    }
    let texts = arguments.path.into_iter().map(|pair| (Place::Path, pair));
    let texts = texts.chain(arguments.query.into_iter().map(|pair| (Place::Query, pair)));
    for (place, (name, text)) in texts {
        let parameter = known(route, place, &name)?;
        fields.insert(name, value_of(parameter, text)?);
    }
    for parameter in route.parameters {
        if !fields.contains_key(parameter.name) {
            fields.insert(parameter.name.to_owned(), stand_in(parameter)?);
        }
    }
    Ok(fields)
}

fn body_fields(body: &[u8]) -> Result<Map<String, Value>, UserError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|error| invalid(format!("the body is not a JSON object: {error}")))
}

fn known<'a>(route: &'a Route, place: Place, name: &str) -> Result<&'a Parameter, UserError> {
    let found = route.parameters.iter().find(|parameter| parameter.place == place && parameter.name == name);
    found.ok_or_else(|| invalid(format!("there is no parameter {name:?} here")))
}

fn value_of(parameter: &Parameter, text: String) -> Result<Value, UserError> {
    let wrong = || invalid(format!("the parameter {:?} has a wrong value", parameter.name));
    match parameter.kind {
        Kind::Boolean => text.parse().map(Value::Bool).map_err(|_| wrong()),
        Kind::Integer => text.parse::<u64>().map(Value::from).map_err(|_| wrong()),
        _ => Ok(Value::String(text)),
    }
}

fn stand_in(parameter: &Parameter) -> Result<Value, UserError> {
    match parameter.missing {
        Missing::Refused => Err(invalid(format!("the parameter {:?} is missing", parameter.name))),
        Missing::Null => Ok(Value::Null),
        Missing::False => Ok(Value::Bool(false)),
        Missing::Number(number) => Ok(Value::from(number)),
        Missing::Text(text) => Ok(Value::from(text)),
    }
}

/// Writes a command as a call.
///
/// # Panics
/// If the table has no route for it, which a test rules out.
#[must_use]
pub fn call_of(command: &UserCommand) -> Call {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(command) else {
        unreachable!("a command is a JSON object");
    };
    let name = fields.remove("do").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    if let Some(text) = fields.remove("text") {
        fields.insert("search".to_owned(), text);
    }
    let route = ROUTES.iter().find(|route| carries(route, &name, &fields));
    let route = route.expect("a test finds a route for every command");
    let (mut path, mut query, mut body) = (route.path.to_owned(), String::new(), Map::new());
    for parameter in route.parameters {
        let Some(value) = fields.remove(parameter.name).filter(|value| !value.is_null()) else {
            continue;
        };
        match parameter.place {
            Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), &text_of(&value)),
            Place::Query => {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(&format!("{}={}", parameter.name, escaped(&text_of(&value))));
            }
            Place::Body => drop(body.insert(parameter.name.to_owned(), value)),
        }
    }
    let body = if body.is_empty() { String::new() } else { Value::Object(body).to_string() };
    Call { route, target: path + &query, body }
}

fn carries(route: &Route, command: &str, fields: &Map<String, Value>) -> bool {
    match route.action {
        Action::Command { name, fixed, .. } => {
            name == command && fixed.is_none_or(|(field, value)| fields.get(field) == Some(&Value::Bool(value)))
        }
        Action::Catalogue => command == "browse" || command == "search",
        _ => false,
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What the API answers and `--json` prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The reply's name.
    pub reply: String,
    /// The view itself.
    pub view: Value,
}

/// A reply as an answer.
///
/// # Errors
/// The error, if the reply is one.
pub fn answer_of(reply: UserReply) -> Result<Answer, UserError> {
    if let UserReply::Failed(error) = reply {
        return Err(error);
    }
    match serde_json::to_value(&reply) {
        Ok(Value::Object(map)) => {
            let (reply, view) = map.into_iter().next().unwrap_or_default();
            Ok(Answer { reply, view })
        }
        Ok(_) => Ok(Answer { reply: DONE.to_owned(), view: serde_json::json!({ "done": true }) }),
        Err(error) => Err(UserError::new(ErrorKind::Internal, format!("a reply can't be written: {error}"), "")),
    }
}

/// Reads an answer back as the reply it was.
///
/// # Errors
/// The decoder's words.
pub fn reply_of(answer: Answer) -> Result<UserReply, serde_json::Error> {
    if answer.reply == DONE {
        return Ok(UserReply::Done);
    }
    let mut map = Map::new();
    map.insert(answer.reply, answer.view);
    serde_json::from_value(Value::Object(map))
}

#[cfg(test)]
mod tests {
    use mesh_proto::bulk::TrafficClass;
    use mesh_proto::record::Access;
    use mesh_proto::{CommunityId, ContentId, MemberId, NodeId};

    use super::*;

    fn every_command() -> Vec<UserCommand> {
        let content = ContentId([7; 32]);
        let (path, name, text) = ("/a b".to_owned(), "n".to_owned(), "x&y=ä".to_owned());
        vec![
            UserCommand::Share {
                path: path.clone(),
                name: None,
                listed: Some(true),
                tags: Some(vec!["t".into()]),
                access: Some(Access::Members(vec![MemberId([1; 32])])),
            },
            UserCommand::Get {
                ticket: text.clone(),
                target: path,
                seed_seconds: Some(0),
                class: TrafficClass::Bulk,
                priority: 255,
            },
            UserCommand::List,
            UserCommand::Browse,
            UserCommand::Search { text: text.clone() },
            UserCommand::Remove { content, delete_files: true },
            UserCommand::Pin { content, pinned: true },
            UserCommand::Pin { content, pinned: false },
            UserCommand::Pause { content },
            UserCommand::Resume { content },
            UserCommand::Cancel { content },
            UserCommand::Limit { up_bytes_per_s: None, down_bytes_per_s: Some(0) },
            UserCommand::Quota { bytes: 9 },
            UserCommand::Gc,
            UserCommand::Verify { content },
            UserCommand::Status,
            UserCommand::Peers,
            UserCommand::Topology,
            UserCommand::Doctor,
            UserCommand::Dial { address: "/ip4/127.0.0.1/tcp/1".into() },
            UserCommand::CommunityNew { name: name.clone() },
            UserCommand::CommunityInvite { community: Some(CommunityId([2; 32])), member: MemberId([1; 32]) },
            UserCommand::CommunityJoin { invitation: text.clone() },
            UserCommand::CommunityList,
            UserCommand::MemberNew { name },
            UserCommand::MemberAddNode { node: NodeId([3; 32]) },
            UserCommand::MemberAccept { member: MemberId([1; 32]) },
            UserCommand::MemberList,
            UserCommand::MemberRevoke {
                subject: "ab".repeat(32),
                reason: text,
                community: Some(CommunityId([2; 32])),
                force: true,
            },
        ]
    }

    /// What a server makes of a call's target.
    fn arguments(call: &Call) -> Arguments {
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let names = call.route.path.split('/').zip(path.split('/'));
        let path = names.filter(|(name, _)| name.starts_with('{'));
        let decode = |text: &str| {
            let uri: axum::http::Uri = format!("/?v={text}").parse().unwrap();
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).unwrap().0[0].1.clone()
        };
        Arguments {
            path: path.map(|(name, value)| (name.trim_matches(['{', '}']).to_owned(), value.to_owned())).collect(),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), decode(value)))
                .collect(),
            body: call.body.clone().into_bytes(),
        }
    }

    #[test]
    fn every_command_has_a_route_and_reads_back() {
        for command in every_command() {
            let call = call_of(&command);
            let read = command_of(call.route, arguments(&call)).unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert_eq!(read, command);
        }
    }

    #[test]
    fn wrong_calls_name_the_parameter() {
        let share = call_of(&every_command()[0]).route;
        let message = |body: &str| {
            command_of(share, Arguments { body: body.into(), ..Arguments::default() }).unwrap_err().message
        };
        assert!(message("").contains("\"path\" is missing"));
        assert!(message(r#"{"path":"/x","colour":1}"#).contains("colour"));
        assert!(message(r#"{"path":"/x","do":"gc"}"#).contains("\"do\""));
        assert!(message("[]").contains("not a JSON object"));
    }

    #[test]
    fn replies_read_back() {
        for reply in [UserReply::Done, UserReply::Contents(Vec::new())] {
            assert_eq!(reply_of(answer_of(reply.clone()).unwrap()).unwrap(), reply);
        }
    }
}
