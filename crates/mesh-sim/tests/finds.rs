//! What the hunt found stays found: each case that once failed, made as small as it got, holds now.
//!
//! Each file in `finds/` begins with what failed, and why.

use std::ops::ControlFlow;
use std::path::Path;

use mesh_sim::experiment::hunt::fails;
use mesh_sim::scenario::Scenario;

#[test]
fn what_was_found_once_holds_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("finds");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("lists") {
        let path = entry.expect("lists").path();
        let text = std::fs::read_to_string(&path).expect("reads");
        let scenario = Scenario::from_toml(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let failing = fails(&scenario, |_, _| ControlFlow::Continue(())).expect("it can be run");
        assert!(failing.is_none(), "{} fails again: {failing:#?}", path.display());
        count += 1;
    }
    assert!(count >= 1, "there are finds");
}
