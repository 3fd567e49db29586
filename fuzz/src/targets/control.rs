//! A peer's control stream: frames, and the message in each.

use futures::FutureExt as _;
use futures::io::Cursor;
use mesh_net::framing::{push_control, read_control};
use mesh_proto::ChunkSet;
use mesh_proto::limits::{CONTROL_DECODED_BYTES_MAX, CONTROL_FRAME_BYTES_MAX, RECORD_BYTES_MAX};
use mesh_proto::message::{Frame, Have, HaveMore, Holding, Message};

use crate::memory::within;
use crate::targets::record::specimens;
use crate::{Seed, Target};

/// What a message may take besides what its limit counts: one record's body while it is looked at, and an error's words.
const BESIDES_BYTES: usize = 4 * RECORD_BYTES_MAX + 1024;

pub const FRAMES: Target = Target { name: "control", input_bytes_max: 16 * 1024, check, seeds };

fn check(bytes: &[u8]) {
    let mut stream = Cursor::new(bytes);
    let mut frame = Vec::new();
    // A stream in memory never makes one wait.
    while read_control(&mut stream, &mut frame).now_or_never().is_some_and(|read| read.is_ok()) {
        assert!(frame.len() <= CONTROL_FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        check_frame(&frame);
    }
}

fn check_frame(frame: &[u8]) {
    let decoded = within(CONTROL_DECODED_BYTES_MAX + BESIDES_BYTES, || Message::decode_frame(frame));
    let Ok(Frame::Known(message)) = decoded else { return };
    let encoded = message.encode_frame();
    assert!(encoded.len() <= frame.len(), "what was read in {} bytes takes {}", frame.len(), encoded.len());
    assert!(push_control(&mut Vec::new(), &encoded), "what was read can't be sent on");
    assert_eq!(Message::decode_frame(&encoded).ok().as_ref(), Some(&Frame::Known(message.clone())));
    serde_json::to_string(&message).expect("any message can be captured");
    match &message {
        Message::RecordList(list) => assert_eq!(list.listed().count(), list.known.len()),
        Message::Have(Have { holding: Holding::Partial(held), .. }) => check_set(held),
        Message::HaveMore(HaveMore { added, given, .. }) => [added, given].into_iter().for_each(check_set),
        _ => {}
    }
}

/// Whatever a peer wrote, a set's runs are in order, hold something and leave something out between them.
fn check_set(set: &ChunkSet) {
    assert!(set.runs().iter().all(|run| run.start < run.end()), "a run of nothing in {set:?}");
    assert!(set.runs().windows(2).all(|pair| pair[0].end() < pair[1].start), "runs that touch in {set:?}");
    assert_eq!(set.is_empty(), set.iter().next().is_none());
}

fn seeds() -> Vec<Seed> {
    let wire = |message: &Message| {
        let mut wire = Vec::new();
        assert!(push_control(&mut wire, &message.encode_frame()), "specimens are short");
        wire
    };
    let all = specimens::messages();
    let mut seeds: Vec<Seed> = all.iter().map(|message| Seed::new(message.name(), wire(message))).collect();
    seeds.push(Seed::new("all", all.iter().flat_map(wire).collect::<Vec<u8>>()));
    seeds
}

#[cfg(test)]
mod tests {
    use super::check_frame;
    use mesh_proto::codec;
    use mesh_proto::limits::CONTROL_FRAME_BYTES_MAX;
    use mesh_proto::message::{Have, Holding, Message};
    use mesh_proto::record::Access;
    use mesh_proto::{ChunkSet, ContentId};

    /// Frames longer than the fuzzer tries, filled with the elements that weigh most for their bytes.
    #[test]
    fn the_longest_frames_take_no_more_than_they_may() {
        let none = super::specimens::none();
        let (content, access, others) = (ContentId([1; 32]), Access::Public, Vec::new());
        let holding = Holding::Partial(ChunkSet::new());
        let have = Message::Have(Have { content, holding, access, others, extensions: none }).encode_frame();
        let (head, tail) = have.split_at(2 + 32 + 1);
        for (count, run) in [(60_000, [0, 1]), (60_000, [200, 200])] {
            let runs = codec::encode(&(0..count).map(|_| (run[0] as u32, run[1] as u32)).collect::<Vec<_>>());
            let frame = [head, &runs, &tail[1..]].concat();
            assert!(frame.len() <= CONTROL_FRAME_BYTES_MAX);
            check_frame(&frame);
        }
        for number in 0..40u16 {
            for filling in [0u8, 1, 2, 3, 200] {
                let mut frame = number.to_le_bytes().to_vec();
                frame.extend_from_slice(&[0xfb, 0xf0, 0xff]);
                frame.resize(CONTROL_FRAME_BYTES_MAX, filling);
                check_frame(&frame);
            }
        }
    }
}
