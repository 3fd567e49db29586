//! A payload stream's headers, each way.

use futures::FutureExt as _;
use futures::io::Cursor;
use mesh_net::framing::{push_header, read_header};
use mesh_proto::bulk::{GetterFrame, SourceFrame};
use mesh_proto::limits::{BULK_HEADER_BYTES_MAX, SLICE_BYTES_MAX, SPAN_BYTES_MAX};

use crate::memory::within;
use crate::targets::record::specimens;
use crate::{Seed, Target};

/// A getter's header in memory: its extensions are counted at more than they take on the wire.
const GETTER_BYTES_MAX: usize = 4 * BULK_HEADER_BYTES_MAX + 1024;
const SOURCE_BYTES_MAX: usize = BULK_HEADER_BYTES_MAX + 1024;

pub const GETTER: Target =
    Target { name: "bulk-getter", input_bytes_max: 8 * 1024, check: check_getter, seeds: getter_seeds };
pub const SOURCE: Target =
    Target { name: "bulk-source", input_bytes_max: 2 * 1024, check: check_source, seeds: source_seeds };

fn headers(bytes: &[u8], mut each: impl FnMut(&[u8])) {
    let mut stream = Cursor::new(bytes);
    let mut header = Vec::new();
    while read_header(&mut stream, &mut header).now_or_never().is_some_and(|read| read.is_ok()) {
        assert!(header.len() <= BULK_HEADER_BYTES_MAX, "a header of {} bytes", header.len());
        each(&header);
    }
}

fn check_getter(bytes: &[u8]) {
    headers(bytes, |header| {
        let Ok(frame) = within(GETTER_BYTES_MAX, || GetterFrame::decode(header)) else { return };
        let encoded = frame.encode();
        assert!(encoded.len() <= header.len());
        assert_eq!(GetterFrame::decode(&encoded).ok().as_ref(), Some(&frame));
        if let GetterFrame::Request(request) = frame {
            assert!((1..=SPAN_BYTES_MAX).contains(&request.payload_bytes));
            assert_eq!(request.chunks.end().checked_sub(request.chunks.start), Some(request.chunks.count));
        }
    });
}

fn check_source(bytes: &[u8]) {
    headers(bytes, |header| {
        let Ok(frame) = within(SOURCE_BYTES_MAX, || SourceFrame::decode(header)) else { return };
        let encoded = frame.encode();
        assert!(encoded.len() <= header.len());
        assert_eq!(SourceFrame::decode(&encoded).ok().as_ref(), Some(&frame));
        if let SourceFrame::Slice { payload_bytes, content_bytes, .. } = frame {
            assert!(0 < payload_bytes && payload_bytes <= content_bytes && content_bytes as usize <= SLICE_BYTES_MAX);
        }
    });
}

fn wire(headers: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut wire = Vec::new();
    headers.into_iter().for_each(|header| push_header(&mut wire, &header));
    wire
}

fn getter_seeds() -> Vec<Seed> {
    let encoded: Vec<Vec<u8>> = specimens::getter_frames().iter().map(GetterFrame::encode).collect();
    seeds(&encoded)
}

fn source_seeds() -> Vec<Seed> {
    let encoded: Vec<Vec<u8>> = specimens::source_frames().iter().map(SourceFrame::encode).collect();
    seeds(&encoded)
}

fn seeds(encoded: &[Vec<u8>]) -> Vec<Seed> {
    let one = |(number, header): (usize, &Vec<u8>)| Seed::new(format!("{number}"), wire([header.clone()]));
    let mut seeds: Vec<Seed> = encoded.iter().enumerate().map(one).collect();
    seeds.push(Seed::new("all", wire(encoded.iter().cloned())));
    seeds
}
