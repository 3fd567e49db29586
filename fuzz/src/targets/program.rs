//! What the program reads besides: its configuration, an exported identity, calls of its control API.

use std::path::Path;

use axum::extract::Query;
use axum::http::Uri;
use mesh_net::check_address;
use mesh_node::Config;
use mesh_node::api::call::{Arguments, Call, call_of, command_of};
use mesh_node::api::routes::{Place, ROUTES, Route};
use mesh_node::keys::parse_export;
use mesh_proto::port::UserCommand;
use mesh_proto::{ContentId, Ticket};

use crate::memory::within;
use crate::{Seed, Target, input};

/// A text may take so many times its bytes while it is understood, besides what any text takes.
const TEXT_TIMES_MAX: usize = 400;
const TEXT_BYTES_MAX: usize = 256 * 1024;

pub const CONFIG: Target =
    Target { name: "config", input_bytes_max: 4 * 1024, check: check_config, seeds: config_seeds };
pub const IDENTITY: Target =
    Target { name: "identity", input_bytes_max: 1024, check: check_identity, seeds: identity_seeds };
pub const CALL: Target = Target { name: "call", input_bytes_max: 4 * 1024, check: check_call, seeds: call_seeds };

fn check_config(bytes: &[u8]) {
    let text = input::text(bytes);
    let (folder, path) = (Path::new("/data"), Path::new("/data/mesh.toml"));
    let allowed = TEXT_TIMES_MAX * text.len() + TEXT_BYTES_MAX;
    match within(allowed, || Config::parse(folder, path, &text)) {
        Ok(config) => {
            assert!(!config.listen().is_empty() && config.api_listen().ip().is_loopback());
            assert!(config.listen().iter().chain(&config.brain().seeds).all(|address| check_address(address).is_ok()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_identity(bytes: &[u8]) {
    let text = input::text(bytes);
    match parse_export(&text) {
        Ok(ring) => assert_eq!(ring.loaded(), parse_export(&text).expect("it was read before").loaded()),
        Err(line) => assert!(line >= 1 && line <= text.lines().count().max(1), "line {line} is not there"),
    }
}

/// Parts: which route (one byte), what stands in its path, its query, its body.
fn check_call(bytes: &[u8]) {
    let mut parts = input::parts(bytes);
    let mut next = || parts.next().unwrap_or_default();
    let (number, path, query, body) = (next(), next(), next(), next());
    let route = &ROUTES[usize::from(number.first().copied().unwrap_or_default()) % ROUTES.len()];
    let Some(query) = query_of(&input::text(query)) else { return };
    let named = path_names(route).map(|name| (name.to_owned(), input::text(path))).collect();
    let arguments = Arguments { path: named, query, body: body.to_vec() };
    let allowed = TEXT_TIMES_MAX * bytes.len() + TEXT_BYTES_MAX;
    match within(allowed, || command_of(route, arguments)) {
        Ok(command) => reads_back(&command),
        Err(error) => assert!(!error.message.is_empty()),
    }
}

/// What was understood is written as a call, as our own client does, and understood to be the same.
fn reads_back(command: &UserCommand) {
    let call = call_of(command);
    match arguments_of(&call).map(|arguments| command_of(call.route, arguments)) {
        Some(Ok(again)) => assert_eq!(again, *command),
        other => panic!("{call:?} reads back as {other:?}"),
    }
}

fn path_names(route: &Route) -> impl Iterator<Item = &'static str> {
    route.parameters.iter().filter(|parameter| parameter.place == Place::Path).map(|parameter| parameter.name)
}

/// As the server reads what stands behind the `?`.
fn query_of(query: &str) -> Option<Vec<(String, String)>> {
    let uri: Uri = format!("/?{query}").parse().ok()?;
    Query::try_from_uri(&uri).ok().map(|query| query.0)
}

fn arguments_of(call: &Call) -> Option<Arguments> {
    let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
    let pairs = call.route.path.split('/').zip(path.split('/')).filter(|(name, _)| name.starts_with('{'));
    let path = pairs.map(|(name, value)| (name.trim_matches(['{', '}']).to_owned(), value.to_owned())).collect();
    Some(Arguments { path, query: query_of(query)?, body: call.body.clone().into_bytes() })
}

fn config_seeds() -> Vec<Seed> {
    let sample = Config::sample();
    // Every key at its default, as whoever takes the marks away in front of them has it.
    let keys = sample.lines().filter_map(|line| line.strip_prefix("# ").or(line.strip_prefix('#')));
    let set: Vec<&str> =
        keys.filter(|line| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))).collect();
    vec![Seed::new("sample", sample.as_str()), Seed::new("set", set.join("\n"))]
}

fn identity_seeds() -> Vec<Seed> {
    let line = |role: &str, digits: &str| format!("{role} {}\n", digits.repeat(32));
    let node = format!("mesh-identity 1\n{}", line("node", "01"));
    let all = format!("{node}\n{}{}", line("member", "02"), line("community", "03"));
    vec![Seed::new("node", node), Seed::new("all", all)]
}

fn call_seeds() -> Vec<Seed> {
    let content = ContentId([7; 32]);
    let get = UserCommand::Get {
        ticket: Ticket::new(content).to_string(),
        target: "/home/a b".to_owned(),
        seed_seconds: Some(5),
        class: Default::default(),
        priority: 9,
    };
    let all = [
        get,
        UserCommand::Browse,
        UserCommand::Search { text: "x&y=ä".to_owned() },
        UserCommand::Remove { content, delete_files: true },
        UserCommand::Pin { content, pinned: false },
        UserCommand::Limit { up_bytes_per_s: None, down_bytes_per_s: Some(0) },
        UserCommand::Status,
        UserCommand::CommunityNew { name: "Hill".to_owned() },
        UserCommand::MemberRevoke { subject: "ab".repeat(32), reason: String::new(), community: None, force: true },
    ];
    let seed = |(number, command): (usize, &UserCommand)| {
        let call = call_of(command);
        let route =
            ROUTES.iter().position(|route| route.operation == call.route.operation).expect("it is of the table");
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let last = path.split('/').find(|part| part.len() == 64).unwrap_or_default();
        let route = u8::try_from(route).expect("there are few routes");
        let parts: [&[u8]; 4] = [&[route], last.as_bytes(), query.as_bytes(), call.body.as_bytes()];
        Seed::new(number.to_string(), input::join(parts))
    };
    all.iter().enumerate().map(seed).collect()
}
