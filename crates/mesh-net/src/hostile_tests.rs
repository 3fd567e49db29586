//! What a peer that breaks the protocol can do to a network: be reported once, and lose its connection.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use mesh_proto::bulk::{GetterFrame, Packing, SourceFrame, SpanRequest};
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{BULK_STREAMS_PER_CONNECTION_MAX, CONTROL_FRAME_BYTES_MAX, UNREQUESTED_BYTES_MAX};
use mesh_proto::message::{Message, PageReply};
use mesh_proto::payload::SinkError;
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{CommandId, ContentId, PageId};

use crate::framing::push_control;
use crate::meeting::{Meeting, fetched, getter_frames, next_getter_frame, request, slice, source_frame};
use crate::streams::{BULK, CONTROL, PROBE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_on_the_control_stream_is_reported_once() {
    let mut nonsense = Vec::new();
    assert!(push_control(&mut nonsense, &[1, 0, 0xff, 0xff, 0xff, 0xff]));
    let too_long = (CONTROL_FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec();
    let no_number = vec![1, 0, 0, 0, 1];
    for bytes in [nonsense, too_long, no_number] {
        let mut meeting = Meeting::new().await;
        let _stream = meeting.say(CONTROL, &bytes).await;
        meeting.is_reported_once_and_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_message_is_no_fault() {
    let mut meeting = Meeting::new().await;
    let mut bytes = Vec::new();
    assert!(push_control(&mut bytes, &[0xe7, 0x03, 1, 2, 3]));
    let _stream = meeting.say(CONTROL, &bytes).await;
    assert!(matches!(meeting.next().await, NetInput::UnknownMessage { number: 999, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_asked_of_a_source_is_reported_once() {
    let huge = getter_frames(&[GetterFrame::Request(SpanRequest { payload_bytes: u64::MAX, ..request(1) })]);
    let twice = getter_frames(&[GetterFrame::Request(request(1)), GetterFrame::Request(request(1))]);
    let receipt = GetterFrame::Receipt { request: 1, drained_bytes: 1001 };
    let too_much = getter_frames(&[GetterFrame::Request(request(1)), receipt]);
    for bytes in [vec![0xff, 0xff], vec![0, 0], vec![3, 0, 0xfe, 0xfe, 0xfe], huge, twice, too_much] {
        let mut meeting = Meeting::new().await;
        let _stream = meeting.say(BULK, &bytes).await;
        meeting.is_reported_once_and_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_can_send_little_that_nobody_asked_for() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    let half = vec![0u8; UNREQUESTED_BYTES_MAX / 2];
    for _ in 0..3 {
        let _ = stream.write_all(&slice(77, Packing::Raw, &half, half.len())).await;
        let _ = stream.flush().await;
    }
    let log = meeting.until_the_end().await;
    assert_eq!(fetched(&log), vec![(FetchOutcome::Disconnected, 0, 0)]);
    assert!(log.iter().any(|input| matches!(input, NetInput::Malformed { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_beyond_the_span_ends_the_connection() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    stream.write_all(&slice(1, Packing::Raw, &[0; 600], 600)).await.unwrap();
    stream.write_all(&slice(1, Packing::Raw, &[0; 401], 401)).await.unwrap();
    stream.flush().await.unwrap();
    let log = meeting.until_the_end().await;
    assert_eq!(fetched(&log), vec![(FetchOutcome::Disconnected, 600, 600)]);
    assert!(log.iter().any(|input| matches!(input, NetInput::Malformed { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_slice_unpacks_to_no_more_than_it_says() {
    let packed = zstd::bulk::compress(&vec![0u8; 900_000], 3).unwrap();
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1_000_000).await;
    stream.write_all(&slice(1, Packing::Zstd, &packed, 900_000)).await.unwrap();
    stream.write_all(&slice(1, Packing::Zstd, &packed, 1000)).await.unwrap();
    stream.flush().await.unwrap();
    let log = meeting.until_the_end().await;
    assert!(matches!(fetched(&log).as_slice(), [(FetchOutcome::Protocol(_), 901_000, 900_000)]), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_a_slice_before_the_stream_broke_is_kept() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(100_000).await;
    stream.write_all(&slice(1, Packing::Raw, &[7; 100_000], 100_000)[..40_000]).await.unwrap();
    stream.close().await.unwrap();
    let log = loop {
        let input = meeting.next().await;
        if matches!(input, NetInput::Fetched { .. }) {
            break vec![input];
        }
    };
    let [(FetchOutcome::Disconnected, received, aside)] = fetched(&log)[..] else { panic!("{log:#?}") };
    assert_eq!(received, u64::from(aside));
    assert!((39_900..40_000).contains(&received), "{received}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_end_is_a_broken_promise() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    stream.write_all(&source_frame(&SourceFrame::End { request: 1 })).await.unwrap();
    stream.flush().await.unwrap();
    assert!(matches!(meeting.next().await, NetInput::Fetched { outcome: FetchOutcome::Protocol(_), .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_is_dropped_as_too_slow() {
    let mut meeting = Meeting::new().await;
    let _unread = meeting.accept(CONTROL).await;
    let reply = PageReply {
        content: ContentId([0; 32]),
        page: PageId([0; 32]),
        bytes: Some(vec![0; 60_000]),
        extensions: Extensions::default(),
    };
    for _ in 0..1000 {
        let message = Message::PageReply(reply.clone());
        meeting.net.command(NetCommand::Send { node: meeting.hostile, message });
    }
    loop {
        if let NetInput::Disconnected { why, .. } = meeting.next().await {
            assert!(why.contains("too slow"), "{why}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_too_many_are_reset_and_the_connection_lives() {
    let mut meeting = Meeting::new().await;
    let mut held = Vec::new();
    for _ in 0..BULK_STREAMS_PER_CONNECTION_MAX {
        held.push(meeting.say(BULK, &getter_frames(&[GetterFrame::Cancel { request: 1 }])).await);
    }
    let mut too_many = meeting.opener.open(BULK).await.unwrap();
    let mut byte = [0u8; 1];
    assert!(matches!(too_many.read(&mut byte).await, Ok(0) | Err(_)));
    held[0].write_all(&getter_frames(&[GetterFrame::Request(request(1))])).await.unwrap();
    held[0].flush().await.unwrap();
    assert!(matches!(meeting.next().await, NetInput::SpanRequested { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_do_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..60 {
        let meeting = Meeting::new().await;
        for protocol in [CONTROL, BULK, PROBE] {
            let bytes: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
            let Ok(mut stream) = meeting.opener.open(protocol).await else { continue };
            let _ = stream.write_all(&bytes).await;
            let _ = stream.close().await;
        }
        meeting.net.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_slice_is_no_longer_than_what_it_stands_for() {
    // A skippable frame unpacks to nothing, whatever its length.
    let mut skippable = vec![0x50, 0x2a, 0x4d, 0x18];
    skippable.extend_from_slice(&500_000u32.to_le_bytes());
    skippable.resize(skippable.len() + 500_000, 0);
    skippable.extend_from_slice(&zstd::bulk::compress(&[7], 3).unwrap());
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    let _ = stream.write_all(&slice(1, Packing::Zstd, &skippable, 1)).await;
    let _ = stream.flush().await;
    meeting.is_reported_once_and_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_sink_is_receipted_also_when_its_fetch_ends_first() {
    let mut meeting = Meeting::new().await;
    meeting.bin.shut.store(true, Ordering::Relaxed);
    let mut stream = meeting.be_asked(1000).await;
    stream.write_all(&slice(1, Packing::Raw, &[0; 600], 600)).await.unwrap();
    stream.write_all(&slice(1, Packing::Raw, &[0; 400], 400)).await.unwrap();
    stream.write_all(&source_frame(&SourceFrame::End { request: 1 })).await.unwrap();
    stream.flush().await.unwrap();
    // The reader takes all of that meanwhile: only the first slice reached its sink.
    tokio::time::sleep(Duration::from_millis(300)).await;
    meeting.net.command(NetCommand::CancelFetch { fetch: CommandId(1) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    meeting.bin.shut.store(false, Ordering::Relaxed);
    loop {
        if let GetterFrame::Receipt { request: 1, drained_bytes: 1000 } = next_getter_frame(&mut stream).await {
            break;
        }
    }
    loop {
        if let NetInput::Fetched { outcome, received_bytes, .. } = meeting.next().await {
            assert_eq!((outcome, received_bytes), (FetchOutcome::Cancelled, 600));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sink_refuses_is_receipted() {
    let mut meeting = Meeting::new().await;
    meeting.bin.full.store(true, Ordering::Relaxed);
    let mut stream = meeting.be_asked(1000).await;
    stream.write_all(&slice(1, Packing::Raw, &[0; 600], 600)).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(next_getter_frame(&mut stream).await, GetterFrame::Receipt { request: 1, drained_bytes: 600 });
    assert_eq!(next_getter_frame(&mut stream).await, GetterFrame::Cancel { request: 1 });
    stream.write_all(&slice(1, Packing::Raw, &[0; 400], 400)).await.unwrap();
    stream.write_all(&source_frame(&SourceFrame::End { request: 1 })).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(next_getter_frame(&mut stream).await, GetterFrame::Receipt { request: 1, drained_bytes: 1000 });
    let input = meeting.next().await;
    assert!(matches!(input, NetInput::Fetched { outcome: FetchOutcome::Sink(SinkError::NoSpace { .. }), .. }));
}
