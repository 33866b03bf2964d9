// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The table as a Parquet file.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Encoding, Repetition, Type as Physical};
use parquet::data_type::{BoolType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};

use crate::error::IndexError;
use crate::frames::{FrameTable, IndexedFrame};

/// Largest number of rows in a row group, which is written at a time.
const ROW_GROUP: usize = 1 << 18;

/// A frame and its place in the table.
struct Row<'a> {
    number: i64,
    /// Seconds since the first frame.
    seconds: f64,
    frame: &'a IndexedFrame,
}

/// Values of a column.
enum Values {
    Integers(fn(&Row<'_>) -> Option<i64>),
    Number(fn(&Row<'_>) -> f64),
    Flag(fn(&Row<'_>) -> bool),
}

/// The columns in order. The table of one file is one segment.
const COLUMNS: [(&str, Values); 9] = [
    ("segment_idx", Values::Integers(|_| Some(0))),
    ("local_frame_idx", Values::Integers(|row| Some(row.number))),
    ("pts", Values::Integers(|row| Some(row.frame.pts))),
    ("timestamp", Values::Number(|row| row.seconds)),
    ("capture_us", Values::Integers(|row| row.frame.capture_us)),
    ("keyframe", Values::Flag(|row| row.frame.is_keyframe)),
    ("offset", Values::Integers(|row| Some(row.frame.offset))),
    ("size", Values::Integers(|row| Some(row.frame.size))),
    ("duration", Values::Integers(|row| Some(row.frame.duration))),
];

impl Values {
    fn physical_type(&self) -> Physical {
        match self {
            Self::Integers(_) => Physical::INT64,
            Self::Number(_) => Physical::DOUBLE,
            Self::Flag(_) => Physical::BOOLEAN,
        }
    }

    /// Returns the encoding, without compression: times, places and sizes of frames differ little from row to row.
    fn encoding(&self) -> Encoding {
        match self {
            Self::Integers(_) => Encoding::DELTA_BINARY_PACKED,
            Self::Number(_) | Self::Flag(_) => Encoding::PLAIN,
        }
    }

    /// Writes the next column of a row group.
    fn write<W: Write + Send>(
        &self,
        rows: &[Row<'_>],
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Integers(value) => put_column::<Int64Type, W>(rows.iter().map(value), group),
            Self::Number(value) => {
                let values = rows.iter().map(|row| Some(value(row)));
                put_column::<DoubleType, W>(values, group)
            }
            Self::Flag(value) => {
                let values = rows.iter().map(|row| Some(value(row)));
                put_column::<BoolType, W>(values, group)
            }
        }
    }
}

fn put_column<T: DataType, W: Write + Send>(
    rows: impl Iterator<Item = Option<T::T>>,
    group: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), ParquetError> {
    let mut values = Vec::new();
    let levels = rows.map(|value| {
        let level = i16::from(value.is_some());
        values.extend(value);
        level
    });
    let levels: Vec<_> = levels.collect();
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("a column too many".into()))?;
    (column.typed::<T>()).write_batch(&values, Some(&levels), None)?;
    column.close()
}

/// Returns the schema. All columns can have nulls, as those that pyarrow writes by default: tables of both can be
/// concatenated.
fn schema() -> Result<Type, ParquetError> {
    let columns = COLUMNS.iter().map(|(name, values)| {
        let column = Type::primitive_type_builder(name, values.physical_type());
        let column = column.with_repetition(Repetition::OPTIONAL).build()?;
        Ok(Arc::new(column))
    });
    Type::group_type_builder("schema")
        .with_fields(columns.collect::<Result<_, ParquetError>>()?)
        .build()
}

impl FrameTable {
    fn properties(&self) -> WriterProperties {
        let [width, height] = self.size;
        let metadata = [
            ("time_base", format!("1/{}", self.units)),
            ("codec", self.codec.clone()),
            ("width", width.to_string()),
            ("height", height.to_string()),
            ("source", self.source.clone()),
        ];
        let metadata = metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value));
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(metadata.into()))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::Chunk);
        let properties = COLUMNS
            .iter()
            .fold(properties, |properties, (name, values)| {
                properties.set_column_encoding(ColumnPath::from(*name), values.encoding())
            });
        properties.build()
    }

    /// Writes the table as a Parquet file to an output, and flushes it.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn write(&self, output: impl Write + Send) -> Result<(), IndexError> {
        let (schema, properties) = (Arc::new(schema()?), Arc::new(self.properties()));
        let mut file = SerializedFileWriter::new(output, schema, properties)?;
        let first = self.frames.first().map_or(0, |frame| frame.pts);
        let rows = self.frames.iter().zip(0..).map(|(frame, number)| Row {
            number,
            seconds: frame.pts.saturating_sub(first) as f64 / f64::from(self.units),
            frame,
        });
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let part: Vec<_> = rows.by_ref().take(ROW_GROUP).collect();
            let mut group = file.next_row_group()?;
            for (_, values) in &COLUMNS {
                values.write(&part, &mut group)?;
            }
            group.close()?;
        }
        file.close()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
