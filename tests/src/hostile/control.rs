//! Behind the greeting: messages that are wrong, that claim too much, or are simply too many.

use std::io;
use std::time::Duration;

use mesh_proto::message::Message;

use crate::line::Line;
use crate::orders::Fighter;
use crate::words::{self, framed, say};

/// Between two floods' waves, so that the wire, which is nobody's fault, is not what is full.
const WAVE_INTERVAL: Duration = Duration::from_millis(5);
/// Where lengths begin in bincode's integers: a number of 8 bytes follows.
const NUMBER_OF_8_BYTES: u8 = 253;

/// What is done with messages.
#[derive(Debug, Clone, Copy)]
pub enum Control {
    /// Whole messages of every kind with some bytes that are others.
    FlippedBytes,
    /// Messages cut off or with more behind them, their lengths right or wrong.
    WrongLengths,
    /// Lists that say they have more than there is memory.
    HugeCounts,
    /// Asks on and on and reads no answer.
    NeverReads,
    /// Asks on and on for what does not exist.
    FloodOfWants,
    /// Connects, greets, and stays, under as many keys as it can.
    ManyKeys,
}

/// One bout.
pub async fn bout(fighter: &mut Fighter, how: Control) -> io::Result<()> {
    let key = fighter.new_key();
    let mut line = Line::connect(fighter, &key).await?;
    let mut stream = words::greet(&line).await?;
    match how {
        Control::ManyKeys => {
            fighter.strike();
            line.hold().await;
        }
        Control::NeverReads => loop {
            let asked: Vec<u8> = words::wants(fighter).iter().take(3).flat_map(words::message).collect();
            say(&mut stream, &[asked, words::message(&words::empty_summary())].concat()).await?;
            fighter.strike();
        },
        Control::FloodOfWants => {
            let reader = tokio::spawn(async move {
                while let Some((_, mut stream)) = line.inbound.recv().await {
                    while words::heard(&mut stream).await.is_ok() {}
                }
            });
            while !reader.is_finished() {
                let asked: Vec<u8> = words::wants(fighter).iter().flat_map(words::message).collect();
                say(&mut stream, &asked).await?;
                fighter.strike();
                tokio::time::sleep(WAVE_INTERVAL).await;
            }
        }
        _ => loop {
            let whole = [words::claims(fighter), words::wants(fighter)].concat();
            let chosen = &whole[fighter.random.between(0, whole.len() as u64) as usize];
            let broken = broken(fighter, chosen, how);
            fighter.strike();
            say(&mut stream, &broken).await?;
        },
    }
    Ok(())
}

fn broken(fighter: &mut Fighter, message: &Message, how: Control) -> Vec<u8> {
    let mut frame = message.encode_frame();
    let random = &mut fighter.random;
    match how {
        Control::FlippedBytes => {
            for _ in 0..random.between(1, 4) {
                let at = random.between(2, frame.len() as u64) as usize;
                frame[at] ^= random.between(1, 256) as u8;
            }
            framed(&frame)
        }
        Control::WrongLengths => {
            let length = random.between(0, 2 * frame.len() as u64) as usize;
            let mut bytes = framed(&frame);
            if random.draw().is_multiple_of(2) {
                frame.resize(length, 7);
                bytes = framed(&frame);
            } else {
                bytes[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
            }
            bytes
        }
        _ => {
            // Every place may be that of a count.
            let at = random.between(2, 40.min(frame.len() as u64)) as usize;
            let count = 1u64 << random.between(8, 64);
            frame.splice(at..=at, [&[NUMBER_OF_8_BYTES][..], &count.to_le_bytes()].concat());
            framed(&frame)
        }
    }
}
