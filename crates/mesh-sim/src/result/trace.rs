//! A columnar trace of events in Parquet, for analysis elsewhere.
//!
//! Invariant: memory does not grow with the trace, but for a few hundred bytes per [`ROWS_PER_GROUP`] rows.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `time_ns` | u64 | virtual time |
//! | `kind` | text | `input`, `wake` or `world` |
//! | `node` | u32 or null | to which node; the world's own events have none |
//! | `peer` | u32 or null | from which node |
//! | `what` | text | what it was, such as the name of a message |
//! | `content` | text or null | of which content |
//! | `bytes` | u64 or null | how large |
//! | `print` | u64 | the world's word for it: equal for equal events |

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Encoding, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use crate::capture::EventKind;

/// Rows written at a time.
pub const ROWS_PER_GROUP: usize = 1 << 16;
/// Groups in a file: the format counts them in sixteen bits.
pub const GROUPS_MAX: usize = 32_767;
/// Longer texts are cut at a character before this many bytes.
pub const TEXT_BYTES_MAX: usize = 128;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRow<'a> {
    /// When, in virtual time.
    pub time_ns: u64,
    /// What kind of event.
    pub kind: EventKind,
    /// To which node.
    pub node: Option<u32>,
    /// From which node.
    pub peer: Option<u32>,
    /// What it was.
    pub what: &'a str,
    /// Of which content.
    pub content: Option<&'a str>,
    /// How large.
    pub bytes: Option<u64>,
    /// Equal for equal events.
    pub print: u64,
}

/// Why a trace could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file can't take more rows; those before it stay.
    #[error("a trace holds at most {} rows", ROWS_PER_GROUP * GROUPS_MAX)]
    Full,
    /// Writing failed.
    #[error("the trace can't be written")]
    Write(#[from] parquet::errors::ParquetError),
}

/// The rows of a group, column by column. Columns that may be null have a level per row: 1 for a value, 0 for none.
#[derive(Default)]
struct Columns {
    times: Vec<i64>,
    kinds: Vec<ByteArray>,
    nodes: Optional<i32>,
    peers: Optional<i32>,
    whats: Vec<ByteArray>,
    contents: Optional<ByteArray>,
    sizes: Optional<i64>,
    prints: Vec<i64>,
}

struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// Writes a trace, group by group.
pub struct TraceWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Columns,
    /// Each text of the group once.
    texts: BTreeMap<String, ByteArray>,
    groups: usize,
}

impl<W: Write + Send> TraceWriter<W> {
    /// Begins a trace.
    ///
    /// # Errors
    /// If the head can't be written.
    pub fn new(sink: W) -> Result<Self, TraceError> {
        let file = SerializedFileWriter::new(sink, Arc::new(schema()?), Arc::new(properties()))?;
        Ok(Self { file, rows: Columns::default(), texts: BTreeMap::new(), groups: 0 })
    }

    /// Adds a row; writes when a group is full.
    ///
    /// # Errors
    /// If the file is full or can't be written.
    pub fn add(&mut self, row: &TraceRow<'_>) -> Result<(), TraceError> {
        if self.groups == GROUPS_MAX {
            return Err(TraceError::Full);
        }
        let (kind, what) = (self.text(kind_text(row.kind)), self.text(row.what));
        let content = row.content.map(|content| self.text(content));
        let rows = &mut self.rows;
        // Parquet stores unsigned numbers as the signed ones of the same bits.
        rows.times.push(row.time_ns.cast_signed());
        rows.kinds.push(kind);
        rows.nodes.push(row.node.map(u32::cast_signed));
        rows.peers.push(row.peer.map(u32::cast_signed));
        rows.whats.push(what);
        rows.contents.push(content);
        rows.sizes.push(row.bytes.map(u64::cast_signed));
        rows.prints.push(row.print.cast_signed());
        match rows.times.len() < ROWS_PER_GROUP {
            true => Ok(()),
            false => self.write_group(),
        }
    }

    /// Writes what is left and the end of the file, and gives back where it was written.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn finish(mut self) -> Result<W, TraceError> {
        if !self.rows.times.is_empty() {
            self.write_group()?;
        }
        Ok(self.file.into_inner()?)
    }

    fn text(&mut self, text: &str) -> ByteArray {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let bytes = ByteArray::from(text);
        self.texts.insert(text.to_owned(), bytes.clone());
        bytes
    }

    fn write_group(&mut self) -> Result<(), TraceError> {
        let rows = std::mem::take(&mut self.rows);
        self.texts.clear();
        let mut group = self.file.next_row_group()?;
        let mut number = 0;
        while let Some(mut column) = group.next_column()? {
            rows.write(number, column.untyped())?;
            column.close()?;
            number += 1;
        }
        group.close()?;
        self.groups += 1;
        Ok(())
    }
}

impl Columns {
    /// Writes a column by its number in the schema.
    fn write(&self, number: usize, writer: &mut ColumnWriter<'_>) -> Result<(), TraceError> {
        match writer {
            ColumnWriter::Int64ColumnWriter(writer) => match number {
                0 => writer.write_batch(&self.times, None, None),
                6 => writer.write_batch(&self.sizes.values, Some(&self.sizes.levels), None),
                _ => writer.write_batch(&self.prints, None, None),
            },
            ColumnWriter::Int32ColumnWriter(writer) => {
                let column = if number == 2 { &self.nodes } else { &self.peers };
                writer.write_batch(&column.values, Some(&column.levels), None)
            }
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let (values, levels) = match number {
                    1 => (&self.kinds, None),
                    4 => (&self.whats, None),
                    _ => (&self.contents.values, Some(&self.contents.levels[..])),
                };
                writer.write_batch(values, levels, None)
            }
            _ => Ok(0),
        }?;
        Ok(())
    }
}

fn kind_text(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Input => "input",
        EventKind::Wake => "wake",
        EventKind::World => "world",
    }
}

fn schema() -> Result<Type, TraceError> {
    let unsigned = |bit_width| Some(LogicalType::integer(bit_width, false));
    let text = || Some(LogicalType::String);
    let column = |name: &str, physical, logical, repetition| {
        let column = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        column.with_repetition(repetition).build().map(Arc::new)
    };
    let (required, optional) = (Repetition::REQUIRED, Repetition::OPTIONAL);
    let columns = vec![
        column("time_ns", Physical::INT64, unsigned(64), required)?,
        column("kind", Physical::BYTE_ARRAY, text(), required)?,
        column("node", Physical::INT32, unsigned(32), optional)?,
        column("peer", Physical::INT32, unsigned(32), optional)?,
        column("what", Physical::BYTE_ARRAY, text(), required)?,
        column("content", Physical::BYTE_ARRAY, text(), optional)?,
        column("bytes", Physical::INT64, unsigned(64), optional)?,
        column("print", Physical::INT64, unsigned(64), required)?,
    ];
    Ok(Type::group_type_builder("event").with_fields(columns).build()?)
}

fn properties() -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    WriterProperties::builder()
        .set_created_by("mesh-sim".to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_column_dictionary_enabled(column("time_ns"), false)
        .set_column_encoding(column("time_ns"), Encoding::DELTA_BINARY_PACKED)
        // A print looks random; a dictionary of it would only be thrown away.
        .set_column_dictionary_enabled(column("print"), false)
        .build()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::random::Stream;

    struct Owned {
        row: TraceRow<'static>,
    }

    fn rows(count: u64) -> Vec<Owned> {
        let mut stream = Stream::new(5, "trace", 0);
        let mut time_ns = 0;
        let row = |_| {
            time_ns += stream.below(1_000);
            let kind = [EventKind::Input, EventKind::Wake, EventKind::World][stream.below(3) as usize];
            let maybe = |number: u64| (!number.is_multiple_of(3)).then_some(number);
            Owned {
                row: TraceRow {
                    time_ns: if count == 3 { u64::MAX - 3 + time_ns % 3 } else { time_ns },
                    kind,
                    node: maybe(stream.next_u64()).map(|number| number as u32),
                    peer: maybe(stream.next_u64()).map(|number| number as u32),
                    what: ["have", "want", "span, \"quoted\" é"][stream.below(3) as usize],
                    content: maybe(stream.next_u64()).map(|number| ["a", "b"][(number % 2) as usize]),
                    bytes: maybe(stream.next_u64()),
                    print: stream.next_u64(),
                },
            }
        };
        (0..count).map(row).collect()
    }

    fn written(rows: &[Owned]) -> Vec<u8> {
        let mut writer = TraceWriter::new(Vec::new()).expect("memory can be written to");
        rows.iter().for_each(|row| writer.add(&row.row).expect("memory can be written to"));
        writer.finish().expect("memory can be written to")
    }

    fn fields(row: &TraceRow<'_>) -> Vec<Field> {
        let text = |text: &str| Field::Str(text.to_owned());
        vec![
            Field::ULong(row.time_ns),
            text(kind_text(row.kind)),
            row.node.map_or(Field::Null, Field::UInt),
            row.peer.map_or(Field::Null, Field::UInt),
            text(row.what),
            row.content.map_or(Field::Null, text),
            row.bytes.map_or(Field::Null, Field::ULong),
            Field::ULong(row.print),
        ]
    }

    #[test]
    fn what_is_written_reads_back() {
        for count in [0, 1, 3, 1_000, ROWS_PER_GROUP as u64 + 7] {
            let rows = rows(count);
            let reader = SerializedFileReader::new(Bytes::from(written(&rows))).expect("a trace");
            assert_eq!(reader.num_row_groups(), (count as usize).div_ceil(ROWS_PER_GROUP));
            let read = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
            let mut read = read.map(|row| row.into_columns().into_iter().map(|(_, field)| field).collect::<Vec<_>>());
            for (number, row) in rows.iter().enumerate() {
                assert_eq!(read.next(), Some(fields(&row.row)), "row {number} of {count}");
            }
            assert_eq!(read.next(), None);
        }
    }

    #[test]
    fn the_same_rows_are_the_same_bytes() {
        let bytes = written(&rows(1_000));
        assert_eq!(bytes, written(&rows(1_000)));
        assert_eq!(blake3::hash(&bytes).to_hex()[..16], *FROZEN, "{} bytes", bytes.len());
    }

    const FROZEN: &str = "69ff09e701771983";

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let long = "é".repeat(TEXT_BYTES_MAX);
        let mut row = rows(1).remove(0).row;
        row.content = None;
        let mut writer = TraceWriter::new(Vec::new()).expect("memory can be written to");
        writer.add(&TraceRow { what: &long, ..row }).expect("memory can be written to");
        let reader = SerializedFileReader::new(Bytes::from(writer.finish().expect("memory"))).expect("a trace");
        let read = reader.get_row_iter(None).expect("rows").next().expect("a row").expect("a row");
        assert_eq!(read.into_columns()[4].1, Field::Str("é".repeat(TEXT_BYTES_MAX / 2)));
    }
}
