//! What a live run is measured by.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::memory::resident_memory;
use crate::engine::Counts;

/// A partition, as labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    topic: String,
    partition: i32,
}

/// An arrangement of the dataflow, as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Arrangement {
    arrangement: String,
}

/// The metrics of one live run.
pub struct Metrics {
    registry: Registry,
    /// What was told of last: counters rise by the difference.
    told: Mutex<Counts>,
    events: Counter,
    duplicates: Counter,
    readings: Counter,
    frames: Counter,
    sightings: Counter,
    declared: Counter,
    dead_letters: Counter,
    thawed: Counter,
    view_changes: Counter,
    commits: Counter,
    epoch: Histogram,
    commit: Histogram,
    lag: Family<Place, Gauge>,
    arranged: Family<Arrangement, Gauge>,
    memory: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("larder");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let events = counter("events", "Records taken in, of every kind, dead letters and duplicates included");
        let duplicates = counter("duplicates", "Records that were taken in before");
        let readings = counter("readings", "New readings");
        let frames = counter("frames", "New pictures, each seen by vision once");
        let sightings = counter("sightings", "Sightings in them");
        let declared = counter("declared", "New declared movements");
        let dead_letters = counter("dead_letters", "New records that could not be taken in");
        let thawed = counter(
            "thawed",
            "Times that an appliance's history was read again from the lake, as something changed it",
        );
        let view_changes = counter("view_changes", "Changes of the views");
        let commits = counter("commits", "Commits of the whole lake");
        let mut histogram = |name: &str, help: &str| {
            // from a millisecond to half a minute
            let histogram = Histogram::new(exponential_buckets(0.001, 2.0, 16));
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
            histogram
        };
        let epoch = histogram("epoch", "From an epoch's first record to its handing on, vision included");
        let commit = histogram("commit", "A commit of the whole lake");
        let memory = Gauge::default();
        registry.register_with_unit("memory", "Resident memory of the process", Unit::Bytes, memory.clone());
        let lag = Family::default();
        registry.register("kafka_lag", "Records in Kafka that were not taken in yet", lag.clone());
        let arranged = Family::default();
        registry.register("arranged", "Updates that an arrangement of the dataflow holds", arranged.clone());
        Self {
            registry,
            told: Mutex::default(),
            events,
            duplicates,
            readings,
            frames,
            sightings,
            declared,
            dead_letters,
            thawed,
            view_changes,
            commits,
            epoch,
            commit,
            lag,
            arranged,
            memory,
        }
    }
}

impl Metrics {
    /// Learns what was taken in so far.
    pub fn counts(&self, counts: Counts) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *told, counts);
        let rise = |counter: &Counter, now: u64, before: u64| {
            counter.inc_by(now.saturating_sub(before));
        };
        rise(&self.events, counts.events, before.events);
        rise(&self.duplicates, counts.duplicates, before.duplicates);
        rise(&self.readings, counts.readings, before.readings);
        rise(&self.frames, counts.frames, before.frames);
        rise(&self.sightings, counts.sightings, before.sightings);
        rise(&self.declared, counts.declared, before.declared);
        rise(&self.dead_letters, counts.dead_letters, before.dead_letters);
        rise(&self.thawed, counts.thawed, before.thawed);
        rise(&self.view_changes, counts.view_changes, before.view_changes);
        rise(&self.commits, counts.commits, before.commits);
    }

    /// Learns how long an epoch was open.
    pub fn epoch(&self, after: Duration) {
        self.epoch.observe(after.as_secs_f64());
    }

    /// Learns how long a commit took.
    pub fn commit(&self, took: Duration) {
        self.commit.observe(took.as_secs_f64());
    }

    /// Learns how many records of a partition wait.
    pub fn lag(&self, topic: &str, partition: i32, records: u64) {
        let place = Place { topic: topic.to_owned(), partition };
        self.lag.get_or_create(&place).set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Learns how many updates each arrangement holds.
    pub fn arranged(&self, updates: &BTreeMap<String, u64>) {
        for (name, updates) in updates {
            let arrangement = Arrangement { arrangement: name.clone() };
            self.arranged.get_or_create(&arrangement).set(i64::try_from(*updates).unwrap_or(i64::MAX));
        }
    }

    /// All of them, as Prometheus reads them.
    ///
    /// # Errors
    /// Where they cannot be written as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        if let Some(bytes) = resident_memory(std::process::id()) {
            self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_of_the_dashboard_asks_for_metrics_that_exist() {
        let metrics = Metrics::default();
        metrics.lag("kitchens", 2, 40);
        metrics.arranged(&BTreeMap::from([("Moved".to_owned(), 3)]));
        let text = metrics.text().unwrap();
        let exists = |name: &str| {
            text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/grafana.json");
        let dashboard: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let mut asked = 0;
        for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let names: Vec<_> = words.filter(|word| word.starts_with("larder_")).collect();
            assert!(!names.is_empty(), "{query} asks for nothing of Larder's");
            for name in names {
                assert!(exists(name), "{query} asks for {name}, which is not in {text}");
                asked += 1;
            }
        }
        assert!(asked > 10 && !exists("larder_event_total"));
    }

    #[test]
    fn counters_stand_where_the_counts_do_and_lag_has_its_place() {
        let metrics = Metrics::default();
        metrics.counts(Counts { events: 5, dead_letters: 1, ..Counts::default() });
        metrics.counts(Counts { events: 12, dead_letters: 1, ..Counts::default() });
        metrics.lag("kitchens", 2, 40);
        metrics.commit(Duration::from_millis(3));
        let text = metrics.text().unwrap();
        for line in [
            "larder_events_total 12",
            "larder_dead_letters_total 1",
            "larder_kafka_lag{topic=\"kitchens\",partition=\"2\"} 40",
            "larder_commit_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
