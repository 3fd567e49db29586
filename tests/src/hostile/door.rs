//! Before anybody is known: connections of TCP that never become more.

use std::io;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::tcp::tokio::TcpStream;

use crate::line::{self, SELECT};
use crate::orders::Fighter;

const DRIP_INTERVAL: Duration = Duration::from_secs(1);
const RANDOM_BYTES: usize = 4096;
/// The longest message of a Noise handshake, as far as its length says.
const HALF_NOISE: [u8; 12] = [0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// What is done at the door.
#[derive(Debug, Clone, Copy)]
pub enum Door {
    /// Nothing is said.
    Silent,
    /// Random bytes, as many as are taken.
    RandomBytes,
    /// A proper beginning, one byte a second.
    SlowDrip,
    /// Half a choice of a protocol, then nothing.
    HalfSelect,
    /// Half a message of a Noise handshake, then nothing.
    HalfNoise,
}

/// One bout.
pub async fn bout(fighter: &mut Fighter, how: Door) -> io::Result<()> {
    let mut stream = line::tcp(fighter).await?;
    match how {
        Door::Silent => {}
        Door::RandomBytes => loop {
            stream.write_all(&fighter.random_bytes(RANDOM_BYTES)).await?;
            fighter.strike();
        },
        Door::SlowDrip => {
            for byte in [line::line(SELECT), line::line("/noise"), HALF_NOISE.to_vec()].concat() {
                stream.write_all(&[byte]).await?;
                fighter.strike();
                tokio::time::sleep(DRIP_INTERVAL).await;
            }
        }
        Door::HalfSelect => stream.write_all(&line::line(SELECT)[..9]).await?,
        Door::HalfNoise => {
            line::select(&mut stream, "/noise").await?;
            stream.write_all(&HALF_NOISE).await?;
        }
    }
    fighter.strike();
    until_the_end(stream).await
}

async fn until_the_end(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
