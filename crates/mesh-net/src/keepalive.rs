//! The kernel watches over each connection, so that a quiet one wakes nobody.
//!
//! A connection on which nothing comes is probed by the kernel of either side (RFC 9293, 3.8.4), and one whose bytes
//! stay unacknowledged is given up (RFC 5482). That finds a dead path and a dead host as soon as probes of ours
//! would, with no byte of payload and without waking a process; only a process that hangs is left for
//! [`probe`](crate::probe) to find. On systems without these options the system's own times hold.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::config::NetConfig;

/// Kernel's probes within the time nothing may come for, so that one lost packet is no lost peer.
const PROBES_PER_SILENCE: u64 = 2;

/// When the kernel probes, and when it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keepalive {
    /// Quiet for so long, a connection is probed.
    quiet: Duration,
    /// Then so often.
    again: Duration,
    /// Without any answer for so long, it is closed.
    gone: Duration,
}

impl Keepalive {
    /// `None` if connections are never to be probed.
    pub(crate) fn of(config: &NetConfig) -> Option<Self> {
        let (quiet_ms, silence_ms) = (config.ping_interval_ms, config.silence_ms_max.max(1));
        (quiet_ms > 0).then(|| Self {
            quiet: Duration::from_millis(quiet_ms),
            again: Duration::from_millis(silence_ms / PROBES_PER_SILENCE),
            // As two lost probes of ours, each sent after the interval and waited for.
            gone: Duration::from_millis(2 * quiet_ms.saturating_add(silence_ms)),
        })
    }

    /// Sets it for one connection. A system that refuses leaves the connection as it is: it still works.
    pub(crate) fn watch<'s>(&self, socket: impl Into<SockRef<'s>>) {
        let socket = socket.into();
        if let Err(error) = self.set(&socket) {
            tracing::debug!(%error, "the system does not watch over a connection");
        }
    }

    fn set(&self, socket: &SockRef<'_>) -> std::io::Result<()> {
        // Kernels count these in whole seconds.
        let whole = |time: Duration| time.max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(whole(self.quiet)).with_interval(whole(self.again));
        socket.set_tcp_keepalive(&probes)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            socket.set_tcp_user_timeout(Some(self.gone))?;
            // With little under way, the kernel tries again after equal times and not after ever longer ones, so that a
            // link that comes back is used soon.
            socket.set_tcp_thin_linear_timeouts(true)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_never_probed_is_left_to_the_system() {
        assert_eq!(Keepalive::of(&NetConfig { ping_interval_ms: 0, ..NetConfig::default() }), None);
    }

    #[test]
    fn the_kernel_takes_what_it_is_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Keepalive::of(&NetConfig::default()).unwrap().watch(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(100)));
            assert!(socket.tcp_thin_linear_timeouts().unwrap());
        }
    }
}
