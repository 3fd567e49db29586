//! Which paths and link targets a tree may have: those that mean the same, and nothing dangerous, on every system.
//!
//! Invariant: a path that passes [`check_path`] names something below the tree's folder and survives Windows, macOS
//! and Linux unchanged, except that case and Unicode normalization may be folded there.

use mesh_proto::limits::TREE_PATH_BYTES_MAX;

/// One component of a path.
pub const COMPONENT_BYTES_MAX: usize = 255;

/// Why a path or a link's target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It begins with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// It begins with a Windows drive such as `C:`.
    #[error("the path begins with a drive")]
    Drive,
    /// It, or a component, is empty.
    #[error("the path has an empty component")]
    Empty,
    /// A component is `.` or `..`.
    #[error("the path has a component . or ..")]
    Dots,
    /// It has a `\`, which separates folders on Windows.
    #[error("the path has a backslash")]
    Backslash,
    /// It has a NUL.
    #[error("the path has a NUL character")]
    Nul,
    /// It has another control character.
    #[error("the path has a control character")]
    Control,
    /// It has a character that Windows does not allow in names: one of `< > : " | ? *`.
    #[error("the path has one of the characters < > : \" | ? *, which Windows does not allow")]
    NotPortable,
    /// A component is a device on Windows, with or without an ending.
    #[error("the path has a name that is a device on Windows")]
    ReservedName,
    /// A component ends in a dot or a space, which Windows drops.
    #[error("the path has a component that ends in a dot or a space")]
    TrailingDotOrSpace,
    /// A component is longer than 255 bytes.
    #[error("the path has a component of more than 255 bytes")]
    ComponentTooLong,
    /// The path is longer than 4096 bytes.
    #[error("the path has more than 4096 bytes")]
    TooLong,
    /// A link points out of the tree.
    #[error("the link points out of the tree")]
    LeavesTree,
}

/// Checks the path of an entry.
///
/// # Errors
/// [`PathError`] naming the first rule it breaks.
pub fn check_path(path: &str) -> Result<(), PathError> {
    check_whole(path)?;
    path.split('/').try_for_each(check_component)
}

/// Checks the target of the link at `path`, which must have passed [`check_path`].
///
/// A target goes up first, if at all, and never above the tree's folder: as no entry's path leads through a link, what
/// lies above a link is never a link itself, and so the way up is the one that stands there.
///
/// # Errors
/// [`PathError`] naming the first rule it breaks.
pub fn check_link_target(path: &str, target: &str) -> Result<(), PathError> {
    check_whole(target)?;
    let folders_above = path.split('/').count() - 1;
    let ups = target.split('/').take_while(|component| *component == "..").count();
    if ups > folders_above {
        return Err(PathError::LeavesTree);
    }
    target.split('/').skip(ups).try_for_each(check_component)
}

fn check_whole(path: &str) -> Result<(), PathError> {
    if path.len() > TREE_PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute);
    }
    match path.as_bytes() {
        [letter, b':', ..] if letter.is_ascii_alphabetic() => Err(PathError::Drive),
        _ => path.chars().try_for_each(check_character),
    }
}

fn check_character(character: char) -> Result<(), PathError> {
    match character {
        '\\' => Err(PathError::Backslash),
        '\0' => Err(PathError::Nul),
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Err(PathError::NotPortable),
        other if other.is_control() => Err(PathError::Control),
        _ => Ok(()),
    }
}

fn check_component(component: &str) -> Result<(), PathError> {
    match component {
        "" => return Err(PathError::Empty),
        "." | ".." => return Err(PathError::Dots),
        _ => {}
    }
    if component.len() > COMPONENT_BYTES_MAX {
        return Err(PathError::ComponentTooLong);
    }
    if component.ends_with(['.', ' ']) {
        return Err(PathError::TrailingDotOrSpace);
    }
    if is_reserved(component) {
        return Err(PathError::ReservedName);
    }
    Ok(())
}

/// Whether Windows takes the name for a device, whatever follows the first dot.
fn is_reserved(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end_matches(' ').to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) {
        return true;
    }
    let Some(number) = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")) else {
        return false;
    };
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"].contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in ["a", "a/b.txt", "données/été 2024.csv", ".hidden", "..a", "a..b", "COM10", "console", "nul_"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        assert_eq!(check_path(&"a".repeat(255)), Ok(()));
    }

    #[test]
    fn each_broken_rule_is_refused_by_name() {
        let cases = [
            ("/etc/passwd", PathError::Absolute),
            ("C:/x", PathError::Drive),
            ("c:x", PathError::Drive),
            ("", PathError::Empty),
            ("a//b", PathError::Empty),
            ("a/", PathError::Empty),
            ("..", PathError::Dots),
            ("a/../b", PathError::Dots),
            ("./a", PathError::Dots),
            ("a\\b", PathError::Backslash),
            ("a\0", PathError::Nul),
            ("a\nb", PathError::Control),
            ("a\u{85}b", PathError::Control),
            ("ab:c", PathError::NotPortable),
            ("a*", PathError::NotPortable),
            ("a/CON", PathError::ReservedName),
            ("nul.txt", PathError::ReservedName),
            ("aux .tar.gz", PathError::ReservedName),
            ("com1/x", PathError::ReservedName),
            ("LPT³", PathError::ReservedName),
            ("a./b", PathError::TrailingDotOrSpace),
            ("a ", PathError::TrailingDotOrSpace),
            ("...", PathError::TrailingDotOrSpace),
        ];
        for (path, error) in cases {
            assert_eq!(check_path(path), Err(error), "{path:?}");
        }
        assert_eq!(check_path(&"a".repeat(256)), Err(PathError::ComponentTooLong));
        assert_eq!(check_path(&"ab/".repeat(2000)), Err(PathError::TooLong));
    }

    #[test]
    fn links_stay_in_the_tree() {
        for (path, target) in [("a/b", "c"), ("a/b", "../c"), ("a/b/c", "../.."), ("a", "b/c")] {
            assert_eq!(check_link_target(path, target), Ok(()), "{path} -> {target}");
        }
        let cases = [
            ("a", "..", PathError::LeavesTree),
            ("a/b", "../../c", PathError::LeavesTree),
            ("a", "/etc", PathError::Absolute),
            ("a", "C:\\x", PathError::Drive),
            ("a", "", PathError::Empty),
            ("a/b", "c/../../..", PathError::Dots),
            ("a/b", "c\\..", PathError::Backslash),
            ("a/b", "c\0", PathError::Nul),
        ];
        for (path, target, error) in cases {
            assert_eq!(check_link_target(path, target), Err(error), "{path} -> {target:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_passes_or_fails_without_panic(path in "\\PC{0,40}", target in "[./a\\\\]{0,12}") {
            if check_path(&path).is_ok() && check_link_target(&path, &target).is_ok() {
                let depth = target.split('/').fold(path.split('/').count() as i64 - 1, |depth, component| {
                    assert!(depth >= 0);
                    if component == ".." { depth - 1 } else { depth + 1 }
                });
                prop_assert!(depth >= 0);
            }
        }
    }
}
