//! Replies as text for people. What strangers wrote is made printable first.

use mesh_proto::port::net::LinkClass;
use mesh_proto::port::view::{
    CatalogueView, CommunityView, ContentView, DoctorView, GcView, GetReport, MemberView, PeerView, RevokeView,
    ShareView, StatusView, TopologyView,
};
use mesh_proto::port::{UserCommand, UserReply};
use mesh_proto::record::{Access, ContentKind};

use super::output::{count, duration, printable, rate, size};
use super::table::Table;

/// A reply as text.
#[must_use]
pub fn reply(asked: &UserCommand, reply: &UserReply) -> String {
    match reply {
        UserReply::Done => done(asked).to_owned(),
        UserReply::Shared(view) => share(view),
        UserReply::Getting(view) if matches!(asked, UserCommand::Verify { .. }) => format!(
            "damaged: what is bad is fetched again; until then {} is not there\nmesh-node ls shows how far it is",
            printable(&view.path)
        ),
        UserReply::Getting(view) => format!("{} → {}", view.content_id.short(), printable(&view.path)),
        UserReply::Contents(contents) => list(contents),
        UserReply::Catalogue(entries) => catalogue(entries),
        UserReply::Collected(view) => collected(view),
        UserReply::Status(view) => status(view, true),
        UserReply::Peers(view) => peers(view),
        UserReply::Topology(view) => topology(view),
        UserReply::Doctor(view) => doctor(view),
        UserReply::Communities(view) => communities(view),
        UserReply::Invitation(view) => {
            format!("for member {}\n{}", view.member.short(), view.invitation)
        }
        UserReply::Members(view) => members(view),
        UserReply::Community(view) => format!("community {}\n{}", printable(&view.name), view.community),
        UserReply::Member(view) => format!("member {}\n{}", printable(&view.name), view.member),
        UserReply::Revoked(view) => revoked(view),
        UserReply::Failed(error) => format!("{} {}", printable(&error.message), printable(&error.cure)),
    }
}

fn done(asked: &UserCommand) -> &'static str {
    match asked {
        UserCommand::Remove { .. } => "forgotten",
        UserCommand::Pin { pinned: true, .. } => "pinned",
        UserCommand::Pin { pinned: false, .. } => "unpinned",
        UserCommand::Pause { .. } => "paused",
        UserCommand::Resume { .. } => "resumed",
        UserCommand::Cancel { .. } => "cancelled",
        UserCommand::Verify { .. } => "verified: all of it is as it should be",
        _ => "done",
    }
}

/// What was shared, the ticket alone on the last line.
#[must_use]
pub fn share(view: &ShareView) -> String {
    let listed = if view.listed { ", listed" } else { "" };
    format!(
        "shared {} ({}, {}{listed})\nid     {}\nblake3 {}\n{}",
        printable(&view.name),
        size(view.size_bytes),
        count(view.chunks, "chunk"),
        view.content_id,
        view.blake3,
        view.ticket
    )
}

/// How a transfer went: what came from whom, and that it is verified.
#[must_use]
pub fn report(view: &GetReport) -> String {
    let mean = match view.elapsed_ms {
        0 => String::new(),
        elapsed => {
            let mean = u128::from(view.received_bytes) * 1000 / u128::from(elapsed);
            format!(", {} on average", rate(u64::try_from(mean).unwrap_or(u64::MAX)))
        }
    };
    let mut text = format!(
        "complete {} ({}) in {}{mean}\npath     {}\nblake3   {}\nverified {}; received {}, duplicates {}, \
         rejected {}\n",
        printable(&view.name),
        size(view.size_bytes),
        duration(view.elapsed_ms),
        printable(&view.path),
        view.blake3,
        count(view.chunks, "chunk"),
        size(view.received_bytes),
        size(view.duplicate_bytes),
        size(view.rejected_bytes),
    );
    let mut table = Table::new(&["SOURCE", "LINK", "BYTES", "WASTED", ""]);
    for source in &view.sources {
        let banned = if source.banned { "BANNED: sent wrong bytes" } else { "" };
        table.row(vec![
            source.node.short(),
            class(source.class).to_owned(),
            size(source.bytes),
            size(source.wasted_bytes),
            banned.to_owned(),
        ]);
    }
    if view.earlier_bytes > 0 {
        let here = ["here before".to_owned(), "-".to_owned(), size(view.earlier_bytes), "-".to_owned(), String::new()];
        table.row(here.to_vec());
    }
    text.push_str(&table.render());
    text
}

/// A link's class for people.
#[must_use]
pub fn class(class: Option<LinkClass>) -> &'static str {
    match class {
        None => "-",
        Some(LinkClass::Loopback) => "this machine",
        Some(LinkClass::SameSegment) => "same segment",
        Some(LinkClass::Farther) => "farther",
        Some(LinkClass::Metered) => "metered",
    }
}

fn kind(kind: ContentKind) -> &'static str {
    match kind {
        ContentKind::File => "file",
        ContentKind::Tree => "folder",
    }
}

fn or_none(table: &Table, none: &str) -> String {
    if table.is_empty() { none.to_owned() } else { table.render() }
}

fn list(contents: &[ContentView]) -> String {
    let mut table = Table::new(&["ID", "STATE", "SIZE", "HERE", "KIND", "FLAGS", "NAME", "PATH"]);
    for content in contents {
        let access = match content.access {
            Access::Ticket => None,
            Access::Public => Some("public"),
            Access::Community(_) => Some("community"),
            Access::Members(_) => Some("members"),
        };
        let flags = [content.listed.then_some("listed"), content.pinned.then_some("pinned"), access];
        let flags: Vec<&str> = flags.into_iter().flatten().collect();
        let is_whole = matches!(content.state.as_str(), "shared" | "complete");
        let percent = (u128::from(content.have_bytes) * 100).checked_div(content.size_bytes.into());
        let percent = percent.unwrap_or(if is_whole { 100 } else { 0 });
        table.row(vec![
            content.content_id.short(),
            content.state.clone(),
            size(content.size_bytes),
            format!("{percent} %"),
            kind(content.kind).to_owned(),
            if flags.is_empty() { "-".to_owned() } else { flags.join(",") },
            printable(&content.name),
            printable(&content.path),
        ]);
    }
    or_none(&table, "nothing is here yet: mesh-node share PATH, or mesh-node get TICKET")
}

fn catalogue(entries: &[CatalogueView]) -> String {
    let mut table = Table::new(&["ID", "SIZE", "KIND", "HOLDERS", "HERE", "NAME", "TAGS"]);
    for entry in entries {
        table.row(vec![
            entry.content_id.short(),
            size(entry.size_bytes),
            kind(entry.kind).to_owned(),
            entry.holders.to_string(),
            if entry.here { "yes" } else { "no" }.to_owned(),
            printable(&entry.name),
            printable(&entry.tags.join(" ")),
        ]);
    }
    match table.is_empty() {
        true => "nothing is listed by peers seen so far; mesh-node doctor tells why there may be none".to_owned(),
        false => {
            let tickets = entries.iter().map(|entry| format!("{}  {}", entry.content_id.short(), entry.ticket));
            format!("{}\n\nTickets:\n{}", table.render(), tickets.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn collected(view: &GcView) -> String {
    let mut text = format!("{} removed, {} freed", count(view.removed, "content"), size(view.freed_bytes));
    if view.over_bytes > 0 {
        text.push_str(&format!(
            "\nthe quota is still exceeded by {}: what is left is pinned; mesh-node unpin lets it go",
            size(view.over_bytes)
        ));
    }
    text
}

fn revoked(view: &RevokeView) -> String {
    let mut lines = Vec::new();
    if view.certificate {
        lines.push(format!("node {} is no longer this node's member's", view.subject));
    }
    for community in &view.communities {
        lines.push(format!("member {} is out of community {community}", view.subject));
    }
    lines.push(
        match view.own {
            true => {
                "for ever; to begin anew use another data folder (--data), or mesh-node identity import FILE --replace"
            }
            false => "for ever: a node or member that is to come back has to begin anew, in another data folder",
        }
        .to_owned(),
    );
    lines.join("\n")
}

/// The limits in force.
#[must_use]
pub fn limits(view: &StatusView) -> String {
    format!("up {}, down {}", limit(view.limit_up_bytes_per_s, rate), limit(view.limit_down_bytes_per_s, rate))
}

/// The quota in force.
#[must_use]
pub fn quota(view: &StatusView) -> String {
    format!("quota {}", limit(view.quota_bytes, size))
}

fn limit(bytes: u64, text: fn(u64) -> String) -> String {
    if bytes == 0 { "none".to_owned() } else { text(bytes) }
}

/// A node at a glance; `runs` is whether it does so for longer than this answer takes.
#[must_use]
pub fn status(view: &StatusView, runs: bool) -> String {
    let known = count(view.nodes_known, "node");
    let mut lines = vec![
        format!("node      {} {}", view.node, printable(&view.name)),
        format!("member    {}", view.member.map_or_else(|| "none".to_owned(), |member| member.to_string())),
    ];
    if runs {
        let waiting = count(view.requests_waiting, "request");
        lines.extend([
            format!("running   {} ({})", duration(view.uptime_ms), printable(&view.agent)),
            format!("listening {}", view.listening.join(" ")),
            format!("peers     {} connected, {known} known", view.peers_connected),
            format!("serving   {waiting} waiting, {} unreceipted", size(view.unreceipted_bytes)),
        ]);
    } else {
        lines.extend(["running   no; mesh-node up starts it".to_owned(), format!("peers     {known} known")]);
    }
    lines.extend([
        format!("contents  {}", view.contents),
        format!(
            "limits    up {}, down {}, quota {}",
            limit(view.limit_up_bytes_per_s, rate),
            limit(view.limit_down_bytes_per_s, rate),
            limit(view.quota_bytes, size)
        ),
    ]);
    for transfer in &view.transfers {
        let waiting = if transfer.waiting_for.is_empty() { "" } else { ", waits for " };
        lines.push(format!(
            "transfer  {} {} {} of {} at {} from {}{waiting}{} {}",
            transfer.content_id.short(),
            transfer.state,
            size(transfer.done_bytes),
            size(transfer.total_bytes),
            rate(transfer.rate_bytes_per_s),
            transfer.sources,
            printable(&transfer.waiting_for),
            printable(&transfer.name),
        ));
    }
    // The many that are zero are for machines.
    let mut counted = view.counters.iter().filter(|counter| counter.value > 0).peekable();
    if counted.peek().is_some() {
        let mut table = Table::new(&["COUNTER", "VALUE"]);
        for counter in counted {
            let labels: Vec<String> = counter.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.row(vec![printable(&format!("{} {}", counter.name, labels.join(" "))), counter.value.to_string()]);
        }
        lines.push(String::new());
        lines.push(table.render());
    }
    lines.join("\n")
}

fn milliseconds(microseconds: Option<u64>) -> String {
    microseconds.map_or_else(|| "-".to_owned(), |us| format!("{}.{} ms", us / 1000, us % 1000 / 100))
}

fn peers(peers: &[PeerView]) -> String {
    let mut table = Table::new(&["NODE", "STATE", "LINK", "RTT", "SENT", "RECEIVED", "FOUND BY", "NAME", "ADDRESS"]);
    for peer in peers {
        table.row(vec![
            peer.node.short(),
            if peer.connected { "connected" } else { "known" }.to_owned(),
            class(peer.class).to_owned(),
            milliseconds(peer.rtt_us),
            size(peer.sent_bytes),
            size(peer.received_bytes),
            printable(&peer.found_by),
            printable(&peer.name),
            peer.addresses.first().map(|address| printable(address)).unwrap_or_default(),
        ]);
    }
    or_none(&table, "no peers yet; mesh-node doctor tells why, --peer names one")
}

fn topology(view: &TopologyView) -> String {
    let mut table = Table::new(&["FROM", "TO", "LINK", "RTT", "GOODPUT", "COST PER MIB"]);
    for link in &view.links {
        table.row(vec![
            link.source.short(),
            link.target.short(),
            class(Some(link.class)).to_owned(),
            milliseconds(link.rtt_us),
            link.goodput_bytes_per_s.map_or_else(|| "-".to_owned(), rate),
            format!("{} ms", link.cost_ms_per_mib),
        ]);
    }
    format!("{} known\n{}", count(view.nodes.len() as u64, "node"), or_none(&table, "no link stands"))
}

fn doctor(view: &DoctorView) -> String {
    let finding = |finding: &mesh_proto::port::view::Finding| {
        let cure = if finding.cure.is_empty() { String::new() } else { format!("\n         → {}", finding.cure) };
        format!("{:<8} {}: {}{cure}", finding.severity, printable(&finding.subject), printable(&finding.message))
    };
    view.findings.iter().map(finding).collect::<Vec<_>>().join("\n")
}

fn communities(views: &[CommunityView]) -> String {
    let mut table = Table::new(&["COMMUNITY", "FOUNDED HERE", "BELONGS", "JOINED", "NAME"]);
    for view in views {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let [founded, belongs, joined] = [view.founded_here, view.belongs, view.joined].map(yes);
        table.row(vec![view.community.to_string(), founded, belongs, joined, printable(&view.name)]);
    }
    or_none(&table, "no communities; mesh-node community new NAME founds one")
}

fn members(views: &[MemberView]) -> String {
    let mut table = Table::new(&["MEMBER", "OWN", "NODES", "COMMUNITIES", "NAME"]);
    for view in views {
        let nodes: Vec<String> = view.nodes.iter().map(|node| node.short()).collect();
        let communities: Vec<String> = view.communities.iter().map(|community| community.short()).collect();
        table.row(vec![
            view.member.to_string(),
            if view.own { "yes" } else { "no" }.to_owned(),
            nodes.join(","),
            communities.join(","),
            printable(&view.name),
        ]);
    }
    let mut text = or_none(&table, "no members known; mesh-node member new NAME makes one for this node");
    for view in views.iter().filter(|view| view.own) {
        for node in &view.not_accepted {
            let (node, member) = (node.short(), view.member);
            text.push_str(&format!("\n{node} is certified, and said nothing yet: run `member accept {member}` there"));
        }
    }
    text
}
