//! Room at the end of every message and record for what later versions need to say.
//!
//! A number nobody here knows is ignored when even, and makes the whole message unsupported when odd.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::codec::DecodeError;
use crate::limits::{EXTENSION_BYTES_MAX, EXTENSIONS_MAX};

/// One numbered extension.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Extension {
    /// Its stable number; odd numbers must be understood.
    pub number: u16,
    /// Its own encoding.
    pub body: Vec<u8>,
}

/// The extensions at the end of a message or record; at most [`EXTENSIONS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Extensions(pub Vec<Extension>);

impl Extensions {
    /// The first odd number: one that its sender insists on and this version does not know.
    #[must_use]
    pub fn first_required(&self) -> Option<u16> {
        self.0.iter().map(|extension| extension.number).find(|number| number % 2 == 1)
    }

    /// What the extension of this number says.
    #[must_use]
    pub fn body_of(&self, number: u16) -> Option<&[u8]> {
        self.0.iter().find(|extension| extension.number == number).map(|extension| extension.body.as_slice())
    }

    /// Checks count and sizes.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] if there are too many or one is too long.
    pub fn check(&self) -> Result<(), DecodeError> {
        if self.0.len() > EXTENSIONS_MAX {
            return Err(DecodeError::Rule("too many extensions"));
        }
        if self.0.iter().any(|extension| extension.body.len() > EXTENSION_BYTES_MAX) {
            return Err(DecodeError::Rule("an extension is too long"));
        }
        Ok(())
    }
}
