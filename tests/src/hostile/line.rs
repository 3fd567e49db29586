//! A connection to the node, as far as an attack wants it: TCP, Noise, Yamux, streams that were agreed on.
//!
//! Built of libp2p's pieces and not of its swarm, and what is agreed on is written by hand, so that every step can be done
//! wrong.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
use libp2p::identity::Keypair;
use libp2p::noise;
use libp2p::tcp::tokio::TcpStream;
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::orders::Fighter;

/// What stands in front of every choice of a protocol.
pub const SELECT: &str = "/multistream/1.0.0";
/// Longer than the node's own patience with a handshake.
const PATIENCE: Duration = Duration::from_secs(60);
/// Streams the node opened that nobody took yet; more are dropped, which resets them.
const INBOUND_MAX: usize = 64;

/// A connection that is encrypted and nothing more.
pub type Secured = noise::Output<TcpStream>;
/// A stream of a connection.
pub type Stream = yamux::Stream;

/// A connection of TCP, from the address the fighter was told to use.
pub async fn tcp(fighter: &Fighter) -> io::Result<TcpStream> {
    let socket = if fighter.target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = fighter.from {
        socket.set_reuseaddr(true)?;
        socket.bind((from, 0).into())?;
    }
    let connected = tokio::time::timeout(PATIENCE, socket.connect(fighter.target)).await;
    Ok(TcpStream(connected.map_err(|_| io::ErrorKind::TimedOut)??))
}

/// The same, encrypted.
pub async fn secured(fighter: &Fighter, key: &Keypair) -> io::Result<Secured> {
    let mut stream = tcp(fighter).await?;
    select(&mut stream, "/noise").await?;
    let config = noise::Config::new(key).map_err(io::Error::other)?;
    let upgraded = tokio::time::timeout(PATIENCE, config.upgrade_outbound(stream, "/noise")).await;
    let (_, secured) = upgraded.map_err(|_| io::ErrorKind::TimedOut)?.map_err(io::Error::other)?;
    Ok(secured)
}

/// Chooses a protocol, as the one who opened.
pub async fn select<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, protocol: &str) -> io::Result<()> {
    stream.write_all(&[line(SELECT), line(protocol)].concat()).await?;
    stream.flush().await?;
    let (select, chosen) = (read_line(stream).await?, read_line(stream).await?);
    if select != SELECT || chosen != protocol {
        return Err(io::Error::other(format!("{protocol} was answered with {chosen}")));
    }
    Ok(())
}

/// A line of such a choice, its length in front.
pub fn line(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).expect("our own lines are short");
    [&[length], text.as_bytes(), b"\n"].concat()
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut length = [0];
    stream.read_exact(&mut length).await?;
    let mut text = vec![0; usize::from(length[0])];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// A whole connection. Dropped, it is closed.
pub struct Line {
    wishes: mpsc::Sender<oneshot::Sender<Stream>>,
    /// Streams that the node opened, and what it chose for each.
    pub inbound: mpsc::Receiver<(String, Stream)>,
}

impl Line {
    /// Connects under this key.
    pub async fn connect(fighter: &Fighter, key: &Keypair) -> io::Result<Self> {
        let mut secured = secured(fighter, key).await?;
        select(&mut secured, "/yamux/1.0.0").await?;
        let connection = yamux::Connection::new(secured, yamux::Config::default(), yamux::Mode::Client);
        let (wishes, wished) = mpsc::channel(1);
        let (accepted, inbound) = mpsc::channel(INBOUND_MAX);
        tokio::spawn(drive(connection, wished, accepted));
        Ok(Self { wishes, inbound })
    }

    /// Opens a stream on which nothing is agreed yet.
    pub async fn bare(&self) -> io::Result<Stream> {
        let (answer, opened) = oneshot::channel();
        self.wishes.send(answer).await.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        opened.await.map_err(|_| io::ErrorKind::ConnectionAborted.into())
    }

    /// Opens a stream of this protocol.
    pub async fn open(&self, protocol: &str) -> io::Result<Stream> {
        let mut stream = self.bare().await?;
        select(&mut stream, protocol).await?;
        Ok(stream)
    }

    /// Waits for the end of the connection; what the node opens meanwhile is kept open and not read.
    pub async fn hold(mut self) {
        let mut held = Vec::new();
        while let Some(stream) = self.inbound.recv().await {
            held.push(stream);
        }
    }
}

/// Moves the bytes of a connection until it ends or nobody wants it any more.
async fn drive(
    mut connection: yamux::Connection<Secured>,
    mut wished: mpsc::Receiver<oneshot::Sender<Stream>>,
    accepted: mpsc::Sender<(String, Stream)>,
) {
    let mut wish: Option<oneshot::Sender<Stream>> = None;
    poll_fn(|cx| {
        loop {
            if wish.is_none() {
                match wished.poll_recv(cx) {
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(one) => wish = one,
                    Poll::Pending => {}
                }
            }
            if wish.is_some()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                let (Ok(stream), Some(answer)) = (opened, wish.take()) else { return Poll::Ready(()) };
                let _ = answer.send(stream);
                continue;
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => drop(tokio::spawn(agree(stream, accepted.clone()))),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Agrees to whatever protocol of ours the node chooses for a stream.
async fn agree(mut stream: Stream, accepted: mpsc::Sender<(String, Stream)>) -> io::Result<()> {
    let select = read_line(&mut stream).await?;
    stream.write_all(&line(&select)).await?;
    loop {
        let protocol = read_line(&mut stream).await?;
        let ours = protocol.starts_with("/mesh/control/") || protocol.starts_with("/mesh/bulk/");
        stream.write_all(&line(if ours { &protocol } else { "na" })).await?;
        stream.flush().await?;
        if ours {
            let _ = accepted.try_send((protocol, stream));
            return Ok(());
        }
    }
}
