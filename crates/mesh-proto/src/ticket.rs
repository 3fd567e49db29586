//! The text one person gives to another to fetch content: `mesh:<content id>?name=…&size=…&peer=…`.
//!
//! Unknown parameters are kept out and ignored, so that a newer program's ticket still works here.

use std::fmt;
use std::str::FromStr;

use crate::id::{ContentId, ParseIdError};
use crate::limits::{ADDRESS_BYTES_MAX, ADDRESSES_PER_NODE_MAX, NAME_BYTES_MAX, TICKET_BYTES_MAX};

/// What a ticket says. Only the content id is proof of anything; all else are hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What to fetch.
    pub content: ContentId,
    /// The name to save it under.
    pub name: Option<String>,
    /// Its size in bytes.
    pub size_bytes: Option<u64>,
    /// Addresses of nodes that have it, as multiaddr texts ending in `/p2p/…`.
    pub peers: Vec<String>,
    /// The line whose version it is, as hex.
    pub line: Option<String>,
    /// Who published it, as hex.
    pub by: Option<String>,
    /// The key that opens it, when it is encrypted.
    pub key: Option<String>,
    /// HTTP addresses that serve the same bytes.
    pub mirrors: Vec<String>,
}

/// Why a text is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTicketError {
    /// It does not begin with `mesh:`.
    #[error("a ticket begins with \"mesh:\"")]
    Scheme,
    /// It is longer than any ticket.
    #[error("a ticket has at most {TICKET_BYTES_MAX} characters")]
    TooLong,
    /// What follows `mesh:` is not a content id.
    #[error("the ticket's content id is wrong: {0}")]
    Content(#[from] ParseIdError),
    /// A `%` escape is broken, or what it spells is not UTF-8.
    #[error("the ticket's parameter \"{0}\" is not readable")]
    Escape(String),
    /// A parameter's value makes no sense.
    #[error("the ticket's parameter \"{0}\" has a wrong value")]
    Value(String),
}

impl Ticket {
    /// A ticket that names only the content.
    #[must_use]
    pub fn new(content: ContentId) -> Self {
        Self {
            content,
            name: None,
            size_bytes: None,
            peers: Vec::new(),
            line: None,
            by: None,
            key: None,
            mirrors: Vec::new(),
        }
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), ParseTicketError> {
        let wrong = || ParseTicketError::Value(key.to_owned());
        match key {
            "name" if value.is_empty() || value.len() > NAME_BYTES_MAX => return Err(wrong()),
            "name" => self.name = Some(value),
            "size" => self.size_bytes = Some(value.parse().map_err(|_| wrong())?),
            // Every multiaddr begins so; what it says is the network's business.
            "peer" if !value.starts_with('/') => return Err(wrong()),
            "peer" if value.len() > ADDRESS_BYTES_MAX || self.peers.len() >= ADDRESSES_PER_NODE_MAX => {
                return Err(wrong());
            }
            "peer" => self.peers.push(value),
            "line" => self.line = Some(value),
            "by" => self.by = Some(value),
            "key" => self.key = Some(value),
            "mirror" if self.mirrors.len() >= ADDRESSES_PER_NODE_MAX => return Err(wrong()),
            "mirror" => self.mirrors.push(value),
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "mesh:{}", self.content)?;
        let size = self.size_bytes.map(|size| size.to_string());
        let single =
            [("name", &self.name), ("size", &size), ("line", &self.line), ("by", &self.by), ("key", &self.key)];
        let mut separator = '?';
        let mut write_pair = |key: &str, value: &str| {
            let result = write!(formatter, "{separator}{key}={}", escaped(value));
            separator = '&';
            result
        };
        for (key, value) in single {
            if let Some(value) = value {
                write_pair(key, value)?;
            }
        }
        self.peers.iter().try_for_each(|peer| write_pair("peer", peer))?;
        self.mirrors.iter().try_for_each(|mirror| write_pair("mirror", mirror))
    }
}

impl FromStr for Ticket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        let text = text.trim();
        if text.len() > TICKET_BYTES_MAX {
            return Err(ParseTicketError::TooLong);
        }
        let rest = text.strip_prefix("mesh:").ok_or(ParseTicketError::Scheme)?;
        let (content, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut ticket = Self::new(content.parse()?);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescaped(value).ok_or_else(|| ParseTicketError::Escape(key.to_owned()))?;
            ticket.set(key, value)?;
        }
        // It may be written shorter than it is printed, and what is printed must be a ticket, too.
        match ticket.to_string().len() > TICKET_BYTES_MAX {
            true => Err(ParseTicketError::TooLong),
            false => Ok(ticket),
        }
    }
}

/// Percent-encodes all but what RFC 3986 allows in a query value; `/` and `:` stay readable.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            // A sign is no digit, though numbers may begin with one.
            let digits = std::str::from_utf8(tail.get(..2)?).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wrong_tickets_say_what_is_wrong() {
        let id = "ab".repeat(32);
        assert_eq!("http://x".parse::<Ticket>(), Err(ParseTicketError::Scheme));
        assert!(matches!("mesh:12".parse::<Ticket>(), Err(ParseTicketError::Content(_))));
        assert_eq!(format!("mesh:{id}?size=x").parse::<Ticket>(), Err(ParseTicketError::Value("size".into())));
        assert_eq!(format!("mesh:{id}?name=%zz").parse::<Ticket>(), Err(ParseTicketError::Escape("name".into())));
        assert_eq!(format!("mesh:{id}?name=%+5").parse::<Ticket>(), Err(ParseTicketError::Escape("name".into())));
        assert_eq!(format!("mesh:{id}?peer=x").parse::<Ticket>(), Err(ParseTicketError::Value("peer".into())));
        assert!(format!("mesh:{id}?from-the-future=1").parse::<Ticket>().is_ok());
        let short_but_printed_long = format!("mesh:{id}?key={}", "é".repeat(1000));
        assert_eq!(short_but_printed_long.parse::<Ticket>(), Err(ParseTicketError::TooLong));
    }

    proptest! {
        #[test]
        fn a_ticket_prints_what_it_parses(name in "[^\0]{1,40}", size in any::<Option<u64>>(), peers in proptest::collection::vec("/[a-z0-9/.]{1,30}", 0..4)) {
            let mut ticket = Ticket::new(ContentId([7; 32]));
            ticket.name = Some(name);
            ticket.size_bytes = size;
            ticket.peers = peers;
            prop_assert_eq!(ticket.to_string().parse::<Ticket>(), Ok(ticket));
        }

        #[test]
        fn no_text_panics(text in "mesh:[0-9a-f]{60,66}[ -~é]{0,60}") {
            let _ = text.parse::<Ticket>();
        }
    }
}
