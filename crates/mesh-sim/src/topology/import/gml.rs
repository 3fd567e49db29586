//! GML (Himsolt 1996): lists of keys and values in brackets.
//!
//! Invariant: the reader only goes forward, and lists nest no deeper than [`DEPTH_MAX`].

use std::borrow::Cow;

use super::error::{ImportError, Place, Problem, quoted};
use super::figures::{LinkFigures, NodeFigures, Scalar, channels_from_json};
use super::graph::{FileLink, FileNode, Graph};

/// Deepest list in a list.
const DEPTH_MAX: usize = 32;

/// Reads the first graph.
pub(super) fn read(text: &str) -> Result<Graph, ImportError> {
    let mut reader = Reader { text, at: 0 };
    while let Some(key) = reader.key()? {
        if key == "graph" {
            return reader.graph();
        }
        reader.skip_value(0)?;
    }
    Err(reader.error("there is no `graph [`"))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

enum Value<'a> {
    Text(Cow<'a, str>),
    Number(&'a str),
    /// The list's bracket has been read.
    List,
}

impl<'a> Reader<'a> {
    fn graph(&mut self) -> Result<Graph, ImportError> {
        let mut graph = Graph::default();
        self.open("graph")?;
        while let Some(key) = self.key()? {
            match key {
                "node" => {
                    let node = self.node()?;
                    graph.add_node(node)?;
                }
                "edge" => {
                    let link = self.edge()?;
                    graph.add_link(link)?;
                }
                "directed" => {
                    let Value::Number(number) = self.value()? else {
                        return Err(self.error("`directed` is 0 or 1"));
                    };
                    graph.pairs_directions = number == "1";
                }
                "mesh_channels" => {
                    let place = self.place();
                    let Value::Text(text) = self.value()? else {
                        return Err(self.error("`mesh_channels` is text"));
                    };
                    let channels = channels_from_json(&Scalar::Text(&text));
                    graph.channels = channels.map_err(|problem| ImportError::new(place, problem))?;
                }
                _ => self.skip_value(1)?,
            }
        }
        self.close()?;
        Ok(graph)
    }

    fn node(&mut self) -> Result<FileNode, ImportError> {
        let place = self.place();
        let (mut id, mut figures) = (None, NodeFigures::default());
        self.open("node")?;
        while let Some(key) = self.key()? {
            match key {
                "id" => id = Some(self.id()?),
                _ => self.figure(|value| figures.set(key, value))?,
            }
        }
        self.close()?;
        let id = id.ok_or_else(|| self.error("the node has no `id`"))?;
        Ok(FileNode { place, id, figures })
    }

    fn edge(&mut self) -> Result<FileLink, ImportError> {
        let place = self.place();
        let (mut source, mut target, mut figures) = (None, None, LinkFigures::default());
        self.open("edge")?;
        while let Some(key) = self.key()? {
            match key {
                "source" => source = Some(self.id()?),
                "target" => target = Some(self.id()?),
                _ => self.figure(|value| figures.set(key, value))?,
            }
        }
        self.close()?;
        match (source, target) {
            (Some(source), Some(target)) => Ok(FileLink { place, source, target, figures }),
            _ => Err(self.error("the edge has no `source` or no `target`")),
        }
    }

    fn id(&mut self) -> Result<String, ImportError> {
        match self.value()? {
            Value::Text(text) => Ok(text.into_owned()),
            Value::Number(number) => Ok(number.to_owned()),
            Value::List => Err(self.error("an id is a number or text")),
        }
    }

    /// Hands over the next value, unless it is a list.
    fn figure(&mut self, set: impl FnOnce(&Scalar<'_>) -> Result<(), Problem>) -> Result<(), ImportError> {
        self.skip_space();
        let place = self.place();
        let at_place = |problem| ImportError::new(place, problem);
        match self.value()? {
            Value::Text(text) => set(&Scalar::Text(&text)).map_err(at_place),
            Value::Number(number) => {
                let number = number.parse().map_err(|_| at_place(Problem::Syntax("a number is not one".to_owned())))?;
                set(&Scalar::Number(number)).map_err(at_place)
            }
            Value::List => self.skip_list(2),
        }
    }

    fn skip_value(&mut self, depth: usize) -> Result<(), ImportError> {
        match self.value()? {
            Value::List => self.skip_list(depth + 1),
            Value::Text(_) | Value::Number(_) => Ok(()),
        }
    }

    /// Skips the rest of a list whose bracket has been read.
    fn skip_list(&mut self, depth: usize) -> Result<(), ImportError> {
        if depth > DEPTH_MAX {
            return Err(self.error("lists nest too deep"));
        }
        while self.key()?.is_some() {
            self.skip_value(depth)?;
        }
        self.close()
    }

    /// The next key; `None` at a closing bracket or the end.
    fn key(&mut self) -> Result<Option<&'a str>, ImportError> {
        self.skip_space();
        let rest = self.rest();
        match rest.chars().next() {
            None | Some(']') => Ok(None),
            Some(first) if first.is_ascii_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                self.at += end;
                Ok(Some(&rest[..end]))
            }
            Some(_) => Err(self.error(&format!("here should be a key, not \"{}\"", quoted(first_word(rest))))),
        }
    }

    fn value(&mut self) -> Result<Value<'a>, ImportError> {
        self.skip_space();
        let rest = self.rest();
        match rest.chars().next() {
            Some('[') => {
                self.at += 1;
                Ok(Value::List)
            }
            Some('"') => {
                let Some(end) = rest[1..].find('"') else { return Err(self.error("the text has no end")) };
                self.at += end + 2;
                Ok(Value::Text(unescape(&rest[1..=end])))
            }
            Some(first) if first.is_ascii_digit() || "+-.".contains(first) => {
                let word = first_word(rest);
                self.at += word.len();
                Ok(Value::Number(word))
            }
            _ => Err(self.error("here should be a number, text in quotes, or a list in brackets")),
        }
    }

    fn open(&mut self, what: &str) -> Result<(), ImportError> {
        match self.value()? {
            Value::List => Ok(()),
            _ => Err(self.error(&format!("`{what}` is a list in brackets"))),
        }
    }

    fn close(&mut self) -> Result<(), ImportError> {
        self.skip_space();
        match self.rest().starts_with(']') {
            true => {
                self.at += 1;
                Ok(())
            }
            false => Err(self.error("a closing bracket is missing")),
        }
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_ascii_start().len();
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Where the reader is, as an offset: lines are only counted when somebody asks.
    fn place(&self) -> Place {
        Place::Offset(self.at)
    }

    fn error(&self, problem: &str) -> ImportError {
        ImportError::new(self.place(), Problem::Syntax(problem.to_owned()))
    }
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == ']' || c == '[').unwrap_or(text.len());
    &text[..end]
}

/// Text without entities. One that we do not know stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((letter, end)) => {
                plain.push(letter);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Longest entity, in bytes.
const ENTITY_BYTES_MAX: usize = 12;

fn entity(name: &str) -> Option<char> {
    match name {
        "quot" => Some('"'),
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        _ => char::from_u32(name.strip_prefix('#')?.parse().ok()?),
    }
}
