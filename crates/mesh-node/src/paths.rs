//! Paths as they are kept: absolute and of one spelling, whatever folder they were given in.
//!
//! `.` and `..` are gone, and links on the way are followed, so that a path still leads there when a folder that it only
//! went through is gone. The last part stays as it was named: a link that is shared keeps its own name for others, and
//! a link in the way of a target is something that exists. What is not there yet is cleaned as far as it is named.

use std::io;
use std::path::{Component, Path, PathBuf};

use mesh_proto::port::UserCommand;
use mesh_proto::port::user::{ErrorKind, UserError};

/// A path as it is kept.
///
/// # Errors
/// The system's, if it does not let us look at a folder on the way.
pub fn settled(path: &Path) -> io::Result<PathBuf> {
    let mut way = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            // What a link leads to lies in another folder than the link does.
            Component::ParentDir => {
                way = followed(&way)?;
                way.pop();
            }
            part => way.push(part),
        }
    }
    match (way.parent(), way.file_name()) {
        (Some(parent), Some(name)) => Ok(followed(parent)?.join(name)),
        _ => Ok(way),
    }
}

/// A folder without links on the way, as far as it is there.
fn followed(folder: &Path) -> io::Result<PathBuf> {
    match (folder.canonicalize(), folder.parent(), folder.file_name()) {
        (Err(error), Some(parent), Some(name))
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(followed(parent)?.join(name))
        }
        (result, ..) => result,
    }
}

/// Whether a command carries a path that must be settled, which asks the disk.
pub(crate) fn has_path(command: &UserCommand) -> bool {
    matches!(command, UserCommand::Share { .. } | UserCommand::Get { .. })
}

/// Settles the path that a command carries. `own` is the node's data folder, without links.
///
/// # Errors
/// A [`UserError`] if the path is of no use.
pub(crate) fn settle(command: &mut UserCommand, own: &Path) -> Result<(), UserError> {
    match command {
        UserCommand::Share { path, .. } => *path = settled_text(path)?,
        UserCommand::Get { target, .. } => {
            *target = settled_text(target)?;
            if Path::new(target).starts_with(own) {
                let why = format!("{target} belongs to the node itself: nothing is fetched to there");
                return Err(UserError::new(ErrorKind::Invalid, why, "choose a folder of your own with -o"));
            }
        }
        _ => {}
    }
    Ok(())
}

fn settled_text(text: &str) -> Result<String, UserError> {
    let refused = |why: String| UserError::new(ErrorKind::Invalid, why, "give another path");
    if !Path::new(text).is_absolute() {
        return Err(refused(format!("the path {text:?} is not absolute")));
    }
    let path = settled(Path::new(text)).map_err(|error| refused(format!("{text} can't be looked at: {error}")))?;
    path.into_os_string().into_string().map_err(|_| refused(format!("{text} lies in a folder whose name is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_only_gone_through_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        fs::create_dir(root.join("through")).unwrap();
        fs::write(root.join("src/a"), "").unwrap();
        symlink(root.join("src/deep"), root.join("link")).unwrap();
        symlink(root.join("src/a"), root.join("alias")).unwrap();
        for (given, kept) in [
            ("src/a", "src/a"),
            ("through/../src/./a", "src/a"),
            ("link/../a", "src/a"),
            ("link/new", "src/deep/new"),
            ("alias", "alias"),
            ("link", "link"),
            ("link/.", "link"),
            ("link/..", "src"),
            ("new/../kk", "kk"),
            ("new/er/kk", "new/er/kk"),
            ("src/a/b", "src/a/b"),
        ] {
            assert_eq!(settled(&root.join(given)).unwrap(), root.join(kept), "{given}");
        }
        assert_eq!(settled(Path::new("/..")).unwrap(), Path::new("/"));
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(settled(Path::new("x")).unwrap(), here.join("x"));
    }

    #[test]
    fn a_path_that_is_of_no_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().canonicalize().unwrap();
        let get = |target: &str| {
            let mut command = UserCommand::Get {
                ticket: String::new(),
                target: target.to_owned(),
                seed_seconds: None,
                class: mesh_proto::bulk::TrafficClass::Public,
                priority: 0,
            };
            settle(&mut command, &own).map_err(|error| (error.kind, error.message))
        };
        for target in ["store/x", "x/../store", "x"] {
            let (kind, why) = get(own.join(target).to_str().unwrap()).unwrap_err();
            assert!(kind == ErrorKind::Invalid && why.contains("belongs to the node itself"), "{why}");
        }
        assert!(get("x").unwrap_err().1.contains("not absolute"));
        assert_eq!(get(own.join("../beside").to_str().unwrap()), Ok(()));
    }
}
