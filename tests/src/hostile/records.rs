//! Records that are forged, old, taken back, or simply too many.

use std::io;
use std::time::Duration;

use libp2p::identity::Keypair;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::RECORDS_PER_MESSAGE_MAX;
use mesh_proto::message::{CONTROL_PROTOCOL, Message};
use mesh_proto::record::{Access, CatalogueEntry, ContentKind, NodeRecord, RecordKind, Signed, Subject};
use mesh_proto::time::UnixMs;
use mesh_proto::{ContentId, NodeId, codec};

use crate::line::{Line, Stream};
use crate::orders::Fighter;
use crate::words::{self, message, say};

/// Between two waves, so that the wire, which is nobody's fault, is not what is full.
const WAVE_INTERVAL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(3);
const VERSION: u64 = 1 << 40;

/// What is done with records.
#[derive(Debug, Clone, Copy)]
pub enum Forgery {
    /// Good ones of nodes and contents that do not exist.
    Announcements,
    /// Ones whose signature is wrong.
    Forged,
    /// The honest nodes' own, again and again.
    Replayed,
    /// The honest nodes' own with a lower version, and one's own, first new and then old.
    RolledBack,
}

/// One bout.
pub async fn bout(fighter: &mut Fighter, how: Forgery) -> io::Result<()> {
    let key = fighter.new_key();
    let mut line = Line::connect(fighter, &key).await?;
    let mut stream = words::greet(&line).await?;
    let honest = match how {
        Forgery::Replayed | Forgery::RolledBack => heard_records(&mut line, &mut stream).await?,
        Forgery::Announcements | Forgery::Forged => Vec::new(),
    };
    let reader = tokio::spawn(line.hold());
    let mut version = VERSION;
    while !reader.is_finished() {
        let wave: Vec<Signed> = match how {
            Forgery::Announcements => (0..RECORDS_PER_MESSAGE_MAX).map(|number| made_up(fighter, number)).collect(),
            Forgery::Forged => (0..RECORDS_PER_MESSAGE_MAX).map(|_| forged(fighter)).collect(),
            Forgery::Replayed => honest.iter().cycle().take(RECORDS_PER_MESSAGE_MAX).cloned().collect(),
            Forgery::RolledBack => {
                version -= 1;
                let old = honest.iter().filter_map(rolled_back);
                old.chain([node_record(&key, version, "10.77.0.249")]).take(RECORDS_PER_MESSAGE_MAX).collect()
            }
        };
        say(&mut stream, &message(&words::records(wave))).await?;
        fighter.strike();
        tokio::time::sleep(WAVE_INTERVAL).await;
    }
    Ok(())
}

/// Asks the node for what it knows, as a new one would.
async fn heard_records(line: &mut Line, stream: &mut Stream) -> io::Result<Vec<Signed>> {
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    let mut control = loop {
        tokio::select! {
            () = &mut patience => return Ok(Vec::new()),
            opened = line.inbound.recv() => match opened {
                Some((protocol, stream)) if protocol == CONTROL_PROTOCOL => break stream,
                Some(_) => {}
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    };
    say(stream, &message(&words::empty_summary())).await?;
    loop {
        let heard = tokio::select! {
            () = &mut patience => return Ok(Vec::new()),
            heard = words::heard(&mut control) => heard?,
        };
        match heard {
            Message::RecordList(list) => {
                let names = list.known.iter().map(|(name, _)| *name).collect();
                say(stream, &message(&words::wanted(names))).await?;
            }
            Message::Records(records) => return Ok(records.records.iter().map(|record| (**record).clone()).collect()),
            _ => {}
        }
    }
}

/// A record in somebody's name that he never signed.
pub fn forged(fighter: &mut Fighter) -> Signed {
    let mut signed = made_up(fighter, 0);
    signed.signature = [fighter.random_id(), fighter.random_id()];
    signed
}

/// A good record of a node, or of a content, that does not exist.
fn made_up(fighter: &mut Fighter, number: usize) -> Signed {
    let key = fighter.new_key();
    if number.is_multiple_of(2) {
        return node_record(&key, VERSION, "10.77.0.248");
    }
    let entry = CatalogueEntry {
        subject: Subject::Content(ContentId(fighter.random_id())),
        version: VERSION,
        withdrawn: false,
        name: "free".repeat(50),
        size_bytes: u64::MAX,
        kind: ContentKind::File,
        tags: vec!["free".to_owned(); 16],
        access: Access::Public,
        priority: 255,
        replicas_wanted: 255,
        expires: UnixMs(0),
        extensions: Extensions::default(),
    };
    signed(&key, RecordKind::Catalogue, codec::encode(&entry))
}

fn node_record(key: &Keypair, version: u64, address: &str) -> Signed {
    let record = NodeRecord {
        node: NodeId(public(key)),
        version,
        addresses: vec![format!("/ip4/{address}/tcp/9")],
        name: "made up".to_owned(),
        agent: String::new(),
        written: UnixMs(0),
        extensions: Extensions::default(),
    };
    signed(key, RecordKind::Node, codec::encode(&record))
}

/// The same record of the same node, older and elsewhere, under the signature it had.
fn rolled_back(honest: &Signed) -> Option<Signed> {
    let Ok(mesh_proto::record::Record::Node(mut record)) = honest.record() else { return None };
    record.version = record.version.saturating_sub(1);
    record.addresses = vec!["/ip4/10.77.0.247/tcp/9".to_owned()];
    Some(Signed { body: codec::encode(&record), ..honest.clone() })
}

fn signed(key: &Keypair, kind: RecordKind, body: Vec<u8>) -> Signed {
    let signature = key.sign(&Signed::signed_bytes(kind, &body)).expect("an Ed25519 key signs anything");
    let mut halves = [[0; 32]; 2];
    halves[0].copy_from_slice(&signature[..32]);
    halves[1].copy_from_slice(&signature[32..]);
    Signed { kind, signer: public(key), body, signature: halves }
}

fn public(key: &Keypair) -> [u8; 32] {
    key.public().try_into_ed25519().expect("all our keys are Ed25519").to_bytes()
}
