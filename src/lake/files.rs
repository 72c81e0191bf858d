//! Data files: sorted Parquet, on the disk when written.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array},
    compute::{concat_batches, take_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    row::{RowConverter, Rows, SortField},
};
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ArrowPredicateFn, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter},
    },
    basic::{Compression, Encoding, ZstdLevel},
    file::{metadata::PageIndexPolicy, properties::WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    error::{LakeError, Place, io},
    pages,
    part::Sieve,
    spec::TableSpec,
};

/// Rows a file holds at most, so that a change rewrites no more.
pub(super) const MAX_ROWS: usize = 1 << 18;
/// Rows a row group holds at most: what a reader can skip.
const GROUP_ROWS: usize = 1 << 16;
/// Rows that are decoded at a time. What a reader sets aside for them it keeps, however few it finds, and so they are copied together.
const BATCH_ROWS: usize = 1 << 13;
/// How hard zstd tries.
const LEVEL: i32 = 3;

/// The values of a table's partition columns, in their order.
pub(super) type Partition = Vec<String>;

/// The schema of a table's data files, which lack the partition columns.
pub(super) fn file_schema(spec: &TableSpec) -> SchemaRef {
    let schema = spec.schema();
    let fields: Vec<_> = schema.fields().iter().filter(|field| !spec.is_partition(field.name())).cloned().collect();
    Arc::new(Schema::new(fields))
}

/// The rows of `batch` by partition, without the partition columns.
pub(super) fn by_partition(
    spec: &TableSpec,
    batch: &RecordBatch,
) -> Result<BTreeMap<Partition, RecordBatch>, ArrowError> {
    let keys: Vec<&StringArray> = spec
        .partition
        .iter()
        .map(|column| batch.column_by_name(column).map(|array| array.as_string()))
        .collect::<Option<_>>()
        .ok_or_else(|| ArrowError::SchemaError("a partition column is missing".to_owned()))?;
    let mut rows: BTreeMap<Vec<&str>, Vec<u32>> = BTreeMap::new();
    let mut start = 0;
    // Neighbours mostly share a partition: one look-up a run.
    for end in 1..=batch.num_rows() {
        if end < batch.num_rows() && keys.iter().all(|key| key.value(end) == key.value(start)) {
            continue;
        }
        let partition = keys.iter().map(|key| key.value(start)).collect();
        rows.entry(partition).or_default().extend((start..end).map(|row| row as u32));
        start = end;
    }
    let schema = file_schema(spec);
    let columns: Vec<usize> =
        schema.fields().iter().map(|field| batch.schema_ref().index_of(field.name())).collect::<Result<_, _>>()?;
    let batch = batch.project(&columns)?;
    rows.into_iter()
        .map(|(partition, rows)| {
            let partition = partition.into_iter().map(str::to_owned).collect();
            Ok((partition, take_record_batch(&batch, &UInt32Array::from(rows))?))
        })
        .collect()
}

/// The rows of `batch` by partition, sorted, without the partition columns.
pub(super) fn sorted_by_partition(
    place: Place<'_>,
    spec: &TableSpec,
    batch: &RecordBatch,
) -> Result<BTreeMap<Partition, RecordBatch>, LakeError> {
    let schema = file_schema(spec);
    let parts = by_partition(spec, batch).map_err(|error| place.arrow(error))?;
    let parts = parts.into_iter().map(|(partition, rows)| Ok((partition, sorted(&schema, &[rows])?)));
    parts.collect::<Result<_, ArrowError>>().map_err(|error| place.arrow(error))
}

/// The columns of `batch` that are no lists, as bytes that compare as the rows do, from the left.
pub(super) fn comparable(batch: &RecordBatch) -> Result<Rows, ArrowError> {
    let flat: Vec<(SortField, ArrayRef)> = batch
        .columns()
        .iter()
        .filter(|array| !array.data_type().is_nested())
        .map(|array| (SortField::new(array.data_type().clone()), array.clone()))
        .collect();
    let (fields, arrays): (Vec<_>, Vec<_>) = flat.into_iter().unzip();
    RowConverter::new(fields)?.convert_columns(&arrays)
}

/// `batches` as one, sorted.
pub(super) fn sorted(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let batch = concat_batches(schema, batches)?;
    let rows = comparable(&batch)?;
    if (1..rows.num_rows()).all(|i| rows.row(i - 1).cmp(&rows.row(i)) != Ordering::Greater) {
        return Ok(batch);
    }
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    take_record_batch(&batch, &UInt32Array::from(order))
}

/// Writes `batch` to a new file in `dir` and syncs it; its path and size in bytes.
///
/// Its name is `stem` and the first number that is free: what lies there already may be what a crash left, or another writer's.
pub(super) fn write(
    place: Place<'_>,
    dir: &Path,
    stem: &str,
    batch: &RecordBatch,
) -> Result<(PathBuf, u64), LakeError> {
    fs::create_dir_all(dir).map_err(io(dir))?;
    let (path, file) = create_new(dir, stem)?;
    let here = Place { path: &path, ..place };
    let level = ZstdLevel::try_new(LEVEL).map_err(|error| here.parquet(error))?;
    let properties = Some(properties(&batch.schema(), Compression::ZSTD(level)));
    let mut writer = ArrowWriter::try_new(file, batch.schema(), properties).map_err(|error| here.parquet(error))?;
    writer.write(batch).map_err(|error| here.parquet(error))?;
    let file = writer.into_inner().map_err(|error| here.parquet(error))?;
    file.sync_all().map_err(io(&path))?;
    let size = file.metadata().map_err(io(&path))?.len();
    Ok((path, size))
}

fn properties(schema: &SchemaRef, compression: Compression) -> WriterProperties {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("larder ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(Some(GROUP_ROWS));
    // hardly a time comes twice, and in their order the steps between them are small
    let times = schema.fields().iter().filter(|field| matches!(field.data_type(), DataType::Timestamp(..)));
    let properties = times.fold(properties, |properties, field| {
        let column = ColumnPath::from(field.name().as_str());
        properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
    });
    properties.build()
}

fn create_new(dir: &Path, stem: &str) -> Result<(PathBuf, File), LakeError> {
    let mut number = 0;
    loop {
        let path = dir.join(format!("{stem}-{number}.parquet"));
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(io(&path)(error)),
        }
    }
}

/// The rows of a data file, without the partition columns.
pub(super) fn read(place: Place<'_>, path: &Path, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
    let here = Place { path, ..place };
    let file = File::open(path).map_err(io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| here.parquet(error))?;
    collected(here, builder, schema)
}

/// The rows of a data file that belong to a part, without the partition columns. Pages in which none can lie are left out, and of the
/// others rows are passed over once it is known that they do not belong to it.
pub(super) fn read_sifted(
    place: Place<'_>,
    path: &Path,
    schema: &SchemaRef,
    sieve: &Arc<Sieve>,
    time: &'static str,
) -> Result<RecordBatch, LakeError> {
    let here = Place { path, ..place };
    let file = File::open(path).map_err(io(path))?;
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let mut builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| here.parquet(error))?;
    if let Some(rows) = pages::wanted(&builder, sieve, time).map_err(|error| here.parquet(error))? {
        builder = builder.with_row_selection(rows);
    }
    let mask = projection(here, &builder, &sieve.columns(time))?.1;
    let sieve = sieve.clone();
    let filter = ArrowPredicateFn::new(mask, move |batch| sieve.mask(time, &batch));
    collected(here, builder.with_row_filter(RowFilter::new(vec![Box::new(filter)])), schema)
}

/// Some columns of a data file.
pub(super) fn read_columns(place: Place<'_>, path: &Path, columns: &[&str]) -> Result<RecordBatch, LakeError> {
    let here = Place { path, ..place };
    let file = File::open(path).map_err(io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| here.parquet(error))?;
    let (schema, mask) = projection(here, &builder, columns)?;
    collected(here, builder.with_projection(mask), &schema)
}

/// Some columns of the file that `builder` reads, in the order of the file.
fn projection(
    here: Place<'_>,
    builder: &ParquetRecordBatchReaderBuilder<File>,
    columns: &[&str],
) -> Result<(SchemaRef, ProjectionMask), LakeError> {
    let places: Result<Vec<usize>, _> = columns.iter().map(|column| builder.schema().index_of(column)).collect();
    let places = places.map_err(|error| here.arrow(error))?;
    let schema = builder.schema().project(&places).map_err(|error| here.arrow(error))?;
    Ok((Arc::new(schema), ProjectionMask::roots(builder.parquet_schema(), places)))
}

/// All that `builder` reads, as one batch.
fn collected(
    here: Place<'_>,
    builder: ParquetRecordBatchReaderBuilder<File>,
    schema: &SchemaRef,
) -> Result<RecordBatch, LakeError> {
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| here.parquet(error))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| here.arrow(error))?;
    // a single one is copied too
    let none = RecordBatch::new_empty(schema.clone());
    concat_batches(schema, batches.iter().chain([&none])).map_err(|error| here.arrow(error))
}

/// Adds the partition columns to rows of a data file: the columns of `spec`, in their order.
pub(super) fn with_partition(
    spec: &TableSpec,
    batch: &RecordBatch,
    partition: &[String],
) -> Result<RecordBatch, ArrowError> {
    let columns = spec.columns.iter().map(|column| match spec.partition.iter().position(|name| *name == column.name) {
        Some(i) => {
            let value = partition.get(i).map_or("", String::as_str);
            Some(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, batch.num_rows()))) as ArrayRef)
        }
        None => batch.column_by_name(column.name).cloned(),
    });
    let columns: Option<Vec<_>> = columns.collect();
    let columns = columns.ok_or_else(|| ArrowError::SchemaError("a column is missing".to_owned()))?;
    RecordBatch::try_new(spec.schema(), columns)
}

/// `batch` with a column `_change_type` that says `change` in every row.
pub(super) fn as_change(batch: &RecordBatch, change: &str) -> Result<RecordBatch, ArrowError> {
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_change_type", DataType::Utf8, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(change, batch.num_rows()))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
