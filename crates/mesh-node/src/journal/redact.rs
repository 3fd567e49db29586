//! Takes names out of a journal, so that it can be given away.
//!
//! First every name of a content, node, member, community, tag and path component in the journal is collected, and
//! every readable run in the brain's rows; then each is replaced, wherever its bytes stand, by letters of the same
//! length: the same name by the same letters, so that the run can still be followed. Names shorter than
//! [`NAME_BYTES_MIN`] bytes and network addresses stay. Invariant: no encoded length changes, so every step decodes.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use mesh_proto::Ticket;
use mesh_proto::codec;
use mesh_proto::message::Message;
use mesh_proto::port::store::{Row, Table};
use mesh_proto::port::{Event, Input, KeysInput, NetCommand, NetInput, Output, StoreCommand, StoreInput, UserCommand};
use mesh_proto::record::{Record, Signed};

use super::read::{JournalError, JournalReader};
use super::{JournalStep, MAGIC, frame};
use crate::system;

/// Shorter names are too likely to be part of something else.
const NAME_BYTES_MIN: usize = 4;
/// Names kept while redacting; a journal with more is not written.
const NAMES_MAX: usize = 200_000;
/// How a ticket's text introduces its name.
const TICKET_NAME: &[u8] = b"name=";

/// Copies a journal to a new file, with names replaced. Returns how many different names there were.
///
/// # Errors
/// [`JournalError`] if the journal can't be read, or the file exists or can't be written.
pub fn export_redacted(journal: &Path, file: &Path) -> Result<usize, JournalError> {
    let io_error = |source| JournalError::Io { what: "writing", path: file.to_owned(), source };
    let names = Names::of_journal(journal)?;
    let mut reader = JournalReader::open(journal)?;
    let mut header = reader.header().clone();
    header.redacted = true;
    header.config.node_name = names.redacted(header.config.node_name.as_bytes());
    let mut out = system::create_private(file).map_err(io_error)?;
    out.write_all(MAGIC).and_then(|()| write_frame(&mut out, &codec::encode(&header))).map_err(io_error)?;
    while let Some(step) = reader.next_step()? {
        let mut body = codec::encode(&step);
        names.replace(&mut body);
        write_frame(&mut out, &body).map_err(io_error)?;
    }
    out.sync_all().map_err(io_error)?;
    Ok(names.all.len())
}

fn write_frame(out: &mut File, body: &[u8]) -> io::Result<()> {
    out.write_all(&frame(body).ok_or(io::ErrorKind::FileTooLarge)?)
}

/// The names in a journal.
struct Names {
    all: HashSet<Vec<u8>>,
    /// By their first bytes, so that a text is searched for all of them at once; the longest first.
    by_start: HashMap<[u8; NAME_BYTES_MIN], Vec<Vec<u8>>>,
    /// Without it, letters could be matched to guessed names.
    salt: [u8; 32],
}

impl Names {
    fn of_journal(journal: &Path) -> Result<Self, JournalError> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| JournalError::Io {
            what: "redacting",
            path: journal.to_owned(),
            source: io::Error::other(error),
        })?;
        let mut names = Self { all: HashSet::new(), by_start: HashMap::new(), salt };
        let mut reader = JournalReader::open(journal)?;
        names.add(&reader.header().config.node_name.clone());
        while let Some(step) = reader.next_step()? {
            names.add_step(&step);
            if names.all.len() > NAMES_MAX {
                let source = io::Error::other(format!("it holds more than {NAMES_MAX} names"));
                return Err(JournalError::Io { what: "redacting", path: journal.to_owned(), source });
            }
        }
        for name in &names.all {
            let mut start = [0; NAME_BYTES_MIN];
            start.copy_from_slice(&name[..NAME_BYTES_MIN]);
            names.by_start.entry(start).or_default().push(name.clone());
        }
        names.by_start.values_mut().for_each(|same| same.sort_by_key(|name| std::cmp::Reverse(name.len())));
        Ok(names)
    }

    fn add(&mut self, name: &str) {
        if name.len() >= NAME_BYTES_MIN {
            self.all.insert(name.as_bytes().to_vec());
        }
    }

    fn add_path(&mut self, path: &str) {
        path.split(['/', '\\']).for_each(|part| self.add(part));
    }

    fn add_step(&mut self, step: &JournalStep) {
        match &step.input {
            Input::User { command, .. } => self.add_command(command),
            Input::Store(input) => self.add_store(input),
            Input::Net(NetInput::Received { message, .. }) => self.add_message(message),
            Input::Keys(KeysInput::Signed { result: Ok(record), .. }) => self.add_record(record),
            _ => {}
        }
        for output in &step.outputs {
            match output {
                Output::Net(NetCommand::Send { message, .. }) => self.add_message(message),
                Output::Store(StoreCommand::Write { put, .. }) => put.iter().for_each(|row| self.add_row(row)),
                Output::Report(Event::ShareProgress { path, .. }) => self.add_path(path),
                _ => {}
            }
        }
    }

    fn add_command(&mut self, command: &UserCommand) {
        match command {
            UserCommand::Share { path, name, tags, .. } => {
                self.add_path(path);
                name.iter().chain(tags.iter().flatten()).for_each(|name| self.add(name));
            }
            UserCommand::Get { ticket, target, .. } => {
                self.add_path(target);
                if let Some(name) = ticket.parse::<Ticket>().ok().and_then(|ticket| ticket.name) {
                    self.add(&name);
                }
            }
            UserCommand::Search { text } => self.add(text),
            UserCommand::CommunityNew { name } | UserCommand::MemberNew { name } => self.add(name),
            UserCommand::MemberRevoke { reason, .. } => self.add(reason),
            _ => {}
        }
    }

    fn add_store(&mut self, input: &StoreInput) {
        match input {
            StoreInput::Opened { rows, contents, .. } => {
                rows.iter().for_each(|row| self.add_row(row));
                contents.iter().for_each(|stored| self.add_path(&stored.path));
            }
            StoreInput::Shared { result: Ok(stored), .. } | StoreInput::Finished { result: Ok(stored), .. } => {
                self.add_path(&stored.path);
            }
            StoreInput::Receiving { result: Ok(received), .. } => self.add_path(&received.stored.path),
            _ => {}
        }
    }

    fn add_message(&mut self, message: &Message) {
        match message {
            Message::Hello(hello) => hello.credentials.iter().for_each(|record| self.add_record(record)),
            Message::Records(records) => records.records.iter().for_each(|record| self.add_record(record)),
            _ => {}
        }
    }

    fn add_record(&mut self, signed: &Signed) {
        match signed.record() {
            Ok(Record::Node(record)) => self.add(&record.name),
            Ok(Record::Catalogue(entry)) => std::iter::once(&entry.name).chain(&entry.tags).for_each(|n| self.add(n)),
            Ok(Record::NodeCertificate(certificate)) => self.add(&certificate.member_name),
            Ok(Record::Membership(membership)) => self.add(&membership.community_name),
            Ok(Record::Revocation(revocation)) => self.add(&revocation.reason),
            Ok(Record::Version(_)) | Err(_) => {}
        }
    }

    /// Rows are the brain's own and not looked into: any readable run of letters in them may be a name.
    fn add_row(&mut self, row: &Row) {
        if row.table == Table::Peer {
            return;
        }
        let text = String::from_utf8_lossy(&row.value);
        let readable = |c: char| !c.is_control() && c != char::REPLACEMENT_CHARACTER;
        text.split(|c: char| !readable(c) || c == '/').for_each(|run| self.add(run));
    }

    /// Letters of the same length, always the same for the same name.
    fn redacted(&self, name: &[u8]) -> String {
        let mut letters = vec![0; name.len()];
        blake3::Hasher::new_keyed(&self.salt).update(name).finalize_xof().fill(&mut letters);
        letters.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
    }

    fn replace(&self, body: &mut [u8]) {
        let mut at = 0;
        while at + NAME_BYTES_MIN <= body.len() {
            let here = &body[at..];
            let len = self.name_at(here).or_else(|| ticket_name_at(&body[..at], here));
            match len {
                Some(len) => {
                    let letters = self.redacted(&body[at..at + len]);
                    body[at..at + len].copy_from_slice(letters.as_bytes());
                    at += len;
                }
                None => at += 1,
            }
        }
    }

    fn name_at(&self, bytes: &[u8]) -> Option<usize> {
        let start: &[u8; NAME_BYTES_MIN] = bytes.first_chunk()?;
        self.by_start.get(start)?.iter().find(|name| bytes.starts_with(name)).map(Vec::len)
    }
}

/// Within a ticket a name stands escaped, up to the next `&`.
fn ticket_name_at(before: &[u8], here: &[u8]) -> Option<usize> {
    if !before.ends_with(TICKET_NAME) {
        return None;
    }
    let len = here.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b'&').count();
    (len > 0).then_some(len)
}
