//! Delta tables as tables of a query: the files that the log names, never those that merely lie there.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{FieldRef, Schema, SchemaRef},
    catalog::{Session, TableProvider},
    common::{DFSchema, ScalarValue, project_schema},
    datasource::{
        TableType,
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    error::Result,
    logical_expr::{Expr, TableProviderFilterPushDown, utils::conjunction},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};
use delta_kernel::{
    Snapshot,
    engine::arrow_conversion::TryIntoArrow,
    object_store::{ObjectMeta, local::LocalFileSystem},
    scan::state::ScanFile,
};
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder, executor::tokio::TokioBackgroundExecutor};
use url::Url;

/// A Delta table as of the version at which it was opened.
#[derive(Debug)]
pub(crate) struct DeltaTable {
    name: String,
    schema: TableSchema,
    files: Vec<PartitionedFile>,
}

/// Every Delta table in a folder of `lake`, by name.
pub(crate) fn open_all(lake: &Path) -> anyhow::Result<Vec<DeltaTable>> {
    let folder = std::fs::read_dir(lake).with_context(|| lake.display().to_string())?;
    let mut paths = Vec::new();
    for entry in folder {
        let path = entry.with_context(|| lake.display().to_string())?.path();
        if path.join("_delta_log").is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        bail!("{}: there is no table here; a lake is made by larder replay or larder demo", lake.display());
    }
    let engine = DefaultEngineBuilder::new(Arc::new(LocalFileSystem::new())).build();
    paths.iter().map(|path| DeltaTable::open(&engine, path).with_context(|| path.display().to_string())).collect()
}

impl DeltaTable {
    /// The table in `path`, at its newest version.
    fn open(engine: &DefaultEngine<TokioBackgroundExecutor>, path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let url =
            Url::from_directory_path(std::path::absolute(path)?).map_err(|()| anyhow::anyhow!("no path of a URL"))?;
        let snapshot = Snapshot::builder_for(url.as_str()).build(engine)?;
        let schema: Schema = snapshot.schema().as_ref().try_into_arrow()?;

        let mut found: Vec<ScanFile> = Vec::new();
        let scan = snapshot.scan_builder().build()?;
        for metadata in scan.scan_metadata(engine)? {
            found = metadata?.visit_scan_files(found, |found, file| found.push(file))?;
        }
        // The kernel's public interface tells the partition columns by the files alone; without files there is none to tell.
        let is_partition = |field: &FieldRef| found.iter().any(|file| file.partition_values.contains_key(field.name()));
        let (partition, columns): (Vec<FieldRef>, Vec<FieldRef>) =
            schema.fields().iter().cloned().partition(is_partition);
        let files = found.iter().map(|file| partitioned(&url, &partition, file)).collect::<anyhow::Result<_>>()?;
        let schema = TableSchema::builder(Arc::new(Schema::new(columns))).with_table_partition_cols(partition).build();
        Ok(Self { name, schema, files })
    }

    /// Its name: that of its folder.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

fn partitioned(root: &Url, partition: &[FieldRef], file: &ScanFile) -> anyhow::Result<PartitionedFile> {
    if file.dv_info.has_vector() {
        bail!("{}: deletion vectors are not read", file.path);
    }
    let location = delta_kernel::object_store::path::Path::from_url_path(root.join(&file.path)?.path())?;
    let meta = ObjectMeta {
        location,
        last_modified: std::time::UNIX_EPOCH.into(),
        size: u64::try_from(file.size)?,
        e_tag: None,
        version: None,
    };
    let values = partition.iter().map(|field| match file.partition_values.get(field.name()) {
        Some(text) => ScalarValue::try_from_string(text.clone(), field.data_type()),
        None => ScalarValue::try_from(field.data_type()),
    });
    Ok(PartitionedFile::new_from_meta(meta).with_partition_values(values.collect::<Result<_>>()?))
}

#[async_trait]
impl TableProvider for DeltaTable {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters skip files by their partition, and row groups and pages by their statistics; the query filters what is left.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(self.schema.table_schema(), projection)?)));
        }
        let mut source = ParquetSource::new(self.schema.clone());
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(self.schema())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let groups = FileGroup::new(self.files.clone()).split_files(state.config().target_partitions());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
