//! Which versions of the tables show the same epoch.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StructArray};
use larder_records::{Names, Time};

use crate::lake::{
    cells::{Value, column_spec},
    error::CellError,
    row::table,
    spec::{ColumnSpec, Kind, fields},
};

/// An epoch that all tables showed at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    /// The epoch.
    pub epoch: u64,
    /// When they did, by the clock of the machine that wrote them.
    pub committed: Time,
    /// The version of each table that shows it. A table that is not named had no rows.
    pub tables: Vec<TableVersion>,
}

/// A table at a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableVersion {
    /// Its name.
    pub table: String,
    /// Its version in the Delta log.
    pub version: u64,
}

const TABLE_VERSION: &[ColumnSpec] = &[column_spec::<String>("table"), column_spec::<u64>("version")];

impl Value for TableVersion {
    const KIND: Kind = Kind::Struct(TABLE_VERSION);

    fn array(values: &[Option<Self>], names: &Names) -> Result<ArrayRef, CellError> {
        let tables: Vec<_> = values.iter().map(|value| value.as_ref().map(|of| of.table.clone())).collect();
        let versions: Vec<_> = values.iter().map(|value| value.as_ref().map(|of| of.version)).collect();
        let arrays = vec![Value::array(&tables, names)?, Value::array(&versions, names)?];
        let array = StructArray::try_new(fields(TABLE_VERSION), arrays, None);
        Ok(Arc::new(array.map_err(|error| CellError::Value(error.to_string()))?))
    }

    fn get(array: &ArrayRef, i: usize, names: &mut Names) -> Result<Self, CellError> {
        let [tables, versions] = array.as_struct().columns() else {
            return Err(CellError::OtherType(array.data_type().to_string()));
        };
        Ok(Self { table: Value::get(tables, i, names)?, version: Value::get(versions, i, names)? })
    }
}

table! {
    Shown as "epochs", partition [], feed false;
    columns |row| {
        epoch: u64 = row.epoch,
        committed: Time = row.committed,
        tables: Vec<TableVersion> = row.tables.clone(),
    }
    derived {}
    read Shown { epoch, committed, tables }
}
