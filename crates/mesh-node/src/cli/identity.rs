//! `identity`: who this node is, and moving its keys to another machine.

use mesh_node::api::outcome::Outcome;
use mesh_node::data_folder::DataFolder;
use mesh_node::keys;
use mesh_proto::NodeId;
use mesh_proto::port::{UserCommand, UserReply};
use serde_json::{Value, json};

use super::fault::Fault;
use super::groups::IdentityCommand;
use super::session::{Session, Stay};
use super::simple::local_only;
use super::{Context, output};

/// Carries it out.
///
/// # Errors
/// A [`Fault`]; the identity is as it was then.
pub async fn run(context: &Context, command: IdentityCommand) -> Result<(), Fault> {
    match command {
        IdentityCommand::Show => show(context).await,
        IdentityCommand::Export { file } => {
            if !context.data.join("identity").join("node.key").is_file() {
                let message = format!("there is no identity in {} yet", context.data.display());
                return Err(Fault::new(Outcome::NotFound, message, "mesh-node up makes one; or check --data."));
            }
            let node = keys::export(&context.data, &file)?;
            let text = format!(
                "{} holds the keys of node {node}.\nKeep it safe: whoever has it can be this node.",
                file.display()
            );
            told(context, node, &text)
        }
        IdentityCommand::Import { file, replace } => {
            // Held until the import is done: no node may start meanwhile.
            let _folder = DataFolder::open(&context.data)?;
            let node = keys::import(&context.data, &file, replace)?;
            told(context, node, &format!("This data folder is now node {node}."))
        }
    }
}

fn told(context: &Context, node: NodeId, text: &str) -> Result<(), Fault> {
    match context.json {
        true => output::say(&format!("{:#}", json!({ "node": node }))),
        false => output::say(text),
    }
}

async fn show(context: &Context) -> Result<(), Fault> {
    let session = Session::open(&context.data, &local_only(), Stay::Moment).await?;
    let reply = session.ask(UserCommand::Status).await;
    session.close().await;
    let UserReply::Status(status) = reply? else {
        return Err(Fault::unexpected());
    };
    if context.json {
        let member = status.member.map_or(Value::Null, |member| json!(member));
        return output::say(&format!("{:#}", json!({ "node": status.node, "name": status.name, "member": member })));
    }
    let member = status.member.map_or_else(|| "none (mesh-node member new makes one)".to_owned(), |id| id.to_string());
    output::say(&format!("node   {}\nmember {member}", status.node))
}
