//! Journals that somebody gave away: read step by step, and done again by a fresh brain.

use std::io::Cursor;
use std::path::Path;

use mesh_core::{BrainConfig, Node};
use mesh_node::journal::{self, JournalHeader, JournalReader, JournalStep, replay_read};
use mesh_proto::port::{Event, Input, KeysInput, Output, StoreInput};
use mesh_proto::{Timestamp, UnixMs, codec};

use crate::memory::within;
use crate::{Seed, Target, input};

/// One step in memory may take so many times its bytes, besides a little.
const STEP_TIMES_MAX: usize = 2048;
const STEP_BYTES_MAX: usize = 128 * 1024;

pub const JOURNAL: Target = Target { name: "journal", input_bytes_max: 8 * 1024, check, seeds };

/// The first byte says what the others are: 0 = the file itself, 1 = the bodies of its frames, as parts, 2 = bodies of
/// steps, behind a header of this build. Checksums are set right for all but 0: the fuzzer can't guess them.
fn check(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let file = match form % 3 {
        0 => rest.to_vec(),
        1 => file(input::parts(rest)),
        _ => file(std::iter::once(codec::encode(&header()).as_slice()).chain(input::parts(rest))),
    };
    let open = || JournalReader::of(Box::new(Cursor::new(file.clone())), Path::new("journal"));
    let allowed = STEP_TIMES_MAX * file.len() + STEP_BYTES_MAX;
    let Ok(mut reader) = within(allowed, open) else { return };
    while let Ok(Some(step)) = within(allowed, || reader.next_step()) {
        let encoded = codec::encode(&step);
        assert!(encoded.len() <= file.len());
        assert_eq!(
            codec::decode::<JournalStep, { 1 << 30 }>(&encoded).map(|step| codec::encode(&step)).ok(),
            Some(encoded)
        );
    }
    let Ok(reader) = open() else { return };
    if let Ok(report) = replay_read(reader, Node::new) {
        assert!(report.inputs as usize <= file.len());
    }
}

fn file<'a>(bodies: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut file = b"MESHJRNL".to_vec();
    for body in bodies {
        file.extend_from_slice(&u32::try_from(body.len()).expect("parts are short").to_le_bytes());
        file.extend_from_slice(&blake3::hash(body).as_bytes()[..4]);
        file.extend_from_slice(body);
    }
    file
}

fn header() -> JournalHeader {
    let build = journal::build();
    JournalHeader { format: 1, build, redacted: false, config: BrainConfig::default(), seed: [0; 32] }
}

fn step(at: u64, input: Input, outputs: Vec<Output>) -> Vec<u8> {
    codec::encode(&JournalStep { at: Timestamp(at), input, outputs })
}

fn seeds() -> Vec<Seed> {
    let steps = [
        step(1, Input::Clock { unix: UnixMs(5), trusted: true }, Vec::new()),
        step(2, Input::Keys(KeysInput::Loaded { node: [1; 32], member: None, communities: Vec::new() }), Vec::new()),
        step(
            3,
            Input::Store(StoreInput::Opened { rows: Vec::new(), contents: Vec::new(), repairs: Vec::new() }),
            vec![Output::Report(Event::Warning { message: "x".to_owned() })],
        ),
        step(4, Input::Tick, Vec::new()),
    ];
    let parts = steps.iter().map(Vec::as_slice);
    // The header in a seed names a build of its own, so that seeds stay the same when the program's version changes.
    let other = codec::encode(&JournalHeader { build: "other".to_owned(), ..header() });
    let whole = file(std::iter::once(other.as_slice()).chain(parts.clone()));
    vec![
        Seed::new("file", [&[0], whole.as_slice()].concat()),
        Seed::new(
            "bodies",
            [&[1], input::join(std::iter::once(other.as_slice()).chain(parts.clone())).as_slice()].concat(),
        ),
        Seed::new("steps", [&[2], input::join(parts).as_slice()].concat()),
    ]
}
