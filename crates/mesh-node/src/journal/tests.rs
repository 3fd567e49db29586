//! A small machine's run is recorded, cut, damaged, redacted and done again.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_proto::port::{Event, KeysInput, UserCommand, UserReply, UserRequestId};
use mesh_proto::record::Access;
use mesh_proto::{Machine, UnixMs, WakeReason};

use super::read::{JournalError, JournalReader};
use super::*;

/// Answers every request, and warns with a number that depends on its seed and on all it saw.
struct Toy {
    sum: u64,
    outbox: std::collections::VecDeque<Output>,
}

impl Toy {
    fn new(_: BrainConfig, seed: [u8; 32]) -> Self {
        Self { sum: u64::from(seed[0]), outbox: std::collections::VecDeque::new() }
    }
}

impl Machine for Toy {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Timestamp, input: Input) {
        self.sum = self.sum.wrapping_mul(31).wrapping_add(now.0);
        if let Input::User { request, .. } = input {
            self.outbox.push_back(Output::Reply { request, reply: UserReply::Done });
        }
        self.outbox.push_back(Output::Report(Event::Warning { message: self.sum.to_string() }));
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Timestamp, WakeReason)> {
        None
    }
}

fn inputs() -> Vec<Input> {
    let share = UserCommand::Share {
        path: "/home/somebody/holiday.mov".to_owned(),
        name: Some("Secret Plan".to_owned()),
        listed: Some(true),
        tags: Some(vec!["family".to_owned()]),
        access: Some(Access::Ticket),
    };
    vec![
        Input::Keys(KeysInput::Loaded { node: [1; 32], member: None, communities: Vec::new() }),
        Input::Clock { unix: UnixMs(5), trusted: false },
        Input::User { request: UserRequestId(1), command: share },
        Input::User { request: UserRequestId(2), command: UserCommand::List },
        Input::Tick,
    ]
}

/// Records the inputs' run in `folder`.
fn record(folder: &Path) -> PathBuf {
    let config = BrainConfig { node_name: "Somebody's laptop".to_owned(), ..BrainConfig::default() };
    let mut writer = JournalWriter::start(folder, &config, [9; 32]).unwrap();
    let mut toy = Toy::new(config, [9; 32]);
    for (number, input) in inputs().into_iter().enumerate() {
        let at = Timestamp(number as u64 * 1000);
        writer.input(at, &input);
        toy.handle(at, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| toy.poll_output()).collect();
        assert_eq!(writer.outputs(&outputs), None);
    }
    let path = writer.path().to_owned();
    writer.close();
    path
}

#[test]
fn a_recorded_run_is_done_again_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let report = replay_with(&path, Toy::new).unwrap();
    assert!(report.same() && !report.torn, "{report:?}");
    assert_eq!((report.inputs, report.outputs), (5, 7));
    let mut reader = JournalReader::open(&path).unwrap();
    for (number, input) in inputs().into_iter().enumerate() {
        let step = reader.next_step().unwrap().unwrap();
        assert_eq!((step.at, step.input), (Timestamp(number as u64 * 1000), input));
    }
    assert_eq!(reader.next_step().unwrap(), None);
}

#[test]
fn the_first_difference_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let other = |config, _| Toy::new(config, [8; 32]);
    let difference = replay_with(&path, other).unwrap().difference.unwrap();
    assert_eq!((difference.step, difference.output), (1, 0));
    assert!(difference.input.contains("Loaded"));
    assert_ne!(difference.recorded, difference.replayed);
}

#[test]
fn a_journal_cut_anywhere_replays_up_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut");
    let mut seen = std::collections::BTreeSet::new();
    for len in 0..=whole.len() {
        fs::write(&cut, &whole[..len]).unwrap();
        match replay_with(&cut, Toy::new) {
            Ok(report) => {
                assert!(report.same(), "cut at {len}: {report:?}");
                seen.insert(report.inputs);
            }
            Err(JournalError::NotAJournal { .. } | JournalError::Io { .. }) => assert!(seen.is_empty(), "cut at {len}"),
            Err(error) => panic!("cut at {len}: {error}"),
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn no_damage_panics_or_passes_as_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let whole = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged");
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x41;
        fs::write(&damaged, &bytes).unwrap();
        if let Ok(report) = replay_with(&damaged, Toy::new) {
            assert!(report.inputs < 5 && report.torn, "flip at {position}: {report:?}");
        }
    }
}

#[test]
fn a_journal_of_another_build_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other");
    let header = JournalHeader {
        format: FORMAT,
        build: "0.0.0 other".to_owned(),
        redacted: false,
        config: BrainConfig::default(),
        seed: [0; 32],
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(frame(&mesh_proto::codec::encode(&header)).unwrap());
    fs::write(&path, bytes).unwrap();
    assert!(matches!(replay_with(&path, Toy::new), Err(JournalError::OtherBuild { .. })));
}

#[test]
fn a_redacted_journal_has_no_names_and_the_same_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let out = folder.path().join("redacted");
    assert_eq!(export_redacted(&path, &out).unwrap(), 6);
    let bytes = fs::read(&out).unwrap();
    for name in ["somebody", "Somebody", "holiday", "Secret", "Plan", "family"] {
        assert!(!bytes.windows(name.len()).any(|part| part == name.as_bytes()), "{name} is still there");
    }
    let report = replay_with(&out, Toy::new).unwrap();
    assert!(report.same() && report.redacted && report.inputs == 5, "{report:?}");
    assert!(export_redacted(&path, &out).is_err(), "an existing file is not overwritten");
}

#[test]
fn only_the_newest_runs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> = (0..JOURNALS_MAX + 2).map(|_| record(folder.path())).collect();
    paths.drain(..2).for_each(|path| assert!(!path.exists()));
    paths.iter().for_each(|path| assert!(path.exists()));
}
