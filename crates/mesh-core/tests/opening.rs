//! What a node makes of a disk on which the last run ended at a bad moment.

use mesh_core::contents::Treatment;
use mesh_core::transfer::Order;
use mesh_core::transfer::state::Totals;
use mesh_core::{BrainConfig, Node};
use mesh_proto::port::store::{Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::port::view::ContentView;
use mesh_proto::port::{Input, KeysInput, Output, UserRequestId};
use mesh_proto::record::{Access, ContentKind};
use mesh_proto::{ContentId, Machine as _, Timestamp, UnixMs};

const CONTENT: ContentId = ContentId([7; 32]);
const PATH: &str = "/home/ada/film";

fn order() -> Order {
    Order {
        ticket: format!("mesh:{CONTENT}"),
        target: PATH.to_owned(),
        name: "film".to_owned(),
        seed_seconds: None,
        class: Default::default(),
        priority: 0,
        access: Access::Public,
        paused: false,
        totals: Totals::default(),
    }
}

fn stored(complete: bool) -> StoredContent {
    StoredContent {
        content: CONTENT,
        kind: ContentKind::File,
        total_bytes: 10,
        chunk_count: 1,
        whole_hash: [0; 32],
        path: PATH.to_owned(),
        complete,
        in_place: false,
    }
}

fn pinned() -> Row {
    Treatment { pinned: true, name: "film".to_owned(), ..Treatment::of_unknown(PATH) }.row(CONTENT)
}

/// Opens a node on a disk; its list of contents, and everything it did.
fn opened(rows: Vec<Row>, stored: StoredContent) -> (Vec<ContentView>, Vec<Output>) {
    opened_and(rows, stored, UserCommand::List)
}

/// The same, with something asked besides.
fn opened_and(rows: Vec<Row>, stored: StoredContent, command: UserCommand) -> (Vec<ContentView>, Vec<Output>) {
    let mut node = Node::new(BrainConfig::default(), [1; 32]);
    let mut outputs = Vec::new();
    let inputs = [
        Input::Keys(KeysInput::Loaded { node: [9; 32], member: None, communities: Vec::new() }),
        Input::Clock { unix: UnixMs(1_700_000_000_000), trusted: true },
        Input::Store(StoreInput::Opened { rows, contents: vec![stored], repairs: Vec::new() }),
        Input::User { request: UserRequestId(1), command: UserCommand::List },
        Input::User { request: UserRequestId(2), command },
    ];
    for input in inputs {
        node.handle(Timestamp(1_000_000), input);
        outputs.extend(std::iter::from_fn(|| node.poll_output()));
    }
    let list = outputs.iter().find_map(|output| match output {
        Output::Reply { reply: UserReply::Contents(list), .. } => Some(list.clone()),
        _ => None,
    });
    (list.expect("the list is answered"), outputs)
}

fn ends_the_order(output: &Output) -> bool {
    let key = (Table::Transfer, CONTENT.0.to_vec());
    matches!(output, Output::Store(StoreCommand::Write { delete, .. }) if delete.contains(&key))
}

#[test]
fn a_complete_file_whose_note_was_lost_is_noted_and_not_fetched_again() {
    let (list, outputs) = opened(vec![order().row(CONTENT)], stored(true));
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!((list[0].state.as_str(), list[0].pinned, &list[0].access), ("complete", false, &Access::Public));
    assert!(outputs.iter().any(ends_the_order));
}

#[test]
fn a_repair_goes_on_as_a_fetch_of_what_stays_pinned() {
    let (list, outputs) = opened(vec![order().row(CONTENT), pinned()], stored(false));
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!((list[0].state.as_str(), list[0].pinned), ("fetching", true));
    let resumes = |output: &Output| matches!(output, Output::Store(StoreCommand::Receive { root: None, .. }));
    assert!(outputs.iter().any(resumes) && !outputs.iter().any(ends_the_order));
}

#[test]
fn giving_up_a_repair_leaves_the_file_and_giving_up_a_fetch_does_not() {
    let deletes = |rows, command| {
        let (_, outputs) = opened_and(rows, stored(false), command);
        outputs.iter().find_map(|output| match output {
            Output::Store(StoreCommand::Remove { delete_files, .. }) => Some(*delete_files),
            _ => None,
        })
    };
    let cancel = || UserCommand::Cancel { content: CONTENT };
    let remove = || UserCommand::Remove { content: CONTENT, delete_files: false };
    for command in [cancel(), remove()] {
        assert_eq!(deletes(vec![order().row(CONTENT), pinned()], command), Some(false));
    }
    for command in [cancel(), remove()] {
        assert_eq!(deletes(vec![order().row(CONTENT)], command), Some(true));
    }
}
