//! GraphML (Brandes and others 2002): one flat graph, with typed keys. All that knows the XML library stands in this
//! file.
//!
//! Invariant: no entity is expanded but those that stand for one letter, so the text never grows; nothing outside the
//! file is read.

use std::collections::BTreeMap;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::error::{ImportError, Place, Problem, quoted};
use super::figures::{LinkFigures, NodeFigures, Scalar, channels_from_json};
use super::graph::{FileLink, FileNode, Graph};

/// Deepest element in an element.
const DEPTH_MAX: usize = 32;
/// Most keys.
const KEYS_MAX: usize = 200;
/// Longest default of a key, in bytes: each element takes it in.
const DEFAULT_BYTES_MAX: usize = 1024;

/// Reads the graph.
pub(super) fn read(text: &str) -> Result<Graph, ImportError> {
    let mut reader = Reader::from_str(text);
    let mut document = Document::default();
    loop {
        let at = reader.buffer_position() as usize;
        let wrong = |problem| ImportError::new(Place::Offset(at), problem);
        let syntax = |error: quick_xml::Error| wrong(Problem::Syntax(quoted(&error.to_string())));
        match reader.read_event().map_err(|error| {
            let place = Place::Offset(reader.error_position() as usize);
            ImportError::new(place, Problem::Syntax(quoted(&error.to_string())))
        })? {
            Event::Start(start) => document.start(&start, at).map_err(wrong)?,
            Event::Empty(start) => {
                document.start(&start, at).map_err(wrong)?;
                document.end().map_err(wrong)?;
            }
            Event::End(_) => document.end().map_err(wrong)?,
            Event::Text(text) => document.text.push_str(&text.xml10_content()),
            Event::CData(text) => document.text.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => document.text.push(letter(&entity).map_err(syntax)?),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    document.finish().map_err(|problem| ImportError::new(Place::Offset(text.len()), problem))
}

fn letter(entity: &BytesRef<'_>) -> Result<char, quick_xml::Error> {
    if let Some(letter) = entity.resolve_char_ref()? {
        return Ok(letter);
    }
    // One that nobody declared to us is shown as what it is: not understood.
    Ok(match &*entity.xml10_content() {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => char::REPLACEMENT_CHARACTER,
    })
}

/// What an element is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Key,
    Default,
    Graph,
    Node,
    Edge,
    Data,
    Other,
}

/// A declared key.
#[derive(Debug, Default)]
struct Key {
    name: String,
    /// Which elements have it: node, edge, graph or all.
    of: String,
}

/// A document as far as it is read.
#[derive(Debug, Default)]
struct Document {
    open: Vec<Element>,
    text: String,
    keys: BTreeMap<String, Key>,
    /// What keys are where an element says nothing, by name: one default of a name counts, the last.
    node_defaults: BTreeMap<String, String>,
    edge_defaults: BTreeMap<String, String>,
    /// The key that is being declared, or whose data are being read.
    key: String,
    has_graph: bool,
    is_directed: bool,
    node: Option<FileNode>,
    link: Option<FileLink>,
    graph: Graph,
}

fn syntax(problem: &str) -> Problem {
    Problem::Syntax(problem.to_owned())
}

/// The attributes that are asked for, by local name.
fn attributes<const N: usize>(start: &BytesStart<'_>, names: [&str; N]) -> Result<[Option<String>; N], Problem> {
    let mut values = [const { None }; N];
    // Without the library's check for doubles, which compares each with each.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| syntax(&error.to_string()))?;
        let name = attribute.key.local_name();
        if let Some(index) = names.iter().position(|wanted| *wanted == name.into_inner()) {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            values[index] = Some(value.map_err(|error| Problem::Syntax(quoted(&error.to_string())))?.into_owned());
        }
    }
    Ok(values)
}

impl Document {
    fn start(&mut self, start: &BytesStart<'_>, at: usize) -> Result<(), Problem> {
        if self.open.len() == DEPTH_MAX {
            return Err(syntax("elements nest too deep"));
        }
        self.text.clear();
        let name = start.local_name();
        let element = match (name.into_inner(), self.open.last()) {
            ("key", _) => self.start_key(start)?,
            ("default", Some(Element::Key)) => Element::Default,
            ("graph", _) => self.start_graph(start)?,
            ("node", Some(Element::Graph)) => self.start_node(start, at)?,
            ("edge", Some(Element::Graph)) => self.start_edge(start, at)?,
            ("hyperedge", _) => return Err(syntax("hyperedges are not read")),
            ("data", Some(Element::Node | Element::Edge | Element::Graph)) => {
                let [key] = attributes(start, ["key"])?;
                self.key = key.ok_or_else(|| syntax("`data` has no `key`"))?;
                Element::Data
            }
            _ => Element::Other,
        };
        self.open.push(element);
        Ok(())
    }

    fn start_key(&mut self, start: &BytesStart<'_>) -> Result<Element, Problem> {
        let [id, name, of] = attributes(start, ["id", "attr.name", "for"])?;
        let id = id.ok_or_else(|| syntax("`key` has no `id`"))?;
        if self.keys.len() == KEYS_MAX {
            return Err(syntax("more than 200 keys are too many"));
        }
        let key = Key { name: name.unwrap_or_else(|| id.clone()), of: of.unwrap_or_default() };
        self.key.clone_from(&id);
        self.keys.insert(id, key);
        Ok(Element::Key)
    }

    fn start_graph(&mut self, start: &BytesStart<'_>) -> Result<Element, Problem> {
        if std::mem::replace(&mut self.has_graph, true) {
            return Err(syntax("a graph in a graph, or a second one, is not read"));
        }
        let [default] = attributes(start, ["edgedefault"])?;
        self.is_directed = default.as_deref() == Some("directed");
        self.graph.pairs_directions = self.is_directed;
        Ok(Element::Graph)
    }

    fn start_node(&mut self, start: &BytesStart<'_>, at: usize) -> Result<Element, Problem> {
        let [id] = attributes(start, ["id"])?;
        let id = id.ok_or_else(|| syntax("the node has no `id`"))?;
        let mut figures = NodeFigures::default();
        for (name, value) in &self.node_defaults {
            figures.set(name, &Scalar::Text(value))?;
        }
        self.node = Some(FileNode { place: Place::Offset(at), id, figures });
        Ok(Element::Node)
    }

    fn start_edge(&mut self, start: &BytesStart<'_>, at: usize) -> Result<Element, Problem> {
        let [source, target, directed] = attributes(start, ["source", "target", "directed"])?;
        let (Some(source), Some(target)) = (source, target) else {
            return Err(syntax("the edge has no `source` or no `target`"));
        };
        if directed.is_some_and(|directed| (directed == "true") != self.is_directed) {
            return Err(syntax("a graph with directed and undirected edges is not read"));
        }
        let mut figures = LinkFigures::default();
        for (name, value) in &self.edge_defaults {
            figures.set(name, &Scalar::Text(value))?;
        }
        self.link = Some(FileLink { place: Place::Offset(at), source, target, figures });
        Ok(Element::Edge)
    }

    fn end(&mut self) -> Result<(), Problem> {
        let element = self.open.pop();
        let text = std::mem::take(&mut self.text);
        match element {
            Some(Element::Default) => self.default_of_key(&text)?,
            Some(Element::Data) => self.data(&text)?,
            Some(Element::Node) => {
                let node = self.node.take();
                node.map_or(Ok(()), |node| self.graph.add_node(node)).map_err(|error| error.problem)?;
            }
            Some(Element::Edge) => {
                let link = self.link.take();
                link.map_or(Ok(()), |link| self.graph.add_link(link)).map_err(|error| error.problem)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn default_of_key(&mut self, text: &str) -> Result<(), Problem> {
        if text.len() > DEFAULT_BYTES_MAX {
            return Err(syntax("a default of more than 1024 bytes is too long"));
        }
        let Some(key) = self.keys.get(&self.key) else { return Ok(()) };
        for (of, defaults) in [("node", &mut self.node_defaults), ("edge", &mut self.edge_defaults)] {
            if key.of == of || key.of == "all" {
                defaults.insert(key.name.clone(), text.to_owned());
            }
        }
        Ok(())
    }

    fn data(&mut self, text: &str) -> Result<(), Problem> {
        let Some(key) = self.keys.get(&self.key) else {
            return Err(Problem::Syntax(format!("no key \"{}\" is declared", quoted(&self.key))));
        };
        let value = Scalar::Text(text);
        match self.open.last() {
            Some(Element::Node) => self.node.as_mut().map_or(Ok(()), |node| node.figures.set(&key.name, &value)),
            Some(Element::Edge) => self.link.as_mut().map_or(Ok(()), |link| link.figures.set(&key.name, &value)),
            _ if key.name == "mesh_channels" => {
                self.graph.channels = channels_from_json(&value)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Graph, Problem> {
        match (self.has_graph, self.open.is_empty()) {
            (false, _) => Err(syntax("there is no `graph`")),
            (true, false) => Err(syntax("the document ends inside an element")),
            (true, true) => Ok(self.graph),
        }
    }
}
