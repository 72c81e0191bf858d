//! `larder`: one file a command.

mod analytics;
mod catalogue;
mod compare;
mod correct;
mod demo;
mod doctor;
mod eval;
mod explain;
mod features;
mod import;
mod kafka;
mod lake;
mod lookout;
mod output;
mod query;
mod record;
mod rederive;
mod replay;
mod revise;
mod run;
mod scene;
mod simulate;
mod stop;
mod top;
mod vision;

use std::{io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand, builder::FalseyValueParser};
use output::Output;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Turns the sensor feeds of kitchen appliances into inventory, behaviour and market tables.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Arguments {
    /// Print results as JSON, one document, and no progress
    #[arg(long, global = true)]
    json: bool,
    /// Say more: once for what is done, twice for how (or set LARDER_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress bars
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Use no GPU for local features, even where there is one; what is found is the same
    #[arg(long, global = true, env = "LARDER_CPU", value_parser = FalseyValueParser::new())]
    cpu: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, with one line on what and where; 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Simulate(simulate::Simulate),
    Import(import::Import),
    Record(record::Record),
    #[command(subcommand)]
    Scene(scene::Scene),
    #[command(subcommand)]
    Catalogue(catalogue::Catalogue),
    Replay(replay::Replay),
    Run(run::Run),
    Analytics(analytics::Analytics),
    Vision(lookout::Lookout),
    Top(top::Top),
    Correct(correct::Correct),
    Rederive(rederive::Rederive),
    Revise(revise::Revise),
    Compare(compare::Compare),
    Explain(explain::Explain),
    History(explain::History),
    #[command(subcommand)]
    Lake(lake::Lake),
    Query(query::Query),
    Eval(eval::Eval),
    Features(features::Features),
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell, such as `larder completions bash > /etc/bash_completion.d/larder`
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let level = match arguments.verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // what the library of the lake complains of comes back as an error, and is told once
    let filter = std::env::var("LARDER_LOG")
        .unwrap_or_else(|_| format!("{level},delta_kernel=off,delta_kernel_default_engine=off"));
    let filter = EnvFilter::builder().with_default_directive(level.into()).parse_lossy(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).init();
    if arguments.cpu {
        larder::gpu::refuse();
    }
    let output = Output::new(arguments.json, arguments.quiet);
    let done = match arguments.command {
        Command::Demo(demo) => demo.run(&output),
        Command::Simulate(simulate) => simulate.run(&output),
        Command::Import(import) => import.run(&output),
        Command::Record(record) => record.run(&output),
        Command::Scene(scene) => scene.run(&output),
        Command::Catalogue(catalogue) => catalogue.run(&output),
        Command::Replay(replay) => replay.run(&output),
        Command::Run(run) => run.run(&output),
        Command::Analytics(analytics) => analytics.run(&output),
        Command::Vision(lookout) => lookout.run(&output),
        Command::Top(top) => top.run(&output),
        Command::Correct(correct) => correct.run(&output),
        Command::Rederive(rederive) => rederive.run(&output),
        Command::Revise(revise) => revise.run(&output),
        Command::Compare(compare) => compare.run(&output),
        Command::Explain(explain) => explain.run(&output),
        Command::History(history) => history.run(&output),
        Command::Lake(lake) => lake.run(&output),
        Command::Query(query) => return query.run(&output),
        Command::Eval(eval) => eval.run(&output),
        Command::Features(features) => features.run(&output),
        Command::Doctor(doctor) => doctor.run(&output),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "larder", &mut io::stdout());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with what caused it, each told once: many tell their cause themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        before if before.contains(&cause) => told,
        before => format!("{before}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let disk = || std::io::Error::other("no room");
        let told = |error: anyhow::Error| super::told(&error);
        assert_eq!(told(anyhow::Error::new(disk()).context("a file: no room")), "a file: no room");
        assert_eq!(told(anyhow::Error::new(disk()).context("a file")), "a file: no room");
        let nothing: anyhow::Result<()> = Err(disk()).context("a file").context("a lake");
        assert_eq!(told(nothing.unwrap_err()), "a lake: a file: no room");
    }
}
