//! The one table of the API: the router, the document and the client are all made from it.
//!
//! Most routes carry a [`UserCommand`](mesh_proto::port::UserCommand): the parameters have the names of its fields, so
//! that a call is translated by rule and a new command needs one more entry here.

/// How a route is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes.
    Post,
    /// Removes.
    Delete,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path, as `{name}`.
    Path,
    /// Behind the `?`.
    Query,
    /// In the JSON body.
    Body,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list of texts.
    Texts,
    /// 64 hex digits.
    Id,
    /// Who may fetch: `"ticket"`, `"public"`, `{"community": id}` or `{"members": [id]}`.
    Access,
    /// `interactive`, `public` or `bulk`.
    Class,
}

/// What stands in for a parameter that is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It must be given.
    Refused,
    /// JSON's `null`.
    Null,
    /// `false`.
    False,
    /// A number.
    Number(u64),
    /// A text.
    Text(&'static str),
}

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name, which is the command's field.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it may be.
    pub kind: Kind,
    /// What if it is missing.
    pub missing: Missing,
    /// For people.
    pub text: &'static str,
}

/// What a route does.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// Asks the node.
    Command {
        /// The command's name.
        name: &'static str,
        /// A field the path alone decides.
        fixed: Option<(&'static str, bool)>,
        /// The reply's name, which is the schema's, too.
        reply: &'static str,
    },
    /// Asks for the catalogue: all of it, or what has the words of `text`.
    Catalogue,
    /// Streams events.
    Events,
    /// Shows the counters.
    Metrics,
    /// Serves the document.
    Document,
    /// Stops the node.
    Stop,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// How it is called.
    pub method: Method,
    /// Its path, with `{name}` for path parameters.
    pub path: &'static str,
    /// Its name in the document.
    pub operation: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What it does.
    pub action: Action,
    /// What it takes.
    pub parameters: &'static [Parameter],
}

const fn body(name: &'static str, kind: Kind, missing: Missing, text: &'static str) -> Parameter {
    Parameter { name, place: Place::Body, kind, missing, text }
}

const fn query(name: &'static str, kind: Kind, missing: Missing, text: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, kind, missing, text }
}

const CONTENT: Parameter = Parameter {
    name: "content",
    place: Place::Path,
    kind: Kind::Id,
    missing: Missing::Refused,
    text: "The content's id.",
};

const fn asks(name: &'static str, reply: &'static str) -> Action {
    Action::Command { name, fixed: None, reply }
}

const fn route(
    method: Method,
    path: &'static str,
    operation: &'static str,
    summary: &'static str,
    action: Action,
    parameters: &'static [Parameter],
) -> Route {
    Route { method, path, operation, summary, action, parameters }
}

/// Pins or unpins.
const fn pin(path: &'static str, operation: &'static str, summary: &'static str, pinned: bool) -> Route {
    let action = Action::Command { name: "pin", fixed: Some(("pinned", pinned)), reply: "done" };
    route(Method::Post, path, operation, summary, action, &[CONTENT])
}

/// Does something to one content.
const fn content(path: &'static str, name: &'static str, summary: &'static str) -> Route {
    route(Method::Post, path, name, summary, asks(name, "done"), &[CONTENT])
}

const SHARE: &[Parameter] = &[
    body("path", Kind::Text, Missing::Refused, "Absolute path of the file or folder."),
    body("name", Kind::Text, Missing::Null, "Its name for others; by default the path's last part, or as it is."),
    body("listed", Kind::Boolean, Missing::Null, "Whether to put it in the catalogue; by default not, or as it is."),
    body("tags", Kind::Texts, Missing::Null, "Words to search by; by default none, or as they are."),
    body("access", Kind::Access, Missing::Null, "Who may fetch it; by default ticket, or as it is."),
];

const GET: &[Parameter] = &[
    body("ticket", Kind::Text, Missing::Refused, "The ticket's text."),
    body("target", Kind::Text, Missing::Refused, "Absolute path to make."),
    body("seed_seconds", Kind::Integer, Missing::Null, "Seconds to seed once complete; null = while the node runs."),
    body("class", Kind::Class, Missing::Text("public"), "How urgent it is."),
    body("priority", Kind::Integer, Missing::Number(128), "Within its class, 0 to 255, highest first."),
];

/// Every route.
pub const ROUTES: &[Route] = &[
    route(Method::Get, "/v1/status", "status", "The node at a glance.", asks("status", "status"), &[]),
    route(Method::Get, "/v1/contents", "contents", "What is here.", asks("list", "contents"), &[]),
    route(
        Method::Get,
        "/v1/catalogue",
        "catalogue",
        "What others list.",
        Action::Catalogue,
        &[query("search", Kind::Text, Missing::Null, "Words that must all occur in name or tags.")],
    ),
    route(Method::Get, "/v1/peers", "peers", "Who is connected or known.", asks("peers", "peers"), &[]),
    route(Method::Get, "/v1/topology", "topology", "Peers and links.", asks("topology", "topology"), &[]),
    route(Method::Get, "/v1/doctor", "doctor", "What is wrong with this set-up.", asks("doctor", "doctor"), &[]),
    route(Method::Get, "/v1/events", "events", "What happens, as server-sent events.", Action::Events, &[]),
    route(Method::Get, "/v1/openapi.json", "openapi", "This document.", Action::Document, &[]),
    route(Method::Get, "/metrics", "metrics", "Counters and gauges as OpenMetrics.", Action::Metrics, &[]),
    route(
        Method::Post,
        "/v1/share",
        "share",
        "Shares a file or folder in place; answers when it is hashed.",
        asks("share", "shared"),
        SHARE,
    ),
    route(Method::Post, "/v1/get", "get", "Starts to fetch; progress comes as events.", asks("get", "getting"), GET),
    route(
        Method::Post,
        "/v1/limit",
        "limit",
        "Limits rates.",
        asks("limit", "done"),
        &[
            body("up_bytes_per_s", Kind::Integer, Missing::Null, "Sending; null leaves it, 0 lifts it."),
            body("down_bytes_per_s", Kind::Integer, Missing::Null, "Receiving; null leaves it, 0 lifts it."),
        ],
    ),
    route(
        Method::Post,
        "/v1/quota",
        "quota",
        "Limits what received contents take.",
        asks("quota", "collected"),
        &[body("bytes", Kind::Integer, Missing::Refused, "Bytes; 0 = no limit.")],
    ),
    route(Method::Post, "/v1/gc", "gc", "Collects what is over the quota, and strays.", asks("gc", "collected"), &[]),
    route(
        Method::Post,
        "/v1/dial",
        "dial",
        "Connects to an address.",
        asks("dial", "done"),
        &[body("address", Kind::Text, Missing::Refused, "A multiaddr.")],
    ),
    pin("/v1/contents/{content}/pin", "pin", "Keeps a content from being collected.", true),
    pin("/v1/contents/{content}/unpin", "unpin", "Lets a content be collected again.", false),
    content("/v1/contents/{content}/pause", "pause", "Stops fetching for now."),
    content("/v1/contents/{content}/resume", "resume", "Goes on fetching."),
    content("/v1/contents/{content}/cancel", "cancel", "Gives up a transfer and deletes what is partial."),
    content("/v1/contents/{content}/verify", "verify", "Hashes a content again and fetches what is bad."),
    route(
        Method::Delete,
        "/v1/contents/{content}",
        "remove",
        "Forgets a content.",
        asks("remove", "done"),
        &[CONTENT, query("delete_files", Kind::Boolean, Missing::False, "Whether received files are deleted, too.")],
    ),
    route(
        Method::Get,
        "/v1/community",
        "community_list",
        "Communities this node's member is in.",
        asks("community_list", "communities"),
        &[],
    ),
    route(
        Method::Post,
        "/v1/community/new",
        "community_new",
        "Founds a community.",
        asks("community_new", "community"),
        &[body("name", Kind::Text, Missing::Refused, "Its name.")],
    ),
    route(
        Method::Post,
        "/v1/community/invite",
        "community_invite",
        "Writes an invitation.",
        asks("community_invite", "invitation"),
        &[
            body("community", Kind::Id, Missing::Null, "Into which; null if there is just one."),
            body("member", Kind::Id, Missing::Refused, "Whom."),
        ],
    ),
    route(
        Method::Post,
        "/v1/community/join",
        "community_join",
        "Takes an invitation.",
        asks("community_join", "done"),
        &[body("invitation", Kind::Text, Missing::Refused, "Its text.")],
    ),
    route(
        Method::Get,
        "/v1/member",
        "member_list",
        "Members and their nodes as known here.",
        asks("member_list", "members"),
        &[],
    ),
    route(
        Method::Post,
        "/v1/member/new",
        "member_new",
        "Makes this node's member known, with a key of its own.",
        asks("member_new", "member"),
        &[body("name", Kind::Text, Missing::Refused, "Its name.")],
    ),
    route(
        Method::Post,
        "/v1/member/add-node",
        "member_add_node",
        "Certifies another node as this member's; the node accepts it itself.",
        asks("member_add_node", "done"),
        &[body("node", Kind::Id, Missing::Refused, "Which.")],
    ),
    route(
        Method::Post,
        "/v1/member/accept",
        "member_accept",
        "Says that this node belongs to a member whose key is on another one.",
        asks("member_accept", "done"),
        &[body("member", Kind::Id, Missing::Refused, "Which.")],
    ),
    route(
        Method::Post,
        "/v1/member/revoke",
        "member_revoke",
        "Takes back, for ever, all that this node's member and its communities vouched for.",
        asks("member_revoke", "revoked"),
        &[
            body("subject", Kind::Id, Missing::Refused, "A node, or a member of a community founded here."),
            body("reason", Kind::Text, Missing::Text(""), "For people."),
            body("community", Kind::Id, Missing::Null, "Only what this community vouched for; null for all."),
            body("force", Kind::Boolean, Missing::False, "Also if it is this node or its own member."),
        ],
    ),
    route(Method::Post, "/v1/stop", "stop", "Stops the node.", Action::Stop, &[]),
];

impl Method {
    /// As HTTP spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Route {
    /// The name of what it answers, in the document.
    #[must_use]
    pub fn reply(&self) -> &'static str {
        match self.action {
            Action::Command { reply, .. } => reply,
            Action::Catalogue => "catalogue",
            Action::Events => "event",
            Action::Stop => "done",
            Action::Metrics | Action::Document => "",
        }
    }
}
