//! `larder top`: what a live run does, in the terminal.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use larder::config::Config;

use super::{
    output::{Output, table},
    stop,
};

/// Watch larder run or larder vision while it runs
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Where it serves its metrics
    #[arg(long, default_value = "127.0.0.1:9464")]
    address: SocketAddr,
    /// Take the address from a configuration
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    config: Option<PathBuf>,
    /// Tell it once, and end
    #[arg(long)]
    once: bool,
}

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long the process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Goes to the top left and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

impl Top {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let address = match &self.config {
            Some(path) => {
                let address = Config::read(path)?.metrics();
                address.with_context(|| format!("{}: no metrics.address: it serves none", path.display()))?
            }
            None => self.address,
        };
        let runtime = stop::runtime().context("starting a runtime")?;
        let stop = stop::on_signals(&runtime).context("listening for signals")?;
        let mut before = None;
        while !stop.load(Ordering::Relaxed) {
            let text = metrics(address).with_context(|| format!("asking {address} for metrics"))?;
            let (now, samples) = (Instant::now(), Samples::read(&text));
            let page = samples.page(before.as_ref().map(|(at, before)| (before, now.duration_since(*at))));
            let clear = if io::stdout().is_terminal() && !self.once { CLEAR } else { "" };
            output.say(&format!("{clear}larder at {address}\n{page}"))?;
            if self.once {
                break;
            }
            before = Some((now, samples));
            thread::sleep(EVERY);
        }
        Ok(())
    }
}

/// The body of `/metrics`.
fn metrics(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: larder\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        Ok(body.to_owned())
    } else {
        Err(io::Error::other(head.lines().next().unwrap_or("no answer").to_owned()))
    }
}

/// The samples of one look: names with labels, and values.
#[derive(Debug, Default)]
struct Samples(BTreeMap<String, f64>);

/// Counters, and how they are called here.
const COUNTERS: [(&str, &str); 9] = [
    ("records", "larder_events_total"),
    ("known before", "larder_duplicates_total"),
    ("readings", "larder_readings_total"),
    ("pictures", "larder_frames_total"),
    ("sightings", "larder_sightings_total"),
    ("declared", "larder_declared_total"),
    ("dead letters", "larder_dead_letters_total"),
    ("changes of views", "larder_view_changes_total"),
    ("commits", "larder_commits_total"),
];

impl Samples {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.filter_map(|line| line.rsplit_once(' '));
        Self(samples.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of it in words; rates are those since `before`.
    fn page(&self, before: Option<(&Self, Duration)>) -> String {
        let rows = COUNTERS.map(|(what, name)| {
            let rate = before.map_or_else(String::new, |(before, time)| {
                format!("{:.0}", (self.get(name) - before.get(name)) / time.as_secs_f64())
            });
            vec![what.to_owned(), format!("{:.0}", self.get(name)), rate]
        });
        let mut page = table(&["", "in all", "a second"], &rows);
        let rows = [("an epoch", "larder_epoch_seconds"), ("a commit", "larder_commit_seconds")].map(|(what, name)| {
            let at = |share| self.quantile(name, before.map(|(before, _)| before), share);
            vec![what.to_owned(), at(0.5), at(0.99)]
        });
        page += &table(&["milliseconds, at most", "half", "99 of 100"], &rows);
        page += &format!("  memory {:.0} MiB\n", self.get("larder_memory_bytes") / 1_048_576.0);
        let lag = self
            .0
            .range("larder_kafka_lag{".to_owned()..)
            .take_while(|(name, _)| name.starts_with("larder_kafka_lag{"));
        let rows: Vec<_> = lag
            .map(|(name, waiting)| {
                let label =
                    |label: &str| name.split_once(&format!("{label}=\"")).and_then(|(_, rest)| rest.split_once('"'));
                let label = |which| label(which).map_or_else(String::new, |(text, _)| text.to_owned());
                vec![label("topic"), label("partition"), format!("{waiting:.0}")]
            })
            .collect();
        page + &table(&["topic", "partition", "waiting"], &rows)
    }

    /// The upper bound of the bucket in which that share of a histogram's observations since `before` ends, in milliseconds.
    fn quantile(&self, name: &str, before: Option<&Self>, share: f64) -> String {
        let since = |sample: &str| self.get(sample) - before.map_or(0.0, |before| before.get(sample));
        let prefix = format!("{name}_bucket{{le=\"");
        let all = since(&format!("{name}_count"));
        let mut bounds: Vec<(f64, f64)> = self
            .0
            .range(prefix.clone()..)
            .take_while(|(sample, _)| sample.starts_with(&prefix))
            .filter_map(|(sample, _)| {
                let bound = sample[prefix.len()..].split('"').next()?.parse().ok()?;
                Some((bound, since(sample)))
            })
            .collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let found = bounds.iter().find(|(_, below)| all > 0.0 && *below >= share * all);
        found.map_or_else(|| "-".to_owned(), |(bound, _)| format!("{:.0}", bound * 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use larder::{engine::Counts, service::Metrics};

    use super::*;

    #[test]
    fn a_page_tells_rates_quantiles_and_what_waits() {
        let metrics = Metrics::default();
        let look = |events| {
            metrics.counts(Counts { events, ..Counts::default() });
            Samples::read(&metrics.text().unwrap())
        };
        metrics.epoch(Duration::from_secs(20));
        let before = look(100);
        metrics.lag("kitchens", 2, 40);
        for milliseconds in [3, 3, 100] {
            metrics.epoch(Duration::from_millis(milliseconds));
        }
        let page = look(700).page(Some((&before, Duration::from_secs(2))));
        let cells: Vec<Vec<&str>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
        for line in [vec!["records", "700", "300"], vec!["an", "epoch", "4", "128"], vec!["kitchens", "2", "40"]] {
            assert!(cells.contains(&line), "{line:?} is not in {page}");
        }
    }
}
