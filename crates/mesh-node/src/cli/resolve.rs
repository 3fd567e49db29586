//! Finds what a person means by a short id, a ticket or a name.

use mesh_node::api::outcome::Outcome;
use mesh_proto::port::view::{CommunityView, ContentView};
use mesh_proto::port::{UserCommand, UserReply};
use mesh_proto::{CommunityId, ContentId, Ticket};

use super::fault::Fault;
use super::output::printable;
use super::session::Session;

/// The content a text means: an id, the beginning of one, a ticket, or a name of something here.
///
/// # Errors
/// A [`Fault`] if nothing or more than one thing fits.
pub async fn content(session: &Session, text: &str) -> Result<ContentId, Fault> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.starts_with("mesh:") {
        return Ok(ticket(text)?.content);
    }
    match session.ask(UserCommand::List).await? {
        UserReply::Contents(contents) => among_contents(&contents, text),
        _ => Err(Fault::unexpected()),
    }
}

/// The community founded here a text means: for others this node has no key, whatever they are called.
///
/// # Errors
/// A [`Fault`] if nothing or more than one thing fits.
pub async fn community(session: &Session, text: &str) -> Result<CommunityId, Fault> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    match session.ask(UserCommand::CommunityList).await? {
        UserReply::Communities(communities) => among_communities(&communities, text),
        _ => Err(Fault::unexpected()),
    }
}

/// Reads a ticket.
///
/// # Errors
/// A [`Fault`] that says what is wrong with it.
pub fn ticket(text: &str) -> Result<Ticket, Fault> {
    let cure = "Copy the whole ticket, from \"mesh:\" to its end; in a shell, put it in quotes.";
    text.parse().map_err(|error| Fault::new(Outcome::Usage, format!("this is not a ticket: {error}"), cure))
}

fn among_contents(contents: &[ContentView], text: &str) -> Result<ContentId, Fault> {
    let known = contents.iter().map(|content| (content.content_id, content.content_id.to_string(), &*content.name));
    single(known, text, "content", "mesh-node ls")
}

fn among_communities(communities: &[CommunityView], text: &str) -> Result<CommunityId, Fault> {
    let ours = communities.iter().filter(|one| one.founded_here);
    let known = ours.map(|one| (one.community, one.community.to_string(), &*one.name));
    single(known, text, "own community", "mesh-node community list")
}

fn single<'a, Id: Copy>(
    known: impl Iterator<Item = (Id, String, &'a str)>,
    text: &str,
    what: &str,
    list: &str,
) -> Result<Id, Fault> {
    let lower = text.to_ascii_lowercase();
    let fits = |(_, hex, name): &(Id, String, &str)| (!lower.is_empty() && hex.starts_with(&lower)) || *name == text;
    let found: Vec<_> = known.filter(fits).collect();
    match found.as_slice() {
        [(id, ..)] => Ok(*id),
        [] => {
            let message = format!("there is no {what} {:?} here", printable(text));
            Err(Fault::new(Outcome::NotFound, message, format!("{list} shows what there is.")))
        }
        several => {
            let short: Vec<&str> = several.iter().take(8).map(|(_, hex, _)| &hex[..16]).collect();
            let message = format!("{:?} fits more than one {what}: {}", printable(text), short.join(", "));
            Err(Fault::new(Outcome::Usage, message, "Give more of the id."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(text: &str) -> Result<CommunityId, Outcome> {
        let view = |first: u8, name: &str| CommunityView {
            community: CommunityId([first; 32]),
            name: name.into(),
            founded_here: true,
            belongs: true,
            joined: true,
        };
        let strangers = CommunityView { founded_here: false, ..view(0xad, "street") };
        let known = [view(0xab, "street"), view(0xac, "choir"), view(0x11, "choir"), strangers];
        among_communities(&known, text).map_err(|fault| fault.outcome)
    }

    #[test]
    fn a_prefix_or_a_name_must_fit_just_one() {
        assert_eq!(among("AB"), Ok(CommunityId([0xab; 32])));
        assert_eq!(among("street"), Ok(CommunityId([0xab; 32])));
        assert_eq!(among("a"), Err(Outcome::Usage));
        assert_eq!(among("choir"), Err(Outcome::Usage));
        assert_eq!(among("ad"), Err(Outcome::NotFound), "it was founded elsewhere");
        assert_eq!(among("ff"), Err(Outcome::NotFound));
        assert_eq!(among(""), Err(Outcome::NotFound));
    }
}
