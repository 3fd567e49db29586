//! A link on which one message takes many times as long as a probe waits in silence.

#![allow(clippy::unwrap_used, reason = "a test that can not go on should panic")]

mod support;

use std::time::Duration;

use mesh_net::NetConfig;
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Message, PageReply};
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{ContentId, PageId};
use support::{Serving, TestNode, content, loopback};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the slow direction lets through at once, and how often.
const DROP_BYTES: usize = 512;
const DROP_EVERY: Duration = Duration::from_millis(20);

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bytes: usize, every: Duration) {
    let mut buffer = vec![0u8; bytes];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        tokio::time::sleep(every).await;
    }
}

/// Stands between whoever dials the address it gives and this port; what comes from the port is let through in drops.
async fn slow_way_to(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(carry(near_read, far_write, 64 * 1024, Duration::ZERO));
            tokio::spawn(carry(far_read, near_write, DROP_BYTES, DROP_EVERY));
        }
    });
    address
}

fn page(number: u8) -> Message {
    Message::PageReply(PageReply {
        content: ContentId([number; 32]),
        page: PageId([number; 32]),
        bytes: Some(vec![number; 60_000]),
        extensions: Extensions::default(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_bytes_come_is_kept_and_streams_open_behind_them() {
    let config = NetConfig { silence_ms_max: 500, ping_interval_ms: 5, ..loopback() };
    let a = TestNode::start(NetConfig { listen: Vec::new(), ..config }, 1);
    let b = TestNode::start(NetConfig { ping_interval_ms: 0, ..loopback() }, 2);
    let port = b.address().await.rsplit('/').next().unwrap().parse().unwrap();
    a.dial(&b, slow_way_to(port).await).await;
    b.wait_connected().await;
    (1..=2).for_each(|number| b.command(NetCommand::Send { node: a.id, message: page(number) }));
    *b.serving.lock().unwrap() = Serving::Once(1000);
    let fetch = a.fetch(&b, content(3), ChunkRange { start: 0, count: 1 }, 60_000);
    for number in 1..=2 {
        let came = a
            .wait_for("a page", |input| match input {
                NetInput::Received { message, .. } => Some(message.clone()),
                NetInput::Disconnected { why, .. } => panic!("{why}"),
                _ => None,
            })
            .await;
        assert_eq!(came, page(number));
    }
    a.wait_for("payload behind them", |input| matches!(input, NetInput::FetchProgress { .. }).then_some(())).await;
    a.command(NetCommand::CancelFetch { fetch });
    assert_eq!(a.wait_fetched(fetch).await.outcome, FetchOutcome::Cancelled);
}
