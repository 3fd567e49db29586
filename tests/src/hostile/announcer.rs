//! Announces by multicast nodes that do not exist, as fast as its link allows.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::orders::Fighter;

const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
const SERVICE: [&str; 3] = ["_p2p", "_udp", "local"];
const TTL_S: u32 = u32::MAX;
/// What one node says it listens on; each is kept apart.
const ADDRESSES: u16 = 8;
const TYPE_PTR: u16 = 12;
const TYPE_TXT: u16 = 16;
const CLASS_IN: u16 = 1;
/// Packets between two breaths, and how long these are.
const WAVE: usize = 40;
const WAVE_INTERVAL: Duration = Duration::from_millis(20);

/// Nodes announced before it counts as harm.
const ENOUGH: usize = 10_000;

/// One bout, which never ends.
pub async fn bout(fighter: &mut Fighter) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    for wave in 1.. {
        for _ in 0..WAVE {
            // A full queue of ours is no obstacle.
            let _ = socket.send_to(&announcement(fighter), GROUP).await;
        }
        if wave * WAVE >= ENOUGH {
            fighter.strike();
        }
        tokio::time::sleep(WAVE_INTERVAL).await;
    }
    Ok(())
}

/// What a node answers whoever looks for nodes: its name, and where it listens.
fn announcement(fighter: &mut Fighter) -> Vec<u8> {
    let peer = fighter.new_key().public().to_peer_id();
    let own_name = format!("{:016x}", fighter.random.draw());
    let own_name = name(&[&[own_name.as_str()][..], &SERVICE].concat());
    // An answer, of authority; one answer, and the addresses besides.
    let mut packet: Vec<u8> = [0u16, 0x8400, 0, 1, 0, ADDRESSES].iter().flat_map(|word| word.to_be_bytes()).collect();
    packet.extend(record(&name(&SERVICE), TYPE_PTR, &own_name));
    for number in 0..ADDRESSES {
        let port = 10_000 + (fighter.random.draw() % 40_000) as u16 + number;
        let text = format!("dnsaddr=/ip4/10.77.0.249/tcp/{port}/p2p/{peer}");
        let length = u8::try_from(text.len()).expect("addresses are short");
        packet.extend(record(&own_name, TYPE_TXT, &[&[length], text.as_bytes()].concat()));
    }
    packet
}

fn name(labels: &[&str]) -> Vec<u8> {
    let label = |label: &&str| [&[label.len() as u8], label.as_bytes()].concat();
    labels.iter().flat_map(label).chain([0]).collect()
}

fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("records are short");
    let head = [&kind.to_be_bytes()[..], &CLASS_IN.to_be_bytes(), &TTL_S.to_be_bytes(), &length.to_be_bytes()].concat();
    [name, &head, data].concat()
}
