//! Reads a journal, step by step; memory holds one step at a time.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use mesh_proto::codec::{self, DecodeError};

use super::{
    FORMAT, FRAME_DECODED_BYTES_MAX, FRAME_HEAD_BYTES, JOURNAL_BYTES_MAX, JournalHeader, JournalStep, MAGIC, checksum,
};

/// Why a journal can't be read or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system said no.
    #[error("{what} {path} failed")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// It is no journal, or ends before its first frame does.
    #[error("{path} is not a journal")]
    NotAJournal {
        /// Which file.
        path: PathBuf,
    },
    /// It was written in another format.
    #[error("the journal has format {found}, this build knows {FORMAT}")]
    OtherFormat {
        /// Its format.
        found: u16,
    },
    /// It was written by another build.
    #[error(
        "the journal was written by build {found}, this is {}; replay it with the build that wrote it",
        super::build()
    )]
    OtherBuild {
        /// Its build.
        found: String,
    },
    /// A frame is whole but no step.
    #[error("step {step} can't be understood")]
    Malformed {
        /// Which step, from 1.
        step: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
}

/// A journal being read.
pub struct JournalReader {
    file: Box<dyn Read + Send>,
    header: JournalHeader,
    steps: u64,
    torn: bool,
}

impl JournalReader {
    /// Opens a journal and reads its header.
    ///
    /// # Errors
    /// [`JournalError`] if it is none of this format.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let io_error = |source| JournalError::Io { what: "reading", path: path.to_owned(), source };
        Self::of(Box::new(BufReader::new(File::open(path).map_err(io_error)?)), path)
    }

    /// Reads the header of a journal from anywhere; `path` is only for what is said of errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(mut file: Box<dyn Read + Send>, path: &Path) -> Result<Self, JournalError> {
        let io_error = |source| JournalError::Io { what: "reading", path: path.to_owned(), source };
        let not_a_journal = || JournalError::NotAJournal { path: path.to_owned() };
        let mut magic = [0; MAGIC.len()];
        if file.read_exact(&mut magic).is_err() || &magic != MAGIC {
            return Err(not_a_journal());
        }
        let body = read_frame(&mut file).map_err(io_error)?.ok_or_else(not_a_journal)?;
        // The format stands first, so that it can be told whatever comes after it.
        let (found, _) =
            bincode::decode_from_slice::<u16, _>(&body, bincode::config::standard()).map_err(|_| not_a_journal())?;
        if found != FORMAT {
            return Err(JournalError::OtherFormat { found });
        }
        let header = codec::decode_in_proportion::<JournalHeader, FRAME_DECODED_BYTES_MAX>(&body)
            .map_err(|_| not_a_journal())?;
        Ok(Self { file, header, steps: 0, torn: false })
    }

    /// With what the run began.
    #[must_use]
    pub fn header(&self) -> &JournalHeader {
        &self.header
    }

    /// Whether the journal ended within a frame: its run was killed, or the file was cut.
    #[must_use]
    pub fn torn(&self) -> bool {
        self.torn
    }

    /// The next step, or `None` at the end.
    ///
    /// # Errors
    /// [`JournalError::Malformed`] if a whole frame is no step.
    pub fn next_step(&mut self) -> Result<Option<JournalStep>, JournalError> {
        let Some(body) = self.next_body() else {
            return Ok(None);
        };
        codec::decode_in_proportion::<JournalStep, FRAME_DECODED_BYTES_MAX>(&body)
            .map(Some)
            .map_err(|source| JournalError::Malformed { step: self.steps, source })
    }

    /// The next step's bytes, or `None` at the end. A disk that fails ends the journal like a cut.
    fn next_body(&mut self) -> Option<Vec<u8>> {
        let frame = read_frame(&mut self.file);
        self.torn |= frame.is_err();
        let body = frame.ok().flatten()?;
        self.steps += 1;
        Some(body)
    }
}

/// One whole frame's body; `None` where the file ends.
///
/// # Errors
/// `UnexpectedEof` or `InvalidData` if the frame is cut short or was damaged.
fn read_frame(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(FRAME_HEAD_BYTES);
    file.by_ref().take(FRAME_HEAD_BYTES as u64).read_to_end(&mut head)?;
    let [l0, l1, l2, l3, sum @ ..] = head.as_slice() else {
        return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    };
    let len = u64::from(u32::from_le_bytes([*l0, *l1, *l2, *l3]));
    if len > JOURNAL_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Vec::new();
    file.by_ref().take(len).read_to_end(&mut body)?;
    if body.len() as u64 != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match checksum(&body) == sum {
        true => Ok(Some(body)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}
