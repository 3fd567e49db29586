//! What two connected nodes say to each other on the control stream.
//!
//! A frame is `u32 LE length of what follows`, `u16 LE number`, then the message's encoding. Each message has a stable
//! number and name and ends in [`Extensions`]. An unknown even number is ignored; an unknown odd one is answered with
//! [`Unsupported`]. Payload never travels here (see [`crate::bulk`]).

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::chunk_set::{ChunkRange, ChunkSet};
use crate::codec::{self, DecodeError};
use crate::extensions::Extensions;
use crate::id::{ContentId, MemberId, NodeId, PageId};
use crate::limits::{
    CHUNK_SET_RANGES_MAX, CONTROL_DECODED_BYTES_MAX, HOLDINGS_PER_DIGEST_MAX, NAME_BYTES_MAX, OTHERS_PER_HAVE_MAX,
    PAGE_BYTES_MAX, RECORD_BYTES_MAX, RECORD_NAMES_PER_MESSAGE_MAX, RECORDS_PER_MESSAGE_MAX, SUMMARY_BUCKETS,
    SUMMARY_LEVELS_MAX,
};
use crate::record::{Access, RecordName};
use crate::shared_record::SharedRecord;
use crate::time::UnixMs;

/// The control protocol's name; its major version changes when an old node could misunderstand a new one.
pub const CONTROL_PROTOCOL: &str = "/mesh/control/1";

/// The first thing said on a connection, by both sides.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Hello {
    /// Program and version.
    pub agent: String,
    /// The node's name for people; may be empty.
    pub name: String,
    /// Certificates and memberships that say whose node this is (at most 8).
    pub credentials: Vec<SharedRecord>,
    /// The sender's civil time, to notice clocks that are far off.
    pub clock: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

/// One hash per bucket of the sender's records: equal where both know the same.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Summary {
    /// The sum of the records' hashes in each of [`SUMMARY_BUCKETS`] buckets.
    pub buckets: Vec<u64>,
    /// Room for later.
    pub extensions: Extensions,
}

/// What the sender knows in buckets where the two differ.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RecordList {
    /// The buckets listed. All on one level; below the top, [`RecordList::parent`] says in which bucket they are.
    pub buckets: Vec<u8>,
    /// Each record's name and version.
    pub known: Vec<(RecordName, u64)>,
    /// Whether the receiver should answer with its own list of the same buckets.
    pub answer: bool,
    /// Room for later.
    pub extensions: Extensions,
}

/// One hash per part of a bucket that holds too many records to list: equal where both know the same.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Split {
    /// Which bucket: its number on each level from the top, fewer than [`SUMMARY_LEVELS_MAX`].
    pub path: Vec<u8>,
    /// The sum of the records' hashes in each of its [`SUMMARY_BUCKETS`] parts.
    pub sums: Vec<u64>,
    /// Room for later.
    pub extensions: Extensions,
}

/// Asks for records by name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RecordsWanted {
    /// Which.
    pub names: Vec<RecordName>,
    /// Room for later.
    pub extensions: Extensions,
}

/// Records, asked for or new.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Records {
    /// The records.
    pub records: Vec<SharedRecord>,
    /// Room for later.
    pub extensions: Extensions,
}

/// Which listed contents the sender holds completely, as the first eight bytes of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Holdings {
    /// Held since the last digest, or all when `full`.
    pub added: Vec<u64>,
    /// No longer held.
    pub removed: Vec<u64>,
    /// Whether this replaces all said before.
    pub full: bool,
    /// Room for later.
    pub extensions: Extensions,
}

/// Asks whether the receiver holds any of the content with this discovery key, without naming the content: for tickets
/// that name no peer. Only a receiver that holds some of it, and would give it, answers, with [`Found`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Find {
    /// The content's [`discovery_key`](ContentId::discovery_key).
    pub key: [u8; 32],
    /// Room for later.
    pub extensions: Extensions,
}

/// Answers [`Find`]: ask me.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Found {
    /// The key asked for.
    pub key: [u8; 32],
    /// Room for later.
    pub extensions: Extensions,
}

/// Asks whether the receiver holds a content, and to be told of changes until the connection ends or `Uninterested`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct HaveRequest {
    /// Which.
    pub content: ContentId,
    /// Room for later.
    pub extensions: Extensions,
}

/// How much of a content a peer holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub enum Holding {
    /// Nothing, or nothing it would tell the asker of.
    None,
    /// These chunks so far.
    Partial(ChunkSet),
    /// All of it.
    Complete,
}

/// Answers [`HaveRequest`], and follows up when more was verified.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Have {
    /// Which.
    pub content: ContentId,
    /// How much.
    pub holding: Holding,
    /// The rule under which the sender gives it; a receiver that gives it on keeps to it.
    pub access: Access,
    /// Nodes that asked the sender for the same content or gave it, so that those who fetch it find each other;
    /// at most [`OTHERS_PER_HAVE_MAX`]. Only told to peers that may fetch it themselves.
    pub others: Vec<NodeId>,
    /// Room for later.
    pub extensions: Extensions,
}

/// Follows up a [`Have`] with what changed since, sooner and shorter than another one would.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct HaveMore {
    /// Of which content.
    pub content: ContentId,
    /// Chunks the sender holds besides those it told of.
    pub added: ChunkSet,
    /// Chunks that the sender, who holds all, is giving to others now: they will be had there, so whoever can do with
    /// others asks it for those.
    pub given: ChunkSet,
    /// Room for later.
    pub extensions: Extensions,
}

/// Ends the follow-ups of a [`HaveRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Uninterested {
    /// Which.
    pub content: ContentId,
    /// Room for later.
    pub extensions: Extensions,
}

/// Asks for one manifest page of a content; the root is the page named like the content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PageRequest {
    /// The content it belongs to (access is checked against it).
    pub content: ContentId,
    /// The page.
    pub page: PageId,
    /// Room for later.
    pub extensions: Extensions,
}

/// Answers [`PageRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PageReply {
    /// The content.
    pub content: ContentId,
    /// The page.
    pub page: PageId,
    /// Its bytes, or `None` if the sender has it not or may not give it.
    pub bytes: Option<Vec<u8>>,
    /// Room for later.
    pub extensions: Extensions,
}

/// Asks the receiver to open a connection to the sender, who can't dial it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DialMe {
    /// Where the sender listens.
    pub addresses: Vec<String>,
    /// Room for later.
    pub extensions: Extensions,
}

/// The sender closes the connection on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Bye {
    /// Why, for people.
    pub reason: String,
    /// Room for later.
    pub extensions: Extensions,
}

/// The sender does not know a message or an odd extension it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Unsupported {
    /// The message's number.
    pub message: u16,
    /// The extension's number, if that was it.
    pub extension: Option<u16>,
    /// Room for later.
    pub extensions: Extensions,
}

/// A request that neighbours may pass on. Understood on the wire; acted on by later versions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Want {
    /// What is wanted.
    pub content: ContentId,
    /// Which of it.
    pub chunks: Vec<ChunkRange>,
    /// For whom each hop is charged.
    pub for_member: Option<MemberId>,
    /// How urgent, 255 first.
    pub priority: u8,
    /// When it is no longer wanted, by the asker's clock; zero = never.
    pub deadline: UnixMs,
    /// How many more hops it may go.
    pub hops_left: u8,
    /// Room for later.
    pub extensions: Extensions,
}

/// Offers a content that travels towards a member. Understood on the wire; acted on by later versions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ParcelOffer {
    /// What it holds.
    pub content: ContentId,
    /// To whom it goes.
    pub to_member: MemberId,
    /// Its size.
    pub size_bytes: u64,
    /// When custody ends, by the sender's clock.
    pub expires: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

macro_rules! messages {
    ($($number:literal $name:ident),* $(,)?) => {
        /// Any control message.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[allow(missing_docs, reason = "each variant is the type it names")]
        pub enum Message {
            $($name($name),)*
        }

        impl Message {
            /// The names of all messages.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// Its stable number on the wire.
            #[must_use]
            pub fn number(&self) -> u16 {
                match self { $(Self::$name(_) => $number,)* }
            }

            /// Its stable name, for captures and counters.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// The extensions at its end.
            #[must_use]
            pub fn extensions(&self) -> &Extensions {
                match self { $(Self::$name(message) => &message.extensions,)* }
            }

            fn encode_body(&self) -> Vec<u8> {
                match self { $(Self::$name(message) => codec::encode(message),)* }
            }

            fn decode_body(number: u16, body: &[u8]) -> Result<Option<Self>, DecodeError> {
                match number {
                    $($number => Ok(Some(Self::$name(codec::decode::<_, CONTROL_DECODED_BYTES_MAX>(body)?))),)*
                    _ => Ok(None),
                }
            }
        }
    };
}

messages! {
    1 Hello,
    2 Summary,
    4 RecordList,
    6 RecordsWanted,
    8 Records,
    10 Holdings,
    11 HaveRequest,
    12 Have,
    14 Uninterested,
    15 PageRequest,
    16 PageReply,
    18 DialMe,
    20 Bye,
    22 Unsupported,
    24 Find,
    26 Found,
    28 Split,
    30 HaveMore,
    31 Want,
    33 ParcelOffer,
}

// Inside a journal a message stands as its frame, so that there is one encoding of it and not two.
impl Encode for Message {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.encode_frame().encode(encoder)
    }
}

impl<C> Decode<C> for Message {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let frame = Vec::<u8>::decode(decoder)?;
        match Self::decode_frame(&frame) {
            Ok(Frame::Known(message)) => Ok(message),
            _ => Err(bincode::error::DecodeError::Other("a journal holds a message this version does not know")),
        }
    }
}

bincode::impl_borrow_decode!(Message);

/// Whether this names a bucket that has parts.
fn is_path(path: &[u8]) -> bool {
    (1..SUMMARY_LEVELS_MAX).contains(&path.len()) && path.iter().all(|bucket| usize::from(*bucket) < SUMMARY_BUCKETS)
}

/// A frame as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message this version knows.
    Known(Message),
    /// A message it does not; odd numbers want to be answered.
    Unknown(u16),
}

impl Message {
    /// Number and body, without the length in front.
    #[must_use]
    pub fn encode_frame(&self) -> Vec<u8> {
        let mut frame = self.number().to_le_bytes().to_vec();
        frame.extend_from_slice(&self.encode_body());
        frame
    }

    /// Reads what [`encode_frame`](Self::encode_frame) wrote, from bytes nobody vouches for.
    ///
    /// # Errors
    /// [`DecodeError`] if a known message's body is malformed or breaks a limit.
    pub fn decode_frame(frame: &[u8]) -> Result<Frame, DecodeError> {
        let (number, body) = frame.split_first_chunk::<2>().ok_or(DecodeError::Rule("the frame has no number"))?;
        let number = u16::from_le_bytes(*number);
        match Self::decode_body(number, body)? {
            Some(message) => {
                message.check()?;
                Ok(Frame::Known(message))
            }
            None => Ok(Frame::Unknown(number)),
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        let fits = match self {
            Self::Hello(hello) => {
                hello.agent.len() <= NAME_BYTES_MAX
                    && hello.name.len() <= NAME_BYTES_MAX
                    && hello.credentials.len() <= 8
                    && hello.credentials.iter().all(|signed| signed.body.len() <= RECORD_BYTES_MAX)
            }
            Self::Summary(summary) => summary.buckets.len() == SUMMARY_BUCKETS,
            Self::RecordList(list) => {
                list.known.len() <= RECORD_NAMES_PER_MESSAGE_MAX && list.buckets.len() <= SUMMARY_BUCKETS
            }
            Self::Split(split) => is_path(&split.path) && split.sums.len() == SUMMARY_BUCKETS,
            Self::RecordsWanted(wanted) => wanted.names.len() <= RECORD_NAMES_PER_MESSAGE_MAX,
            Self::Records(records) => {
                records.records.len() <= RECORDS_PER_MESSAGE_MAX
                    && records.records.iter().all(|signed| signed.body.len() <= RECORD_BYTES_MAX)
            }
            Self::Holdings(holdings) => {
                holdings.added.len() <= HOLDINGS_PER_DIGEST_MAX && holdings.removed.len() <= HOLDINGS_PER_DIGEST_MAX
            }
            Self::Have(have) => {
                have.access.check()?;
                let runs = match &have.holding {
                    Holding::Partial(chunks) => chunks.runs().len(),
                    Holding::None | Holding::Complete => 0,
                };
                runs <= CHUNK_SET_RANGES_MAX && have.others.len() <= OTHERS_PER_HAVE_MAX
            }
            Self::HaveMore(HaveMore { added, given, .. }) => {
                added.runs().len() + given.runs().len() <= CHUNK_SET_RANGES_MAX
            }
            Self::PageReply(PageReply { bytes: Some(bytes), .. }) => bytes.len() <= PAGE_BYTES_MAX,
            Self::DialMe(dial) => dial.addresses.len() <= crate::limits::ADDRESSES_PER_NODE_MAX,
            Self::Bye(bye) => bye.reason.len() <= NAME_BYTES_MAX,
            Self::Want(want) => want.chunks.len() <= CHUNK_SET_RANGES_MAX,
            _ => true,
        };
        match fits {
            true => self.extensions().check(),
            false => Err(DecodeError::Rule("the message breaks a limit of its type")),
        }
    }
}
