//! What a [`NodeRecord`] says in its extensions: whose the node is, and which communities were joined or founded on it.

use crate::extensions::{Extension, Extensions};
use crate::id::{CommunityId, MemberId};
use crate::limits::COMMUNITIES_PER_NODE_MAX;
use crate::record::NodeRecord;

/// The member's key. Absent if the node belongs to none.
const MEMBER: u16 = 2;
/// The communities' keys, one after another.
const COMMUNITIES: u16 = 4;

impl NodeRecord {
    /// The extensions that say this; what is beyond [`COMMUNITIES_PER_NODE_MAX`] is left out.
    #[must_use]
    pub fn belonging(member: Option<MemberId>, communities: impl IntoIterator<Item = CommunityId>) -> Extensions {
        let keys: Vec<u8> =
            communities.into_iter().take(COMMUNITIES_PER_NODE_MAX).flat_map(|community| community.0).collect();
        let member = member.map(|member| Extension { number: MEMBER, body: member.0.to_vec() });
        let communities = (!keys.is_empty()).then_some(Extension { number: COMMUNITIES, body: keys });
        Extensions(member.into_iter().chain(communities).collect())
    }

    /// The member it says it belongs to. A certificate of another's counts for nothing.
    #[must_use]
    pub fn member(&self) -> Option<MemberId> {
        self.extensions.body_of(MEMBER)?.try_into().ok().map(MemberId)
    }

    /// The communities that were joined or founded on it, [`COMMUNITIES_PER_NODE_MAX`] at most. That others count its
    /// member in is no word of the member's.
    pub fn communities(&self) -> impl Iterator<Item = CommunityId> + use<> {
        let (keys, _) = self.extensions.body_of(COMMUNITIES).unwrap_or_default().as_chunks::<32>();
        let keys: Vec<_> = keys.iter().take(COMMUNITIES_PER_NODE_MAX).copied().map(CommunityId).collect();
        keys.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::time::UnixMs;

    fn record(extensions: Extensions) -> NodeRecord {
        NodeRecord {
            node: NodeId([1; 32]),
            version: 1,
            addresses: Vec::new(),
            name: String::new(),
            agent: String::new(),
            written: UnixMs(0),
            extensions,
        }
    }

    #[test]
    fn what_is_said_is_read() {
        let (member, communities) = (MemberId([2; 32]), [3, 4].map(|key| CommunityId([key; 32])));
        let said = record(NodeRecord::belonging(Some(member), communities));
        assert_eq!((said.member(), said.communities().collect::<Vec<_>>()), (Some(member), communities.to_vec()));
        let nothing = record(NodeRecord::belonging(None, []));
        assert_eq!((nothing.member(), nothing.communities().count(), nothing.extensions.0.len()), (None, 0, 0));
    }

    #[test]
    fn too_many_communities_and_broken_keys_are_left_out() {
        let many = (0..40).map(|key| CommunityId([key; 32]));
        assert_eq!(record(NodeRecord::belonging(None, many)).communities().count(), COMMUNITIES_PER_NODE_MAX);
        let broken = [(MEMBER, vec![1; 31]), (COMMUNITIES, vec![1; 33 + 100 * 32])];
        let broken = broken.map(|(number, body)| Extension { number, body });
        let said = record(Extensions(broken.to_vec()));
        assert_eq!((said.member(), said.communities().count()), (None, COMMUNITIES_PER_NODE_MAX));
    }
}
