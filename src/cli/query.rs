//! `larder query`: hands over to `larder-query`, a program of its own, so that the main one is built without a SQL engine.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::Args;

use super::output::Output;

/// Query the lake with SQL
///
/// Runs the program larder-query, which must lie beside this one or on the PATH. Build it with:
/// cargo build --release -p larder-query
#[derive(Debug, Args)]
#[command(
    after_help = "Example: larder query --lake out/lake \"SELECT sku, count FROM inventory ORDER BY count DESC\""
)]
pub(super) struct Query {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// Print comma-separated values
    #[arg(long)]
    csv: bool,
    /// The query; SHOW TABLES and DESCRIBE work too
    sql: String,
}

impl Query {
    pub(super) fn run(self, output: &Output) -> ExitCode {
        let beside =
            std::env::current_exe().ok().map(|me| me.with_file_name("larder-query")).filter(|path| path.exists());
        let program = beside.unwrap_or_else(|| "larder-query".into());
        let mut command = Command::new(&program);
        command.arg("--lake").arg(self.lake).arg(self.sql);
        if output.json() {
            command.arg("--json");
        }
        if self.csv {
            command.arg("--csv");
        }
        match command.status() {
            Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!(
                    "larder: larder-query is neither beside larder nor on the PATH; build it with: cargo build --release -p \
                     larder-query"
                );
                ExitCode::FAILURE
            }
            Err(error) => {
                eprintln!("larder: {}: {error}", program.display());
                ExitCode::FAILURE
            }
        }
    }
}
