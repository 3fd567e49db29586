//! Every limit that a peer, a file or a person can run into, with its unit in its name.
//!
//! Memory a stranger can make us hold is the product of limits here and is asserted at the end of this file.

/// Extensions at the end of one message.
pub const EXTENSIONS_MAX: usize = 16;
/// One extension's body.
pub const EXTENSION_BYTES_MAX: usize = 4096;

/// One control frame on the wire, header excluded.
pub const CONTROL_FRAME_BYTES_MAX: usize = 128 * 1024;
/// Memory one decoded control message may take.
pub const CONTROL_DECODED_BYTES_MAX: usize = 512 * 1024;
/// One frame header of the payload protocol (requests, receipts, slice headers), header length excluded.
pub const BULK_HEADER_BYTES_MAX: usize = 4096;

/// One slice of payload.
pub const SLICE_BYTES_MAX: usize = 1024 * 1024;
/// The smallest slice worth its headers, those of its packet and of its receipt's included; used on links of a few kbit/s.
pub const SLICE_BYTES_MIN: usize = 1024;
/// One span of payload; at least the largest chunk.
pub const SPAN_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The smallest span the transfer machine plans, if the content has that much.
pub const SPAN_BYTES_MIN: u64 = 16 * 1024;
/// Span requests a peer may have waiting at us on one connection; more are answered "busy".
pub const SPAN_REQUESTS_PER_CONNECTION_MAX: usize = 64;

/// Payload streams a peer may open on one connection: the one it needs, and a second while the first is being given up.
pub const BULK_STREAMS_PER_CONNECTION_MAX: usize = 2;
/// Requests, cancellations and grants that wait at one such stream; a peer's wait to be read, a grant beyond is void.
pub const BULK_COMMANDS_MAX: usize = 512;
/// Slices one such stream has on their way out: one being read from the disk, one waiting, one being written.
pub const SLICES_OUT_PER_STREAM_MAX: usize = 3;
/// What a slice on its way out may have in any case.
pub const SHORT_SLICE_BYTES_MAX: usize = 64 * 1024;
/// Longer slices on their way out over all connections; at the limit slices are short.
pub const LARGE_SLICES_OUT_MAX: usize = 32;
/// Payload sources open over all connections, each of which may hold a chunk; at the limit the one used longest ago is
/// closed, and opened anew when its request gets its next grant.
pub const PAYLOAD_SOURCES_OPEN_MAX: usize = 8;
/// Memory for chunks that is kept to be used again, in chunks.
pub const CHUNK_BUFFERS_SPARE_MAX: usize = 1;
/// Read at once from a socket where more is waiting than was asked for.
pub const READ_AHEAD_BYTES: usize = 64 * 1024;

/// The smallest chunk that any content's parameters allow, its last one excepted.
pub const CHUNK_BYTES_MIN: u32 = 4 * 1024;
/// The largest chunk that any content's parameters allow.
pub const CHUNK_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Chunks of one content.
pub const CHUNKS_PER_CONTENT_MAX: u32 = 1 << 24;
/// One manifest page or root, encoded.
pub const PAGE_BYTES_MAX: usize = 64 * 1024;
/// How deep a manifest's tree of pages may be.
pub const PAGE_DEPTH_MAX: u8 = 4;
/// The listing of one tree.
pub const LISTING_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Entries of one tree.
pub const TREE_ENTRIES_MAX: usize = 2_000_000;
/// One path inside a tree.
pub const TREE_PATH_BYTES_MAX: usize = 4096;

/// Runs in one set of chunks as sent to a peer; a more broken set is sent without its smallest runs.
pub const CHUNK_SET_RANGES_MAX: usize = 4096;

/// Other nodes named in one answer about a content.
pub const OTHERS_PER_HAVE_MAX: usize = 32;

/// Addresses of one node in its record, in a ticket, or learnt otherwise.
pub const ADDRESSES_PER_NODE_MAX: usize = 16;
/// Communities that were joined or founded on one node.
pub const COMMUNITIES_PER_NODE_MAX: usize = 16;
/// One address as text.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// A name for people: of a content, a node, a member, a community.
pub const NAME_BYTES_MAX: usize = 255;
/// Tags of one catalogue entry.
pub const TAGS_MAX: usize = 16;
/// One tag.
pub const TAG_BYTES_MAX: usize = 64;
/// Members named in one access rule.
pub const ACCESS_MEMBERS_MAX: usize = 16;

/// One signed record on the wire, signature included.
pub const RECORD_BYTES_MAX: usize = 2048;
/// One catalogue entry's signed body.
pub const CATALOGUE_ENTRY_BYTES_MAX: usize = 1024;
/// Catalogue entries kept per publisher.
pub const CATALOGUE_ENTRIES_PER_PUBLISHER_MAX: usize = 10_000;
/// Catalogue entries kept in all.
pub const CATALOGUE_ENTRIES_MAX: usize = 100_000;
/// Nodes known by record.
pub const NODES_KNOWN_MAX: usize = 4096;
/// Certificates, memberships, revocations and versions kept, of each kind.
pub const VOUCHERS_PER_KIND_MAX: usize = 16_384;
/// Records in one message.
pub const RECORDS_PER_MESSAGE_MAX: usize = 48;
/// Record names listed or asked for in one message.
pub const RECORD_NAMES_PER_MESSAGE_MAX: usize = 1024;
/// Buckets into which records are hashed to compare two nodes' sets, and into which each bucket is split again.
pub const SUMMARY_BUCKETS: usize = 64;
/// Levels of buckets; one of the last level that has too many names is listed in parts.
pub const SUMMARY_LEVELS_MAX: usize = 5;
/// Parents of one version.
pub const VERSION_PARENTS_MAX: usize = 8;

/// Listed contents in one holdings digest.
pub const HOLDINGS_PER_DIGEST_MAX: usize = 8192;

/// Contents one node announces in the wider lookup.
pub const LOOKUP_KEYS_MAX: usize = 500;
/// Nodes named in one answer of the wider lookup.
pub const LOOKUP_PROVIDERS_MAX: usize = 64;

/// Discovery keys of other nodes kept for the wider lookup.
pub const LOOKUP_KEYS_KEPT_MAX: usize = LOOKUP_KEYS_MAX * 8;
/// Nodes kept for one discovery key.
pub const LOOKUP_PROVIDERS_KEPT_MAX: usize = 20;
/// Addresses kept of one of them.
pub const LOOKUP_ADDRESSES_KEPT_MAX: usize = 4;
/// One such address, in its binary form.
pub const LOOKUP_ADDRESS_BYTES_MAX: usize = 64;

/// A ticket as text.
pub const TICKET_BYTES_MAX: usize = 4096;
/// A path on this machine, as given by its person.
pub const LOCAL_PATH_BYTES_MAX: usize = 4096;

/// Connections from nodes that nobody here knows: not of our member nor of a community of ours, no static peer, no source
/// of what we fetch.
pub const CONNECTIONS_FROM_STRANGERS_MAX: usize = 32;
/// Such connections beyond that which have a moment to show a certificate.
pub const CONNECTIONS_GREETING_MAX: usize = 8;
/// Connections in all.
pub const CONNECTIONS_MAX: usize = 256;
/// Streams on one connection.
pub const STREAMS_PER_CONNECTION_MAX: usize = 128;
/// Bytes nobody asked for that a stream may bring before its connection is closed.
pub const UNREQUESTED_BYTES_MAX: usize = 4096;
/// Control frames waiting to be written to one peer; at the limit the connection is closed as too slow.
pub const CONTROL_OUTBOX_FRAMES_MAX: usize = 256;
/// Their bytes; at the limit likewise.
pub const CONTROL_OUTBOX_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Contents one node keeps an index row for.
pub const CONTENTS_MAX: usize = 1_000_000;
/// Transfers a node works on at once; more wait their turn.
pub const TRANSFERS_ACTIVE_MAX: usize = 16;
/// Transfers a node has that are not complete; another is refused.
pub const TRANSFERS_MAX: usize = 1024;

/// What one stranger's control streams hold: a frame being read and its decoded value, frames that wait to be written and
/// two being written.
const STRANGER_CONTROL_BYTES_MAX: usize =
    CONTROL_FRAME_BYTES_MAX + CONTROL_DECODED_BYTES_MAX + CONTROL_OUTBOX_BYTES_MAX + 2 * CONTROL_FRAME_BYTES_MAX;
/// What one of its payload streams holds: a header, waiting commands (counted at 256 bytes each), short slices.
const STRANGER_BULK_BYTES_MAX: usize =
    BULK_HEADER_BYTES_MAX + BULK_COMMANDS_MAX * 256 + SLICES_OUT_PER_STREAM_MAX * (SHORT_SLICE_BYTES_MAX + 256);
/// What strangers leave with us for the wider lookup, where it is on: provider records, counted at 256 bytes each beside
/// their addresses.
const STRANGERS_LOOKUP_BYTES_MAX: usize = LOOKUP_KEYS_KEPT_MAX
    * LOOKUP_PROVIDERS_KEPT_MAX
    * (256 + LOOKUP_ADDRESSES_KEPT_MAX * (LOOKUP_ADDRESS_BYTES_MAX + 32));

/// What all strangers together can make us hold: per connection its control and payload streams, its waiting span
/// requests (counted at 256 bytes each) and what was read ahead; and what all connections share: long slices, the chunks
/// that open payload sources hold or held, and the wider lookup's records.
///
/// Not in it: what Yamux holds of streams that are not read (it lets a stream have 256 KiB and more before it stops its
/// peer), the system's buffers, and what the brain keeps, whose tables have limits of their own.
pub const STRANGERS_BYTES_MAX: usize = (CONNECTIONS_FROM_STRANGERS_MAX + CONNECTIONS_GREETING_MAX)
    * (STRANGER_CONTROL_BYTES_MAX
        + BULK_STREAMS_PER_CONNECTION_MAX * STRANGER_BULK_BYTES_MAX
        + SPAN_REQUESTS_PER_CONNECTION_MAX * 256
        + READ_AHEAD_BYTES)
    + LARGE_SLICES_OUT_MAX * SLICE_BYTES_MAX
    + (PAYLOAD_SOURCES_OPEN_MAX + CHUNK_BUFFERS_SPARE_MAX) * CHUNK_BYTES_MAX as usize
    + STRANGERS_LOOKUP_BYTES_MAX;

// A third are chunks at open sources, and only where a content is shared whose chunks have 16 MiB; another third waits
// for peers that do not read. A node whose peers behave holds a few MiB.
const _: () = assert!(STRANGERS_BYTES_MAX <= 384 * 1024 * 1024);
const _: () = assert!(RECORDS_PER_MESSAGE_MAX * RECORD_BYTES_MAX <= CONTROL_FRAME_BYTES_MAX);
const _: () = assert!(PAGE_BYTES_MAX < CONTROL_FRAME_BYTES_MAX);
const _: () = assert!(SPAN_BYTES_MAX >= CHUNK_BYTES_MAX as u64);
