//! Where a fetched content will lie. A ticket's name is a hint from a stranger: it never leads out of the folder.

use std::fs::File;
use std::path::{Path, PathBuf};

use mesh_node::api::outcome::Outcome;
use mesh_node::paths::settled;
use mesh_proto::Ticket;
use mesh_proto::port::view::ContentView;

use super::fault::Fault;

/// The longest file name common file systems take.
const FILE_NAME_BYTES_MAX: usize = 255;

/// A name from a stranger as one plain file name.
#[must_use]
pub fn plain_name(name: &str, otherwise: &str) -> String {
    let strange = |letter: char| letter == '/' || letter == '\\' || letter.is_control();
    let name: String = name.chars().map(|letter| if strange(letter) { '_' } else { letter }).collect();
    // A leading dot would hide the file; one or two dots alone would be a path.
    let name = name.trim().trim_start_matches('.').trim();
    let mut end = name.len().min(FILE_NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 { otherwise.to_owned() } else { name[..end].to_owned() }
}

/// Chooses the path to make, as it is kept. What this content was fetched to before is chosen again, so that it resumes.
///
/// # Errors
/// A [`Fault`] if something else is in the way.
pub fn choose(ticket: &Ticket, output: Option<&Path>, here: &[ContentView]) -> Result<PathBuf, Fault> {
    let name = plain_name(ticket.name.as_deref().unwrap_or_default(), &ticket.content.short());
    let plain = output.unwrap_or(Path::new(&name));
    let plain = settled(plain).map_err(|error| Fault::from_io(&format!("finding {}", plain.display()), &error))?;
    let inside = plain.join(&name);
    let known = |path: &Path| {
        here.iter().any(|content| content.content_id == ticket.content && Path::new(&content.path) == path)
    };
    if known(&plain) {
        return Ok(plain);
    }
    let target = if output.is_some() && plain.is_dir() { inside } else { plain };
    if known(&target) {
        return Ok(target);
    }
    if target.symlink_metadata().is_ok() {
        let message = format!("{} exists already", target.display());
        return Err(Fault::new(Outcome::Exists, message, "Move it away, or choose another name with -o."));
    }
    let parent = target.parent().unwrap_or(Path::new("/"));
    if !parent.is_dir() {
        let message = format!("there is no folder {}", parent.display());
        return Err(Fault::new(Outcome::NotFound, message, "Make it first, or choose another with -o."));
    }
    probe(parent)?;
    Ok(target)
}

/// Makes and removes a file: what the system does not permit there is better known before anything is fetched.
fn probe(folder: &Path) -> Result<(), Fault> {
    let path = folder.join(format!(".mesh-probe-{}", std::process::id()));
    let made = File::create_new(&path).map(drop);
    let probed = made.and_then(|()| std::fs::remove_file(&path));
    probed.map_err(|error| Fault::from_io(&format!("making a file in {}", folder.display()), &error))
}

#[cfg(test)]
mod tests {
    use mesh_proto::ContentId;
    use mesh_proto::record::{Access, ContentKind};

    use super::*;

    #[test]
    fn a_stranger_s_name_stays_one_plain_name() {
        let cases = [
            ("film.mkv", "film.mkv"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("..", "id"),
            (".", "id"),
            ("", "id"),
            (" \t ", "_"),
            (".bashrc", "bashrc"),
            ("a\u{0}b\nc", "a_b_c"),
            ("c:\\x", "c:_x"),
        ];
        for (name, expected) in cases {
            assert_eq!(plain_name(name, "id"), expected, "{name:?}");
        }
        let long = plain_name(&"ä".repeat(200), "id");
        assert_eq!((long.len(), long.chars().all(|letter| letter == 'ä')), (254, true));
    }

    fn ticket(name: &str) -> Ticket {
        Ticket { name: Some(name.into()), ..Ticket::new(ContentId([1; 32])) }
    }

    fn fetched_to(path: &Path) -> ContentView {
        ContentView {
            content_id: ContentId([1; 32]),
            name: String::new(),
            kind: ContentKind::File,
            size_bytes: 0,
            path: path.to_str().unwrap().into(),
            state: "complete".into(),
            have_bytes: 0,
            listed: false,
            pinned: false,
            access: Access::Ticket,
            ticket: String::new(),
        }
    }

    #[test]
    fn a_folder_gets_it_inside_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let choose = |output: &str, here: &[ContentView]| {
            choose(&ticket("../x"), Some(&root.join(output)), here).map_err(|fault| fault.outcome)
        };
        assert_eq!(choose("", &[]), Ok(root.join("_x")));
        assert_eq!(choose("new", &[]), Ok(root.join("new")));
        assert_eq!(choose("no/new", &[]), Err(Outcome::NotFound));
        std::fs::write(root.join("new"), "").unwrap();
        assert_eq!(choose("new", &[]), Err(Outcome::Exists));
        assert_eq!(choose("new", &[fetched_to(&root.join("new"))]), Ok(root.join("new")));
        std::fs::create_dir(root.join("_x")).unwrap();
        assert_eq!(choose("", &[]), Err(Outcome::Exists));
        assert_eq!(choose("", &[fetched_to(&root.join("_x"))]), Ok(root.join("_x")));
        assert_eq!(choose("_x", &[fetched_to(&root.join("_x"))]), Ok(root.join("_x")), "a tree that is there resumes");
    }
}
