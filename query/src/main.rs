//! SQL over a lake.

mod output;
mod table;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::output::Form;

/// Query a lake with SQL
///
/// Every Delta table in the folder is a table of the query, as of its newest version. SHOW TABLES lists them, DESCRIBE names a
/// table's columns. Nothing is ever written.
#[derive(Debug, Parser)]
#[command(
    name = "larder-query",
    version,
    after_help = "Example: larder-query --lake out/lake \"SELECT sku, count FROM inventory ORDER BY count DESC\"\n\n\
                  Exit codes: 0 done, 1 the query or the lake is at fault, 2 wrong usage"
)]
struct Args {
    /// The lake's folder
    #[arg(long)]
    lake: PathBuf,
    /// Print one JSON object a row, one a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values under a line of column names
    #[arg(long)]
    csv: bool,
    /// The query
    sql: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder-query: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let tables = table::open_all(&args.lake)?;
    let context = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true));
    for table in tables {
        let name = table.name().to_owned();
        context.register_table(&name, Arc::new(table)).with_context(|| name)?;
    }
    let form = match args {
        Args { json: true, .. } => Form::Json,
        Args { csv: true, .. } => Form::Csv,
        _ => Form::Table,
    };
    runtime.block_on(async {
        // Tables of the lake can be read and nothing else: no files by name, no settings, no new tables.
        let options = datafusion::execution::context::SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let rows = context.sql_with_options(&args.sql, options).await?.execute_stream().await?;
        output::print(rows, form, &mut std::io::stdout().lock()).await
    })
}
