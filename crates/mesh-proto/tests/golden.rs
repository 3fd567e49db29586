//! The bytes of every message, frame and record, frozen: a change here breaks the wire and needs a new protocol version.

use std::fmt::Write;

mod specimens;

use mesh_proto::PageId;
use mesh_proto::bulk::{GetterFrame, SourceFrame};
use mesh_proto::codec;
use mesh_proto::message::{Frame, Holdings, Message, PageReply, RecordList, Records};
use mesh_proto::record::{RecordKind, Signed};
use proptest::prelude::*;
use specimens::{content, getter_frames, messages, name, none, records, signed, source_frames};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn the_bytes_of_control_messages_are_frozen() {
    let mut text = String::new();
    for message in messages() {
        let _ = writeln!(text, "{:>2} {} {}", message.number(), message.name(), hex(&message.encode_frame()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_bytes_of_records_are_frozen() {
    let text: String =
        records().iter().map(|record| format!("{:?} {}\n", record.kind(), hex(&record.encode_body()))).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn the_bytes_of_bulk_frames_are_frozen() {
    let getter = getter_frames().into_iter().map(|frame| format!("getter {}\n", hex(&frame.encode())));
    let source = source_frames().into_iter().map(|frame| format!("source {}\n", hex(&frame.encode())));
    insta::assert_snapshot!(getter.chain(source).collect::<String>());
}

#[test]
fn everything_reads_back_as_it_was_written() {
    for message in messages() {
        assert_eq!(Message::decode_frame(&message.encode_frame()).expect("valid"), Frame::Known(message.clone()));
        let journalled = codec::encode(&message);
        assert_eq!(codec::decode::<Message, 1_000_000>(&journalled).expect("valid"), message);
    }
    for frame in getter_frames() {
        assert_eq!(GetterFrame::decode(&frame.encode()).expect("valid"), frame);
    }
    for frame in source_frames() {
        assert_eq!(SourceFrame::decode(&frame.encode()).expect("valid"), frame);
    }
}

#[test]
fn unknown_numbers_are_told_apart_from_broken_frames() {
    assert_eq!(Message::decode_frame(&[99, 0, 1, 2, 3]).expect("a later version's"), Frame::Unknown(99));
    assert!(Message::decode_frame(&[99]).is_err());
    let mut cut = messages()[0].encode_frame();
    cut.pop();
    assert!(Message::decode_frame(&cut).is_err());
}

#[test]
fn the_largest_legitimate_messages_pass_their_limits() {
    use mesh_proto::limits::{
        CONTROL_FRAME_BYTES_MAX, HOLDINGS_PER_DIGEST_MAX, PAGE_BYTES_MAX, RECORD_BYTES_MAX,
        RECORD_NAMES_PER_MESSAGE_MAX, RECORDS_PER_MESSAGE_MAX,
    };
    let mut big = signed();
    big.body = vec![7; RECORD_BYTES_MAX - 200];
    let largest = [
        Message::Records(Records { records: vec![big.into(); RECORDS_PER_MESSAGE_MAX], extensions: none() }),
        Message::RecordList(RecordList {
            buckets: (0..64).collect(),
            known: vec![(name(), u64::MAX); RECORD_NAMES_PER_MESSAGE_MAX],
            answer: true,
            extensions: none(),
        }),
        Message::Holdings(Holdings {
            added: vec![u64::MAX; HOLDINGS_PER_DIGEST_MAX],
            removed: Vec::new(),
            full: true,
            extensions: none(),
        }),
        Message::PageReply(PageReply {
            content: content(),
            page: PageId([1; 32]),
            bytes: Some(vec![1; PAGE_BYTES_MAX]),
            extensions: none(),
        }),
    ];
    for message in largest {
        let frame = message.encode_frame();
        assert!(frame.len() <= CONTROL_FRAME_BYTES_MAX, "{} has {} bytes", message.name(), frame.len());
        assert!(Message::decode_frame(&frame).is_ok(), "{} is refused", message.name());
    }
}

proptest! {
    #[test]
    fn flipped_bytes_decode_or_fail_but_never_panic(which in 0..messages().len(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut frame = messages()[which].encode_frame();
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        let _ = Message::decode_frame(&frame);
    }

    #[test]
    fn random_bytes_never_panic_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..600), number in 0u16..40) {
        let mut frame = number.to_le_bytes().to_vec();
        frame.extend_from_slice(&bytes);
        let _ = Message::decode_frame(&frame);
        let _ = GetterFrame::decode(&bytes);
        let _ = SourceFrame::decode(&bytes);
        for kind in [RecordKind::Node, RecordKind::Catalogue, RecordKind::Membership, RecordKind::Version] {
            let _ = Signed { kind, signer: [0; 32], body: bytes.clone(), signature: [[0; 32]; 2] }.record();
        }
    }
}
