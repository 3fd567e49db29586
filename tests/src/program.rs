//! Where the program under test lies.
//!
//! Cargo tells a package only of its own binaries. So: `MESH_NODE_BIN` if it is set (`cargo xtask test` does), else the
//! program of the profile this very test was built with, which lies two folders above it. It is then built first, once
//! per process, with the selection of targets that `cargo test --workspace` has, so that no dependency is built twice.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The path of `mesh-node`.
///
/// # Panics
/// If it is not there and can't be built.
pub fn path() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(find).clone()
}

fn find() -> PathBuf {
    if let Some(path) = env::var_os("MESH_NODE_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "MESH_NODE_BIN names {}, which is not there", path.display());
        return path;
    }
    let own = env::current_exe().expect("a running program has a path");
    let deps = own.parent().expect("a program lies in a folder");
    let profile = if deps.ends_with("deps") { deps.parent().expect("deps lies in a profile's folder") } else { deps };
    let path = profile.join(format!("mesh-node{}", env::consts::EXE_SUFFIX));
    // Under llvm-cov the program was built beside the tests, with counters in it; cargo would build one without. And
    // a measurement, which does not lie in deps, was built together with it.
    if deps.ends_with("deps") && env::var_os("CARGO_LLVM_COV").is_none() {
        build(profile.ends_with("release"));
    }
    assert!(path.is_file(), "{} is not there; build the workspace first", path.display());
    path
}

fn build(release: bool) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bins", "--tests"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(release.then_some("--release"));
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "building mesh-node failed");
}
