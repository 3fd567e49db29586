//! Keys and signatures of the small world: tags instead of arithmetic.

use mesh_proto::port::{KeyRole, KeysCommand, KeysInput};
use mesh_proto::record::{Record, Signed};

use super::Host;

/// Signatures of the world: a tag over signer and bytes. Good enough where nobody forges on purpose.
fn tag(signer: &[u8; 32], kind: mesh_proto::record::RecordKind, body: &[u8]) -> [[u8; 32]; 2] {
    let bytes = [signer.as_slice(), &Signed::signed_bytes(kind, body)].concat();
    [mesh_chunk::chunk_id(&bytes).0, [0; 32]]
}

/// A record as its signer would have signed it in this world.
pub fn signed(signer: [u8; 32], record: &Record) -> Signed {
    let (kind, body) = (record.kind(), record.encode_body());
    let signature = tag(&signer, kind, &body);
    Signed { kind, signer, body, signature }
}

/// Carries out what a brain asks of its keys.
pub fn keys(host: &mut Host, command: KeysCommand) -> KeysInput {
    match command {
        KeysCommand::Sign { command, role, kind, body } => {
            let signer = match role {
                KeyRole::Node => host.id.0,
                KeyRole::Member => host.member.expect("a member key was made"),
                KeyRole::Community(key) => key,
            };
            let signature = tag(&signer, kind, &body);
            KeysInput::Signed { command, result: Ok(Signed { kind, signer, body, signature }) }
        }
        KeysCommand::Verify { command, records } => {
            let valid = records.iter().map(|one| one.signature == tag(&one.signer, one.kind, &one.body)).collect();
            KeysInput::Verified { command, valid }
        }
        KeysCommand::Create { command, community } => {
            let key = mesh_chunk::chunk_id(&[&host.id.0[..], &command.0.to_le_bytes()].concat()).0;
            if !community {
                host.member = Some(key);
            }
            KeysInput::Created { command, result: Ok(key) }
        }
    }
}
