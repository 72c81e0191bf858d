//! How workers keep what they hold.

use std::sync::Arc;

use differential_dataflow::trace::ExertionLogic;
use timely::WorkerConfig;

/// How many rows of one merge a worker copies before it looks for other work: some tens of microseconds.
const ROWS_AT_A_TIME: usize = 1_000;

/// Settings of a worker that runs [`views`](crate::views).
///
/// What it holds lies in sorted runs that are merged as rows come, so that after many rows came at once and few after them, runs half
/// merged would be held twice for long. Here a worker without other work goes on with merges that were begun. It begins none: that
/// would copy all it holds for every row that comes.
pub fn worker_config() -> WorkerConfig {
    let merge: ExertionLogic = Arc::new(|runs| runs.iter().any(|(_, runs, _)| *runs > 1).then_some(ROWS_AT_A_TIME));
    let mut config = WorkerConfig::default();
    config.set("differential/default_exert_logic".to_owned(), merge);
    config
}
