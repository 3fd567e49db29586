//! Members and communities by the command line: ids are told, names are unambiguous, what is taken back is said. Runs
//! without root.

use std::time::Duration;

use mesh_tests::{Folder, TestNode, json, wait};

/// A running node with a member of this name; the member's id.
fn with_member(folder: &Folder, name: &str) -> (TestNode, String) {
    let mut node = TestNode::on_loopback(&folder.path(name));
    node.up();
    let made = node.run(&["member", "new", name]);
    let member = json::text(&made, "member").to_owned();
    assert_eq!(json::text(&made, "name"), name);
    (node, member)
}

#[test]
fn what_is_founded_is_told_by_its_id() {
    let folder = Folder::new();
    let (ada, member) = with_member(&folder, "ada");
    assert_eq!(json::text(&ada.run(&["identity", "show"]), "member"), member);
    let told = ada.try_run(&["community", "new", "hill"]).success().stdout;
    let id = told.lines().last().expect("a line").to_owned();
    assert_eq!(ada.run(&["community", "list"])[0]["community"], id.as_str());
    let told = ada.run(&["community", "new", "dale"]);
    assert_eq!(json::text(&told, "community").len(), 64, "{told}");
    let _ = ada.try_run(&["community", "new", "hill"]).refused(8, &["of this name", "already", "another name"]);
    let _ = ada.try_run(&["community", "new", ""]).refused(2, &["a name has 1 to"]);
}

#[test]
fn a_stranger_s_community_of_the_same_name_is_not_meant() {
    let folder = Folder::new();
    let ((ada, _), (ben, ben_member)) = (with_member(&folder, "ada"), with_member(&folder, "ben"));
    let _ = ada.run(&["community", "new", "hill"]);
    let invited = ada.run(&["community", "invite", &ben_member]);
    let _ = ben.run(&["community", "join", json::text(&invited, "invitation")]);
    let own = ben.run(&["community", "new", "hill"]);
    let known = ben.run(&["community", "list"]);
    assert_eq!(known.as_array().map(Vec::len), Some(2), "{known}");
    let invited = ben.run(&["community", "invite", &"ab".repeat(32), "--community", "hill"]);
    assert_eq!(json::text(&invited, "community"), json::text(&own, "community"));
    let theirs = json::text(&ada.run(&["community", "list"])[0], "community").to_owned();
    let refused = ben.try_run(&["community", "invite", &"ab".repeat(32), "--community", &theirs[..16]]);
    let _ = refused.refused(3, &["no own community"]);
}

#[test]
fn all_that_was_vouched_for_is_taken_back_at_once_and_not_twice() {
    let folder = Folder::new();
    let (ada, own_member) = with_member(&folder, "ada");
    let member = "ab".repeat(32);
    for name in ["hill", "dale", "shore"] {
        let _ = ada.run(&["community", "new", name]);
        let _ = ada.run(&["community", "invite", &member, "--community", name]);
    }
    let shore = ada.run(&["member", "revoke", &member, "--community", "shore"]);
    assert_eq!(shore["communities"].as_array().map(Vec::len), Some(1), "{shore}");
    let said = ada.try_run(&["member", "revoke", &member]).success().stdout;
    assert_eq!(said.lines().filter(|line| line.contains("is out of community")).count(), 2, "{said}");
    let _ = ada.try_run(&["member", "revoke", &member]).refused(3, &["nothing of it stands"]);
    let refused = ada.try_run(&["community", "invite", &member, "--community", "dale"]);
    let _ = refused.refused(4, &["was revoked", "new member"]);
    for own in [&own_member, &ada.id()] {
        let _ = ada.try_run(&["member", "revoke", own]).refused(4, &["for ever", "--force"]);
    }
    let said = ada.try_run(&["member", "revoke", &ada.id(), "--force"]).success().stdout;
    assert!(said.contains("another data folder") && said.contains("identity import"), "{said}");
    let _ = ada.try_run(&["member", "new", "ada"]).refused(4, &["for ever", "--data", "identity import"]);
    ada.stop_and_replay();
}

#[test]
fn a_second_node_is_a_member_s_when_both_say_so() {
    let folder = Folder::new();
    let (ada, member) = with_member(&folder, "ada");
    let mut laptop = TestNode::on_loopback(&folder.path("laptop")).with_options(&["--peer", &ada.address()]);
    laptop.up();
    laptop.wait_for_peers(1, Duration::from_secs(20));
    let id = laptop.id();
    let nodes = |node: &TestNode| node.try_run(&["member", "list"]).success().stdout;
    let _ = ada.run(&["member", "add-node", &id]);
    let said = nodes(&ada);
    assert!(said.contains(&format!("`member accept {member}`")), "what is left to do: {said}");
    let _ = laptop.run(&["member", "accept", &member]);
    let spread = || laptop.run(&["identity", "show"])["member"] == member.as_str();
    wait::until("the certificate to spread", Duration::from_secs(20), || spread().then_some(()));
    wait::until("the acceptance to spread", Duration::from_secs(20), || {
        (!nodes(&ada).contains("accept") && nodes(&ada).contains(&id[..10])).then_some(())
    });
    let _ = ada.try_run(&["member", "accept", &"ab".repeat(32)]).refused(8, &["own member's key", "--data"]);
    laptop.stop_and_replay();
    ada.stop_and_replay();
}
