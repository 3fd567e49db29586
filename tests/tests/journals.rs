//! `journal`: what was recorded is listed, given away without names, and done again. Runs without root.

use std::fs;

use mesh_tests::{Scene, json};

#[test]
fn a_journal_is_listed_given_away_without_names_and_done_again() {
    let mut scene = Scene::on_loopback(1 << 20);
    let secret = scene.folder.random_file("Holiday Plans", 5000);
    let _ = scene.getter.share(&secret);
    let _ = scene.fetch();
    scene.getter.stop();
    let listed = scene.getter.run(&["journal", "list"]);
    let journals = listed.as_array().expect("a list");
    assert_eq!(journals.len(), 1, "{listed}");
    let journal = json::text(&journals[0], "path").to_owned();
    assert_eq!(json::number(&journals[0], "size_bytes"), fs::metadata(&journal).unwrap().len());
    assert!(scene.getter.try_run(&["journal", "list"]).success().stdout.contains(&journal));

    let replayed = scene.getter.run(&["journal", "replay", &journal]);
    assert_eq!((&replayed["same"], &replayed["redacted"]), (&true.into(), &false.into()), "{replayed}");
    assert!(json::number(&replayed, "inputs") > 10, "{replayed}");

    let given = scene.folder.text("given");
    let exported = scene.getter.run(&["journal", "export", &journal, "-o", &given]);
    assert!(json::number(&exported, "names") > 0, "{exported}");
    let holds = |path: &str| fs::read(path).unwrap().windows(7).any(|part| part == b"Holiday");
    assert!(holds(&journal) && !holds(&given));
    let _ = scene.getter.try_run(&["journal", "export", &journal, "-o", &given]).refused(8, &["exists"]);
}

#[test]
fn what_is_no_journal_is_refused() {
    let scene = Scene::on_loopback(5000);
    let file = scene.file.to_string_lossy().into_owned();
    let _ = scene.getter.try_run(&["journal", "replay", &file]).refused(2, &["not a journal", "journal list"]);
    let out = scene.folder.text("out");
    let _ = scene.getter.try_run(&["journal", "export", &file, "-o", &out]).refused(2, &["not a journal"]);
    let _ = scene.getter.try_run(&["journal", "replay", &scene.folder.text("no")]).refused(3, &["no"]);
    assert!(!scene.folder.path("out").exists());
}
