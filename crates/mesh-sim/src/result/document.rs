//! A document that people write, in which a command writes some sections: those between two markers.
//!
//! Invariant: what stands outside the markers, and sections of other names, stay as they are; the document is never half
//! written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::folder::{WriteError, write_text};

/// Why a section could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The document can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It lacks the markers.
    #[error("{} has no place for figures: no line `{marker}`", path.display())]
    NoPlace {
        /// Which.
        path: PathBuf,
        /// What it lacks, with what ends it behind it.
        marker: &'static str,
    },
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A document with a place for sections. See the module.
#[derive(Debug)]
pub struct Document {
    /// Where it lies.
    pub path: PathBuf,
    /// The line before its sections, its end included.
    pub begin: &'static str,
    /// The line after them.
    pub end: &'static str,
    /// What the head of a section begins with, such as `### `.
    pub head: &'static str,
}

impl Document {
    /// Its text.
    ///
    /// # Errors
    /// If it can't be read or has no place for sections.
    pub fn read(&self) -> Result<String, DocumentError> {
        let read = std::fs::read_to_string(&self.path);
        let text = read.map_err(|source| DocumentError::Read { path: self.path.clone(), source })?;
        match self.parts(&text) {
            Some(_) => Ok(text),
            None => Err(self.no_place()),
        }
    }

    /// Puts a section in its place, in order of names, or replaces the one of this name. Reads the document anew: somebody
    /// may have written meanwhile.
    ///
    /// # Errors
    /// If it can't be read or written, or has no place for sections.
    pub fn put(&self, name: &str, section: &str) -> Result<(), DocumentError> {
        let text = self.with_section(&self.read()?, name, section).ok_or_else(|| self.no_place())?;
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let file_name = self.path.file_name().unwrap_or_default().to_string_lossy();
        write_text(folder, &file_name, &text)?;
        Ok(())
    }

    fn no_place(&self) -> DocumentError {
        DocumentError::NoPlace { path: self.path.clone(), marker: self.begin.trim() }
    }

    /// What stands before the sections, they, and what stands behind.
    fn parts<'text>(&self, text: &'text str) -> Option<[&'text str; 3]> {
        let (before, rest) = text.split_once(self.begin)?;
        let (sections, after) = rest.split_once(self.end)?;
        Some([before, sections, after])
    }

    fn with_section(&self, text: &str, name: &str, section: &str) -> Option<String> {
        let Self { begin, end, head, .. } = self;
        let [before, sections, after] = self.parts(text)?;
        let mut sections: BTreeMap<&str, &str> = sections
            .split(head)
            .filter_map(|part| part.split_once('\n'))
            .map(|(name, section)| (name.trim(), section.trim()))
            .filter(|(name, _)| !name.is_empty())
            .collect();
        sections.insert(name, section.trim());
        let written: String = sections.iter().map(|(name, section)| format!("{head}{name}\n\n{section}\n\n")).collect();
        Some(format!("{before}{begin}\n{written}{end}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- begin -->\n";
    const END: &str = "<!-- end -->\n";

    fn document(path: PathBuf) -> Document {
        Document { path, begin: BEGIN, end: END, head: "### " }
    }

    #[test]
    fn a_section_is_put_in_its_place_and_replaces_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let document = document(folder.path().join("document.md"));
        std::fs::write(&document.path, format!("# Title\n\n{BEGIN}{END}\nMore.\n")).unwrap();
        for (name, section) in [("b", "of b\n"), ("a", "of a"), ("b", "newer")] {
            document.put(name, section).unwrap();
        }
        let expected = format!("# Title\n\n{BEGIN}\n### a\n\nof a\n\n### b\n\nnewer\n\n{END}\nMore.\n");
        assert_eq!(document.read().unwrap(), expected);
    }

    #[test]
    fn a_document_without_a_place_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let document = document(folder.path().join("document.md"));
        assert!(matches!(document.put("a", "of a"), Err(DocumentError::Read { .. })));
        std::fs::write(&document.path, "no place").unwrap();
        assert!(matches!(document.put("a", "of a"), Err(DocumentError::NoPlace { .. })));
        assert_eq!(std::fs::read_to_string(&document.path).unwrap(), "no place");
    }
}
