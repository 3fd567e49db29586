//! What can become of a command: exit codes, HTTP statuses and their names, in one table.
//!
//! The command line and the API both read it, so that a script sees the same cause under the same name in both.

use axum::http::StatusCode;
use mesh_proto::port::user::ErrorKind;

/// How a command ended, as the process tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// What was asked makes no sense as it stands.
    Usage,
    /// There is no such thing.
    NotFound,
    /// It is not permitted.
    Denied,
    /// No space, or the quota is reached.
    NoSpace,
    /// It may work later: no peers, no node.
    Unavailable,
    /// What came is not what was promised.
    Mismatch,
    /// It is there already.
    Exists,
    /// The data folder is in use.
    InUse,
    /// Our fault.
    Internal,
    /// Somebody stopped it.
    Interrupted,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    /// Of what.
    pub outcome: Outcome,
    /// The process's exit code.
    pub exit_code: u8,
    /// The API's status.
    pub status: StatusCode,
    /// Its name in JSON.
    pub name: &'static str,
    /// For people.
    pub text: &'static str,
}

const fn meaning(
    outcome: Outcome,
    exit_code: u8,
    status: StatusCode,
    name: &'static str,
    text: &'static str,
) -> Meaning {
    Meaning { outcome, exit_code, status, name, text }
}

/// Every outcome, by exit code.
pub const MEANINGS: &[Meaning] = &[
    meaning(Outcome::Ok, 0, StatusCode::OK, "ok", "done"),
    meaning(Outcome::Usage, 2, StatusCode::BAD_REQUEST, "invalid", "the command or its arguments make no sense"),
    meaning(Outcome::NotFound, 3, StatusCode::NOT_FOUND, "not_found", "no such file, content or node"),
    meaning(Outcome::Denied, 4, StatusCode::FORBIDDEN, "denied", "the system or a peer does not permit it"),
    meaning(
        Outcome::NoSpace,
        5,
        StatusCode::INSUFFICIENT_STORAGE,
        "no_space",
        "no space left, or the quota is reached",
    ),
    meaning(
        Outcome::Unavailable,
        6,
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "no peer or no node; may work later",
    ),
    meaning(Outcome::Mismatch, 7, StatusCode::UNPROCESSABLE_ENTITY, "mismatch", "verification failed"),
    meaning(Outcome::Exists, 8, StatusCode::CONFLICT, "exists", "it exists already, or is in the way"),
    meaning(Outcome::InUse, 9, StatusCode::LOCKED, "in_use", "another node uses the data folder"),
    meaning(Outcome::Internal, 70, StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of this program"),
    meaning(Outcome::Interrupted, 130, StatusCode::SERVICE_UNAVAILABLE, "interrupted", "stopped by Ctrl-C or a signal"),
];

impl Outcome {
    /// Its line of the table.
    #[must_use]
    pub fn meaning(self) -> &'static Meaning {
        MEANINGS.iter().find(|meaning| meaning.outcome == self).expect("a test finds every outcome in the table")
    }
}

impl From<ErrorKind> for Outcome {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Exists => Self::Exists,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Mismatch => Self::Mismatch,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [ErrorKind; 8] = [
        ErrorKind::Invalid,
        ErrorKind::NotFound,
        ErrorKind::Exists,
        ErrorKind::Denied,
        ErrorKind::NoSpace,
        ErrorKind::Unavailable,
        ErrorKind::Mismatch,
        ErrorKind::Internal,
    ];

    #[test]
    fn every_kind_has_a_code_a_status_and_its_own_name() {
        for kind in ALL {
            let meaning = Outcome::from(kind).meaning();
            assert_eq!(serde_json::to_value(kind).unwrap(), meaning.name, "{kind:?}");
            assert!(meaning.exit_code != 0 && !meaning.status.is_success(), "{kind:?}");
        }
    }

    #[test]
    fn no_two_outcomes_share_a_code_or_name() {
        let codes: BTreeSet<u8> = MEANINGS.iter().map(|meaning| meaning.exit_code).collect();
        let names: BTreeSet<&str> = MEANINGS.iter().map(|meaning| meaning.name).collect();
        assert_eq!((codes.len(), names.len()), (MEANINGS.len(), MEANINGS.len()));
        for outcome in [Outcome::Ok, Outcome::InUse, Outcome::Interrupted] {
            assert_eq!(outcome.meaning().outcome, outcome);
        }
        assert!(MEANINGS.is_sorted_by_key(|meaning| meaning.exit_code));
    }
}
