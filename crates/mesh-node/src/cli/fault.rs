//! Why a command failed: what, why, what to do, and the exit code that goes with it.

use std::error::Error;
use std::io;

use mesh_node::api::outcome::Outcome;
use mesh_node::api::{ClientError, ServerError};
use mesh_node::data_folder::FolderError;
use mesh_node::journal::JournalError;
use mesh_node::keys::KeysError;
use mesh_node::{ConfigError, StartError};
use mesh_proto::port::user::UserError;
use serde_json::{Value, json};

use super::output::printable;

/// A command's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How the process ends.
    pub outcome: Outcome,
    /// What failed and why.
    pub message: String,
    /// What to do; may be empty.
    pub cure: String,
}

impl Fault {
    /// A failure with a cure.
    #[must_use]
    pub fn new(outcome: Outcome, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { outcome, message: message.into(), cure: cure.into() }
    }

    /// A failure of the system.
    #[must_use]
    pub fn from_io(what: &str, error: &io::Error) -> Self {
        let (outcome, cure) = of_io(error.kind());
        Self::new(outcome, format!("{what} failed: {error}"), cure)
    }

    /// Somebody stopped it.
    #[must_use]
    pub fn interrupted(cure: impl Into<String>) -> Self {
        Self::new(Outcome::Interrupted, "interrupted", cure)
    }

    /// An answer of a kind that does not belong to the question.
    #[must_use]
    pub fn unexpected() -> Self {
        Self::new(Outcome::Internal, "the node's answer does not fit the question", "Are both of the same version?")
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let message = printable_lines(&self.message);
        match self.cure.is_empty() {
            true => format!("error: {message}"),
            false => format!("error: {message}\n  → {}", printable_lines(&self.cure)),
        }
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let meaning = self.outcome.meaning();
        let error = json!({
            "kind": meaning.name, "exit_code": meaning.exit_code, "message": self.message, "cure": self.cure,
        });
        json!({ "error": error })
    }

    /// For programs that read line by line what happens.
    #[must_use]
    pub fn to_event(&self) -> Value {
        let mut event = self.to_json();
        event["event"] = json!("error");
        event
    }

    /// From an error with its causes; the outcome is told by a failure of the system among them.
    fn from_chain(error: &(dyn Error + 'static), otherwise: Outcome) -> Self {
        let mut message = error.to_string();
        let mut found = None;
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            if let Some(error) = cause.downcast_ref::<io::Error>() {
                found = found.or(Some(of_io(error.kind())));
            }
            next = cause.source();
        }
        let (outcome, cure) = found.unwrap_or((otherwise, ""));
        Self::new(outcome, message, cure)
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn of_io(kind: io::ErrorKind) -> (Outcome, &'static str) {
    match kind {
        io::ErrorKind::NotFound => (Outcome::NotFound, "Check the path."),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (Outcome::Denied, "Check who owns it and what its permissions are.")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Outcome::NoSpace, "Make room, then run the same command again.")
        }
        io::ErrorKind::AlreadyExists => (Outcome::Exists, "Choose another name, or move what is there."),
        io::ErrorKind::NotADirectory => {
            (Outcome::Exists, "A file is in the way where a folder should be: check the path, and --data.")
        }
        io::ErrorKind::IsADirectory => (Outcome::Usage, "Name a file: this is a folder."),
        io::ErrorKind::InvalidFilename => (Outcome::Usage, "The name is longer than the system takes."),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            (Outcome::Usage, "Check that it is the right file, and whole.")
        }
        io::ErrorKind::AddrInUse => {
            (Outcome::InUse, "Another program listens there: choose another address with --listen.")
        }
        _ => (Outcome::Internal, ""),
    }
}

impl From<UserError> for Fault {
    fn from(error: UserError) -> Self {
        Self::new(error.kind.into(), error.message, error.cure)
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::new(Outcome::Unavailable, error.to_string(), "Look whether the node still runs: mesh-node status.")
    }
}

impl From<ServerError> for Fault {
    fn from(error: ServerError) -> Self {
        Self::from_chain(&error, Outcome::Internal)
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::from_chain(&error, Outcome::Usage)
    }
}

impl From<StartError> for Fault {
    fn from(error: StartError) -> Self {
        match error {
            StartError::InUse { .. } => Self::new(Outcome::InUse, error.to_string(), ""),
            StartError::Folder(error) => error.into(),
            StartError::Keys(error) => error.into(),
            _ => Self::from_chain(&error, Outcome::Internal),
        }
    }
}

impl From<FolderError> for Fault {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::InUse { .. } => {
                Self::new(Outcome::InUse, error.to_string(), "Stop that node first: this can't be done while it runs.")
            }
            FolderError::Newer { .. } | FolderError::Damaged { .. } => {
                Self::new(Outcome::Exists, error.to_string(), "Give another folder with --data.")
            }
            _ => Self::from_chain(&error, Outcome::Internal),
        }
    }
}

impl From<KeysError> for Fault {
    fn from(error: KeysError) -> Self {
        let outcome = match error {
            KeysError::Exists { .. } => Outcome::Exists,
            KeysError::NotAKey { .. } | KeysError::NotAnIdentity { .. } => Outcome::Usage,
            _ => Outcome::Internal,
        };
        let cure = match error {
            KeysError::Exists { .. } => Some("With --replace the identity that is here is put aside beside it."),
            KeysError::NotAnIdentity { .. } => Some("Give a file that mesh-node identity export made, whole."),
            _ => None,
        };
        let fault = Self::from_chain(&error, outcome);
        Self { cure: cure.map_or(fault.cure, ToOwned::to_owned), ..fault }
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        let (outcome, cure) = match error {
            JournalError::NotAJournal { .. } => (Outcome::Usage, "mesh-node journal list shows what there is."),
            JournalError::OtherFormat { .. } | JournalError::OtherBuild { .. } => {
                (Outcome::Usage, "Take the program that wrote it.")
            }
            JournalError::Malformed { .. } => (Outcome::Mismatch, "It is damaged: take another copy of it."),
            _ => (Outcome::Internal, ""),
        };
        let fault = Self::from_chain(&error, outcome);
        Self { cure: if cure.is_empty() { fault.cure } else { cure.to_owned() }, ..fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_why_and_what_to_do() {
        let fault = Fault::new(Outcome::NoSpace, "no room for \u{1b}[31mx", "Make room.");
        assert_eq!(fault.to_text(), "error: no room for \u{fffd}[31mx\n  → Make room.");
        assert_eq!(fault.to_json()["error"]["exit_code"], 5);
        assert_eq!(fault.to_json()["error"]["kind"], "no_space");
    }

    #[test]
    fn the_system_s_failures_keep_their_kind() {
        let error = KeysError::Io {
            what: "reading",
            path: "/x".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let fault = Fault::from(error);
        assert_eq!(fault.outcome, Outcome::Denied);
        assert!(fault.message.starts_with("reading /x failed: "), "{}", fault.message);
    }
}
