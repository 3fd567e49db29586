//! Selectors meet whom they name, steadily.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::*;

/// Six nodes in a line: a publisher, a gateway, four peers; two of the links are radio.
fn village() -> Population {
    let roles = [Role::Publisher, Role::Gateway, Role::Peer, Role::Peer, Role::Peer, Role::Peer];
    let named =
        |(number, role)| NodeInfo { name: format!("{}-{number}", if number < 3 { "hill" } else { "valley" }), role };
    let class = |end| if end < 2 { "radio" } else { "cable" }.to_owned();
    Population {
        nodes: (0..).zip(roles).map(named).collect(),
        links: (0..5).map(|end| LinkInfo { ends: [end + 1, end], class: class(end) }).collect(),
        messages: Vec::new(),
    }
}

fn met(text: &str) -> Result<Selected, String> {
    let selector: Selector = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    selector.resolve(&Stream::new(1, "select", 0), &village()).map_err(|refused| refused.to_string())
}

#[test]
fn each_selector_meets_whom_it_names() {
    let nodes = |nodes: &[u32]| Ok(Selected::Nodes(nodes.to_vec()));
    let links = |links: &[u32]| Ok(Selected::Links(links.to_vec()));
    assert_eq!(met("kind = 'all'"), nodes(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(met("kind = 'nodes'\nnodes = [4, 1, 4]"), nodes(&[1, 4]));
    assert_eq!(met("kind = 'role'\nrole = 'gateway'"), nodes(&[1]));
    assert_eq!(met("kind = 'names'\nprefix = 'hill'"), nodes(&[0, 1, 2]));
    assert_eq!(met("kind = 'fraction'\nfraction = 1.0\namong = 'peer'"), nodes(&[2, 3, 4, 5]));
    assert_eq!(met("kind = 'fraction'\nfraction = 0.001\namong = 'publisher'"), nodes(&[0]));
    assert_eq!(met("kind = 'count'\ncount = 6"), nodes(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(met("kind = 'all_links'"), links(&[0, 1, 2, 3, 4]));
    assert_eq!(met("kind = 'link_numbers'\nlinks = [3]"), links(&[3]));
    assert_eq!(met("kind = 'links'\nends = [[2, 3], [1, 0]]"), links(&[0, 2]));
    assert_eq!(met("kind = 'link_class'\nclass = 'radio'"), links(&[0, 1]));
    assert_eq!(met("kind = 'link_fraction'\nfraction = 1"), links(&[0, 1, 2, 3, 4]));
    assert_eq!(Selected::Nodes(vec![0, 3]).links(&village()), [0, 2, 3]);
}

#[test]
fn what_meets_nobody_or_is_out_of_range_is_refused_with_what_is_allowed() {
    let wrong = |text: &str| met(text).unwrap_err();
    assert_eq!(wrong("kind = 'nodes'\nnodes = [6]"), "nodes is 6; allowed: numbers below 6 here");
    assert_eq!(wrong("kind = 'nodes'\nnodes = []"), "number of nodes is 0; allowed: 1 to 100000");
    assert_eq!(wrong("kind = 'count'\ncount = 5\namong = 'peer'"), "count is 5; allowed: 1 to 4");
    assert_eq!(wrong("kind = 'fraction'\nfraction = 0"), "fraction is 0; allowed: above 0, up to 1");
    assert_eq!(wrong("kind = 'fraction'\nfraction = nan"), "fraction is NaN; allowed: above 0, up to 1");
    assert_eq!(wrong("kind = 'links'\nends = [[0, 2]]"), "ends is [0, 2]; allowed: ends of a link of this world");
    assert!(wrong("kind = 'names'\nprefix = 'x'").contains("empty here"));
    assert!(wrong("kind = 'all'\nrole = 'peer'").contains("unknown field `role`"));
    assert!(wrong("kind = 'everyone'").contains("unknown variant `everyone`"));
}

#[test]
fn every_node_is_as_likely_to_be_met() {
    let population = Population::peers(10);
    let mut counts = [0i32; 10];
    for fault in 0..10_000 {
        let selector = Selector::Count { count: 3, among: None };
        let nodes = selector.resolve_nodes(&Stream::new(2, "fault", fault), &population).unwrap();
        nodes.iter().for_each(|node| counts[*node as usize] += 1);
    }
    // Binomial: a standard deviation of 46 around 3,000.
    assert!(counts.iter().all(|count| (count - 3_000).abs() < 160), "{counts:?}");
}

proptest! {
    #[test]
    fn fewer_are_some_of_the_same_and_a_further_node_displaces_one(nodes in 2u32..200, count in 1u32..100, seed: u64) {
        let count = count.min(nodes - 1);
        let luck = Stream::new(seed, "select", 0);
        let met = |count, nodes| {
            Selector::Count { count, among: None }.resolve_nodes(&luck, &Population::peers(nodes)).unwrap()
        };
        let chosen = met(count, nodes);
        prop_assert_eq!(chosen.len(), count as usize);
        prop_assert!(chosen.is_sorted());
        let fewer = met(count.div_ceil(2), nodes);
        prop_assert!(fewer.iter().all(|node| chosen.contains(node)));
        let gone = chosen.iter().filter(|node| !met(count, nodes + 1).contains(node)).count();
        prop_assert!(gone <= 1);
    }
}
