//! Who may call: whoever has the token, from a program that means this very server.
//!
//! The token keeps other people of the machine out. Host and Origin keep out web pages that a browser on this machine
//! was lured to (DNS rebinding, cross-site requests), which could not know the token but need not try, either.
//!
//! Invariant: what is behind the guard can be reached only with an `Admitted`, which only this file makes. So a
//! handler that forgets to ask for one does not compile.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::handlers::refusal;
use super::outcome::Outcome;
use super::places::{Call, Place};
use super::refusals::Refusals;

/// What a request must show.
#[derive(Clone)]
pub struct Guard {
    token_hash: blake3::Hash,
    hosts: [String; 4],
}

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It names another host than us, none, or several.
    Host,
    /// A web page of another origin sent it.
    Origin,
    /// The token is missing or wrong.
    Token,
}

impl Guard {
    /// A guard for the server that listens at this address of the loopback interface.
    #[must_use]
    pub fn new(token: &str, address: SocketAddr) -> Self {
        let port = address.port();
        let [ipv4, name, ipv6] = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        Self { token_hash: blake3::hash(token.as_bytes()), hosts: [ipv4, name, ipv6, address.to_string()] }
    }

    /// Looks at a request's head.
    ///
    /// # Errors
    /// The first [`Refusal`] that holds.
    pub fn check(&self, authority: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = single(headers, HOST).flatten().ok_or(Refusal::Host)?;
        if !self.is_ours(host) || authority.is_some_and(|authority| !self.is_ours(authority)) {
            return Err(Refusal::Host);
        }
        match single(headers, ORIGIN) {
            Some(None) => {}
            Some(Some(origin)) if origin.strip_prefix("http://").is_some_and(|host| self.is_ours(host)) => {}
            _ => return Err(Refusal::Origin),
        }
        let shown = single(headers, AUTHORIZATION).flatten().and_then(|value| value.strip_prefix("Bearer "));
        // Comparing hashes takes the same time wherever the token differs, and however long it is.
        match shown.map(|token| blake3::hash(token.as_bytes()) == self.token_hash) {
            Some(true) => Ok(()),
            _ => Err(Refusal::Token),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// The header's value: `Some(None)` if it is absent, `None` if it is there twice or unreadable.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<Option<&str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

/// Proof that the guard let a call in. While it lives, the call's connection keeps its place.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    _call: Option<Arc<Call>>,
}

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // None is there if the guard did not see the request.
        parts.extensions.remove().ok_or_else(|| answer(Refusal::Token))
    }
}

/// What nobody reaches but with an [`Admitted`].
#[derive(Clone)]
pub(super) struct Guarded<T>(T);

impl<T> Guarded<T> {
    pub(super) fn new(inner: T) -> Self {
        Self(inner)
    }

    pub(super) fn open(&self, _proof: &Admitted) -> &T {
        &self.0
    }
}

/// The layer around the whole router.
pub(super) async fn layer(
    State((guard, refusals)): State<(Guard, Arc<Refusals>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    match guard.check(authority, request.headers()) {
        Ok(()) => {
            let place: Option<Arc<Place>> = request.extensions_mut().remove();
            request.extensions_mut().insert(Admitted { _call: place.map(|place| Arc::new(place.begin())) });
            next.run(request).await
        }
        Err(why) => {
            refusals.note(why.text());
            answer(why)
        }
    }
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Self::Host => "the request names another host",
            Self::Origin => "web pages of other origins may not call this",
            Self::Token => "the token is missing or wrong",
        }
    }
}

/// Says why, and ends the connection: what stands behind a refused request is not read.
fn answer(why: Refusal) -> Response {
    let (status, cure) = match why {
        Refusal::Token => (
            StatusCode::UNAUTHORIZED,
            "Send \"Authorization: Bearer\" with the text of the file api.token in the node's data folder.",
        ),
        Refusal::Host => (StatusCode::FORBIDDEN, "Call 127.0.0.1 or localhost with the port in the file api.address."),
        Refusal::Origin => (StatusCode::FORBIDDEN, ""),
    };
    let mut response = refusal(status, Outcome::Denied, why.text(), cure);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn check(authority: Option<&str>, pairs: &[(&'static str, &str)]) -> Result<(), Refusal> {
        Guard::new("secret", SocketAddr::from(([127, 0, 0, 1], 4000))).check(authority, &headers(pairs))
    }

    #[tokio::test]
    async fn a_request_that_the_guard_did_not_see_reaches_nothing() {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        let refused = Admitted::from_request_parts(&mut parts, &()).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }

    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn only_our_own_host_is_answered() {
        for host in ["127.0.0.1:4000", "LOCALHOST:4000", "[::1]:4000"] {
            assert_eq!(check(None, &[("host", host), TOKEN]), Ok(()), "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:4001", "evil.example:4000", "localhost.evil.example:4000", ""] {
            assert_eq!(check(None, &[("host", host), TOKEN]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(None, &[TOKEN]), Err(Refusal::Host));
        let twice = [("host", "localhost:4000"), ("host", "evil.example:4000"), TOKEN];
        assert_eq!(check(None, &twice), Err(Refusal::Host));
        assert_eq!(check(Some("evil.example"), &[("host", "localhost:4000"), TOKEN]), Err(Refusal::Host));
    }

    #[test]
    fn foreign_origins_are_refused_even_with_the_token() {
        let with = |origin: &str| check(None, &[("host", "localhost:4000"), ("origin", origin), TOKEN]);
        assert_eq!(with("http://localhost:4000"), Ok(()));
        for origin in ["null", "http://evil.example", "https://localhost:4000", "http://localhost:4001", ""] {
            assert_eq!(with(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn the_token_must_be_exact() {
        let host = ("host", "localhost:4000");
        assert_eq!(check(None, &[host]), Err(Refusal::Token));
        for shown in ["Bearer secre", "Bearer secret2", "Bearer ", "secret", "Basic secret"] {
            assert_eq!(check(None, &[host, ("authorization", shown)]), Err(Refusal::Token), "{shown}");
        }
        assert_eq!(check(None, &[host, TOKEN, TOKEN]), Err(Refusal::Token));
    }
}
