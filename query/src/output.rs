//! Rows, printed.

use std::io::{self, Write};

use anyhow::Context as _;
use datafusion::{
    arrow::{
        array::RecordBatch,
        json::{WriterBuilder, writer::LineDelimited},
        util::{
            display::{ArrayFormatter, FormatOptions},
            pretty::pretty_format_batches,
        },
    },
    execution::SendableRecordBatchStream,
};
use futures::StreamExt as _;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table for the eye.
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated values.
    Csv,
}

/// Prints `rows` to `out`; as they come, but for a table, whose columns are as wide as their widest cell.
pub(crate) async fn print(mut rows: SendableRecordBatchStream, form: Form, out: &mut impl Write) -> anyhow::Result<()> {
    let schema = rows.schema();
    let mut batches = Vec::new();
    let mut csv = csv::Writer::from_writer(Vec::new());
    if form == Form::Csv {
        csv.write_record(schema.fields().iter().map(|field| field.name()))?;
    }
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        match form {
            Form::Table => batches.push(batch),
            Form::Json => {
                let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
                writer.write(&batch)?;
                writer.finish()?;
                out.write_all(&writer.into_inner())?;
            }
            Form::Csv => {
                write_csv(&batch, &mut csv)?;
                flush_csv(&mut csv, out)?;
            }
        }
    }
    match form {
        Form::Table if batches.is_empty() => {
            writeln!(out, "{}", pretty_format_batches(&[RecordBatch::new_empty(schema)])?)?
        }
        Form::Table => writeln!(out, "{}", pretty_format_batches(&batches)?)?,
        Form::Csv => flush_csv(&mut csv, out)?,
        Form::Json => {}
    }
    out.flush()?;
    Ok(())
}

fn write_csv(batch: &RecordBatch, csv: &mut csv::Writer<Vec<u8>>) -> anyhow::Result<()> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        for column in &columns {
            csv.write_field(column.value(row).try_to_string()?)?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

fn flush_csv(csv: &mut csv::Writer<Vec<u8>>, out: &mut impl Write) -> anyhow::Result<()> {
    let done = std::mem::replace(csv, csv::Writer::from_writer(Vec::new()));
    out.write_all(&done.into_inner().context("flushing rows")?)?;
    Ok(())
}

/// Whether the reader of the output went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
