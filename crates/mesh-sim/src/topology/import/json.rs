//! NetJSON NetworkGraph and node-link JSON: they differ in names only.
//!
//! Invariant: nothing is kept that we do not know; objects and lists we do not know are skipped as they are read.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::graph::{CHANNELS_MAX, CHANNELS_PER_LINK_MAX, LINKS_MAX, NODES_MAX, RadioChannel};
use super::error::{ImportError, Place, Problem, quoted};
use super::figures::{LinkFigures, NodeFigures, Scalar};
use super::graph::{FileLink, FileNode, Graph};

/// Reads a graph.
pub(super) fn read(text: &str) -> Result<Graph, ImportError> {
    let file: File = serde_json::from_str(text).map_err(|error| {
        let place = Place::Line { line: error.line(), column: error.column() };
        ImportError::new(place, Problem::Syntax(quoted_message(&error)))
    })?;
    let refuse = |problem| Err(ImportError::new(Place::File, Problem::Syntax(problem)));
    if let Some(kind) = file.kind.filter(|kind| kind != "NetworkGraph") {
        return refuse(format!("`type` is \"{}\"; only a NetworkGraph is read", quoted(&kind)));
    }
    let Some(nodes) = file.nodes else { return refuse("it has no `nodes`".to_owned()) };
    let cost_is_etx = file.metric.is_some_and(|metric| metric.eq_ignore_ascii_case("etx"));
    let mut graph = Graph { pairs_directions: true, cost_is_etx, channels: file.channels, ..Graph::default() };
    for (index, node) in nodes.0.into_iter().enumerate() {
        graph.add_node(FileNode { place: Place::Node(index), id: node.id.0, figures: node.figures })?;
    }
    for (index, link) in file.links.unwrap_or_default().0.into_iter().enumerate() {
        let (source, target) = (link.source.0, link.target.0);
        graph.add_link(FileLink { place: Place::Link(index), source, target, figures: link.figures })?;
    }
    Ok(graph)
}

/// serde_json's words without its place, which we say ourselves, and without long quotations.
fn quoted_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].chars().take(200).collect()
}

#[derive(Default)]
struct File {
    kind: Option<String>,
    metric: Option<String>,
    channels: Vec<RadioChannel>,
    nodes: Option<Bounded<JsonNode, { NODES_MAX as usize }>>,
    links: Option<Bounded<JsonLink, { LINKS_MAX as usize }>>,
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = File;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `nodes` and `links` or `edges`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
        let mut file = File::default();
        while let Some(key) = map.next_key::<String>()? {
            let is_twice = match key.as_str() {
                "type" => file.kind.replace(map.next_value()?).is_some(),
                "metric" => {
                    file.metric = map.next_value()?;
                    false
                }
                "nodes" => file.nodes.replace(map.next_value()?).is_some(),
                "links" | "edges" => file.links.replace(map.next_value()?).is_some(),
                "properties" | "graph" => {
                    file.channels = map.next_value::<GraphProperties>()?.0;
                    false
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if is_twice {
                return Err(A::Error::custom(format!("`{key}` stands here twice")));
            }
        }
        Ok(file)
    }
}

/// A list with a limit.
struct Bounded<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor::<T, MAX>(PhantomData)).map(Self)
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == MAX {
                return Err(A::Error::custom(format!("more than {MAX} are too many")));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// What stands in an object, key by key. What stands in its `properties` counts too.
trait Figures: Default {
    /// Reads the value of a key, of the object itself or of its properties.
    fn set_from<'de, A: MapAccess<'de>>(&mut self, key: &str, is_own: bool, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object.
fn figures_of<'de, F: Figures, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
    let mut figures = F::default();
    FiguresSeed { figures: &mut figures, is_own: true }.deserialize(deserializer)?;
    Ok(figures)
}

/// Reads an object into what is there already.
struct FiguresSeed<'a, F> {
    figures: &'a mut F,
    is_own: bool,
}

impl<'de, F: Figures> DeserializeSeed<'de> for FiguresSeed<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Figures> Visitor<'de> for FiguresSeed<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.is_own && key == "properties" {
                true => map.next_value_seed(FiguresSeed { figures: &mut *self.figures, is_own: false })?,
                false => self.figures.set_from(&key, self.is_own, &mut map)?,
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct NodeObject {
    id: Option<Id>,
    figures: NodeFigures,
}

impl Figures for NodeObject {
    fn set_from<'de, A: MapAccess<'de>>(&mut self, key: &str, is_own: bool, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" if is_own => self.id = Some(map.next_value()?),
            "label" | "role" | "x_m" | "y_m" | "host_bandwidth_up" | "host_bandwidth_down" => {
                let figures = &mut self.figures;
                map.next_value::<JsonScalar>()?.set(|value| figures.set(key, value))?;
            }
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct LinkObject {
    source: Option<Id>,
    target: Option<Id>,
    figures: LinkFigures,
}

impl Figures for LinkObject {
    fn set_from<'de, A: MapAccess<'de>>(&mut self, key: &str, is_own: bool, map: &mut A) -> Result<(), A::Error> {
        let figures = &mut self.figures;
        match key {
            "source" if is_own => self.source = Some(map.next_value()?),
            "target" if is_own => self.target = Some(map.next_value()?),
            "mesh_quality" => figures.quality = Some(map.next_value()?),
            "mesh_back" => figures.back = Some(map.next_value()?),
            "mesh_channels" => figures.channels = map.next_value::<Bounded<u32, CHANNELS_PER_LINK_MAX>>()?.0,
            "latency" | "latency_ms" | "jitter" | "jitter_ms" | "packet_loss" | "packetloss" | "loss_ppm" | "rate"
            | "bandwidth" | "rate_bytes_per_s" | "LinkSpeedRaw" | "cost" => {
                map.next_value::<JsonScalar>()?.set(|value| figures.set(key, value))?;
            }
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct GraphProperties(Vec<RadioChannel>);

impl Figures for GraphProperties {
    fn set_from<'de, A: MapAccess<'de>>(&mut self, key: &str, _: bool, map: &mut A) -> Result<(), A::Error> {
        match key {
            "mesh_channels" => self.0 = map.next_value::<Bounded<RadioChannel, { CHANNELS_MAX as usize }>>()?.0,
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for GraphProperties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        figures_of(deserializer)
    }
}

struct JsonNode {
    id: Id,
    figures: NodeFigures,
}

impl<'de> Deserialize<'de> for JsonNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let NodeObject { id, figures } = figures_of(deserializer)?;
        Ok(Self { id: id.ok_or_else(|| D::Error::missing_field("id"))?, figures })
    }
}

struct JsonLink {
    source: Id,
    target: Id,
    figures: LinkFigures,
}

impl<'de> Deserialize<'de> for JsonLink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let LinkObject { source, target, figures } = figures_of(deserializer)?;
        let (missing_source, missing_target) =
            (|| D::Error::missing_field("source"), || D::Error::missing_field("target"));
        Ok(Self { source: source.ok_or_else(missing_source)?, target: target.ok_or_else(missing_target)?, figures })
    }
}

/// A node's id: text, or a whole number.
struct Id(String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match JsonScalar::deserialize(deserializer)? {
            JsonScalar::Text(text) => Ok(Self(text)),
            JsonScalar::Whole(number) => Ok(Self(number.to_string())),
            _ => Err(D::Error::custom("an id is text or a whole number")),
        }
    }
}

/// Text, number, truth or nothing.
enum JsonScalar {
    Nothing,
    Truth(bool),
    Whole(i128),
    Number(f64),
    Text(String),
}

impl JsonScalar {
    /// Hands the value over, if there is one.
    fn set<E: serde::de::Error>(self, set: impl FnOnce(&Scalar<'_>) -> Result<(), Problem>) -> Result<(), E> {
        let value = match &self {
            Self::Nothing => return Ok(()),
            Self::Truth(truth) => Scalar::Truth(*truth),
            Self::Whole(number) => Scalar::Number(*number as f64),
            Self::Number(number) => Scalar::Number(*number),
            Self::Text(text) => Scalar::Text(text),
        };
        set(&value).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for JsonScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = JsonScalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, a number, true, false or null")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Nothing)
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Truth(truth))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Whole(number.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Whole(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Text(text.to_owned()))
    }
}
