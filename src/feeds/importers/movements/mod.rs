//! Movements known from elsewhere than an appliance's own sensors.

mod narrations;
mod receipts;

pub use narrations::Narrations;
pub use receipts::Receipts;

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Import, ImportError, Importer};

/// Receipts or narrations, whichever the folder holds: `transactions.csv` or `EPIC_train_action_labels.csv`.
#[derive(Debug, Clone, Default)]
pub struct Movements {
    /// How receipts are read.
    pub receipts: Receipts,
    /// How narrations are read.
    pub narrations: Narrations,
}

impl Importer for Movements {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        if source.join(receipts::TRANSACTIONS).is_file() {
            self.receipts.read(source, import)
        } else if source.join(narrations::ACTIONS).is_file() {
            self.narrations.read(source, import)
        } else {
            let detail = format!("neither {} nor {}", receipts::TRANSACTIONS, narrations::ACTIONS);
            Err(ImportError::nothing(source, detail))
        }
    }
}

/// A row of a CSV file.
struct Row<T> {
    /// Its line, from 1.
    line: u64,
    /// Bytes since the row before.
    bytes: u64,
    /// Its columns by the names of the first line, or what is wrong with it.
    columns: Result<T, String>,
}

/// Reads a CSV file row after row.
fn rows<T: DeserializeOwned>(
    path: &Path,
    mut each: impl FnMut(Row<T>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let failed = |error: csv::Error| ImportError::io(path, error.into());
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let headers = reader.headers().map_err(failed)?.clone();
    let mut record = csv::StringRecord::new();
    let mut before = 0;
    loop {
        let read = reader.read_record(&mut record);
        let position = reader.position().byte();
        let line = record.position().map_or(0, csv::Position::line);
        let columns = match read {
            Ok(false) => return Ok(()),
            Ok(true) => record.deserialize(Some(&headers)).map_err(|error| error.to_string()),
            Err(error) if error.is_io_error() => return Err(failed(error)),
            Err(error) => Err(error.to_string()),
        };
        each(Row { line, bytes: position - before, columns })?;
        before = position;
    }
}
