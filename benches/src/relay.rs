//! A long way for packets: a TUN device whose packets come out of another one, in another network namespace, later, at a
//! limited rate, and not all of them.
//!
//! Two of these processes, one at each end, hand packets to each other through sockets in the file system, which all
//! namespaces share. Not a proxy: TCP's own packets go the whole way, and its round trip is that of the relay.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_sim::Stream;
use tun_rs::{DeviceBuilder, SyncDevice};

const MTU: u16 = 1500;

/// One end of a long way.
#[derive(Parser)]
struct Options {
    /// What the device is called.
    #[arg(long)]
    device: String,
    /// Where packets for this end arrive.
    #[arg(long)]
    own: PathBuf,
    /// Where the other end takes them.
    #[arg(long)]
    other: PathBuf,
    /// How long a packet is under way from here, in milliseconds.
    #[arg(long)]
    delay_ms: u64,
    /// The rate from here in Mbit/s.
    #[arg(long)]
    rate: u64,
    /// How long packets may wait for their turn, in milliseconds.
    #[arg(long, default_value_t = 100)]
    waiting_ms: u64,
    /// How many of a million packets are lost.
    #[arg(long, default_value_t = 0)]
    lost_ppm: u64,
    /// What packets are lost.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Packets under way, in the order in which they arrive.
type Way = (Mutex<VecDeque<(Instant, Vec<u8>)>>, Condvar);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let device = DeviceBuilder::new().name(&options.device).mtu(MTU).build_sync()?;
    let device = Arc::new(device);
    let arriving = UnixDatagram::bind(&options.own)?;
    println!("ready");
    let way: Arc<Way> = Arc::default();
    let (giver, taker) = (Arc::clone(&way), Arc::clone(&device));
    let other = options.other.clone();
    std::thread::spawn(move || carry(&giver, &other));
    std::thread::spawn(move || take_in(&taker, &arriving));
    send_off(&device, &way, &options)?;
    Ok(())
}

/// Takes packets from this end and puts them on their way.
fn send_off(device: &SyncDevice, way: &Way, options: &Options) -> std::io::Result<()> {
    let mut luck = Stream::new(options.seed, "relay", 0);
    let mut free_at = Instant::now();
    let mut packet = vec![0; usize::from(MTU)];
    loop {
        let length = device.recv(&mut packet)?;
        let now = Instant::now();
        let lost = luck.below(1_000_000) < options.lost_ppm;
        let begins = free_at.max(now);
        if lost || begins > now + Duration::from_millis(options.waiting_ms) {
            continue;
        }
        free_at = begins + Duration::from_nanos(length as u64 * 8 * 1000 / options.rate);
        let arrives = free_at + Duration::from_millis(options.delay_ms);
        let (packets, came) = way;
        packets.lock().expect("nobody panics with it").push_back((arrives, packet[..length].to_vec()));
        came.notify_one();
    }
}

/// Hands each packet over once it has arrived.
fn carry((packets, came): &Way, other: &std::path::Path) {
    let socket = UnixDatagram::unbound().expect("a socket can be made");
    loop {
        let mut waiting = packets.lock().expect("nobody panics with it");
        while waiting.is_empty() {
            waiting = came.wait(waiting).expect("nobody panics with it");
        }
        let (arrives, packet) = waiting.pop_front().expect("it is not empty");
        drop(waiting);
        std::thread::sleep(arrives.saturating_duration_since(Instant::now()));
        // Nobody is at the other end yet, or any more: packets may be lost.
        let _ = socket.send_to(&packet, other);
    }
}

fn take_in(device: &SyncDevice, arriving: &UnixDatagram) {
    let mut packet = vec![0; usize::from(MTU)];
    while let Ok(length) = arriving.recv(&mut packet) {
        // A device that is down takes none.
        let _ = device.send(&packet[..length]);
    }
}
