//! A tree of many small files arrives as it left.

use mesh_tests::{Lan, files};

#[test]
fn ten_thousand_small_files_arrive_with_their_attributes() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let (tree, copy) = (folder.path().join("tree"), folder.path().join("copy"));
    files::write_tree(&tree, 10_000, 4096, 10_000);
    let mut source = lan.host().node(&folder.path().join("source"));
    let mut getter = lan.host().node(&folder.path().join("getter"));
    source.up();
    getter.up();
    let ticket = source.share(&tree);
    let _ = getter.fetch(&ticket, &copy);
    files::assert_same_tree(&tree, &copy);
    source.stop_and_replay();
    getter.stop_and_replay();
}
