//! The configuration of `larder run` and `larder vision`: one TOML file, every key of which `deploy/larder.toml` explains.

mod keys;
mod text;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use larder_records::{Time, wire::MAX_IMAGE_BYTES};
use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    engine::{Cluster, History, Rhythm},
    feeds::kafka::{Carries, Connection, MAX_RECORD_BYTES, Options, Pictures, Place, Start, Topic},
};
use text::{Property, Text};
use url::Url;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not say what it should.
    #[error("{path}:{line}: {problem}")]
    Bad {
        /// Which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file lacks what this is to do.
    #[error("{path}: no {key}: {need}")]
    Missing {
        /// Which file.
        path: PathBuf,
        /// The key that is not there.
        key: &'static str,
        /// What it is needed for.
        need: &'static str,
    },
    /// Two keys of the file say what cannot be.
    #[error("{path}: {problem}")]
    Together {
        /// Which file.
        path: PathBuf,
        /// What cannot be.
        problem: String,
    },
}

/// The configuration of one process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    lake: Option<Text>,
    catalogue: Option<Text>,
    scenes: Option<Text>,
    vision: Option<Text>,
    #[serde(default = "one")]
    workers: usize,
    #[serde(default)]
    cluster: Processes,
    kafka: Kafka,
    #[serde(default)]
    epoch: Epoch,
    #[serde(default)]
    commit: Commit,
    #[serde(default)]
    history: Hot,
    changes: Option<Changes>,
    metrics: Option<Metrics>,
    /// The file itself: paths in it are relative to where it lies.
    #[serde(skip)]
    path: PathBuf,
    /// Properties with those read from files.
    #[serde(skip)]
    properties: BTreeMap<String, String>,
    /// Where pictures lie.
    #[serde(skip)]
    pictures: Option<Place>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Processes {
    #[serde(default)]
    processes: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kafka {
    brokers: Text,
    group: Option<Text>,
    #[serde(default = "earliest", deserialize_with = "text::parsed")]
    from: Start,
    #[serde(default = "memory")]
    memory_mib: u64,
    #[serde(default = "limit")]
    record_limit: usize,
    #[serde(default = "patience")]
    patience_seconds: u64,
    pictures: Option<Text>,
    #[serde(default = "largest_picture")]
    picture_limit: u64,
    dead_letter_topic: Option<Text>,
    sightings_topic: Option<Text>,
    #[serde(deserialize_with = "topics")]
    topics: BTreeMap<String, Reading>,
    #[serde(default)]
    properties: BTreeMap<String, Property>,
}

/// How a topic is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    #[serde(default)]
    carries: Carries,
    partitions: Option<Vec<i32>>,
}

/// Topics, each by a word for what it carries or by a table.
fn topics<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Reading>, D::Error> {
    struct Short(Reading);

    impl<'de> Deserialize<'de> for Short {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_any(Either).map(Self)
        }
    }

    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = Reading;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("what the topic carries, such as \"frames\", or a table")
        }

        fn visit_str<E: de::Error>(self, word: &str) -> Result<Reading, E> {
            Ok(Reading { carries: Carries::deserialize(word.into_deserializer())?, partitions: None })
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Reading, M::Error> {
            Reading::deserialize(MapAccessDeserializer::new(map))
        }
    }

    let topics = BTreeMap::<String, Short>::deserialize(from)?;
    Ok(topics.into_iter().map(|(name, Short(reading))| (name, reading)).collect())
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Epoch {
    events: Option<usize>,
    mib: Option<u64>,
    milliseconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    events: Option<usize>,
    milliseconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hot {
    days: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    topic: Text,
    actions_topic: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    address: SocketAddr,
}

/// A bucket of pictures, or what is wrong with its URL.
fn bucket(text: &str) -> Result<Place, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "s3" && url.host_str().is_some_and(|bucket| !bucket.is_empty()) => {
            Ok(Place::Bucket(url))
        }
        _ => Err(format!("kafka.pictures is {text:?}, which is neither a folder nor s3://BUCKET/PREFIX")),
    }
}

/// Whether a property names a file, such as `ssl.ca.location`.
fn is_path(name: &str, value: &str) -> bool {
    name.starts_with("ssl.") && name.ends_with(".location") && value != "probe"
}

fn one() -> usize {
    1
}

fn earliest() -> Start {
    Start::Earliest
}

fn memory() -> u64 {
    128
}

fn limit() -> usize {
    MAX_RECORD_BYTES
}

fn largest_picture() -> u64 {
    MAX_IMAGE_BYTES
}

fn patience() -> u64 {
    30
}

impl Config {
    /// Reads a configuration, and the secrets that it refers to.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, the line, and for a key that is not known the nearest that is.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let before = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
            ConfigError::Bad { path: path.to_owned(), line: before + 1, problem: keys::explained(error.message()) }
        })?;
        config.path = path.to_owned();
        config.pictures = match &config.kafka.pictures {
            Some(Text(url)) if url.contains("://") => Some(bucket(url).map_err(|problem| config.contrary(problem))?),
            folder => config.path(folder.as_ref()).map(Place::Folder),
        };
        if let Some(Place::Folder(path)) = config.pictures.clone() {
            // a folder that is not there would make a dead letter of every picture
            fs::read_dir(&path).map(drop).map_err(|source| ConfigError::Io { path, source })?;
        }
        for (name, Property(value)) in &config.kafka.properties {
            let (name, value) = match name.strip_suffix("_file") {
                None if is_path(name, value) => (name.as_str(), config.beside(value).to_string_lossy().into_owned()),
                None => (name.as_str(), value.clone()),
                Some(name) => {
                    let path = config.beside(value);
                    let secret = fs::read_to_string(&path).map_err(|source| ConfigError::Io { path, source })?;
                    (name, secret.trim_end_matches(['\r', '\n']).to_owned())
                }
            };
            config.properties.insert(name.to_owned(), value);
        }
        Ok(config)
    }

    /// The lake's folder.
    ///
    /// # Errors
    /// [`ConfigError::Missing`].
    pub fn lake(&self) -> Result<PathBuf, ConfigError> {
        let need = "the folder of the tables";
        self.path(self.lake.as_ref()).ok_or_else(|| self.missing("lake", need))
    }

    fn missing(&self, key: &'static str, need: &'static str) -> ConfigError {
        ConfigError::Missing { path: self.path.clone(), key, need }
    }

    fn contrary(&self, problem: String) -> ConfigError {
        ConfigError::Together { path: self.path.clone(), problem }
    }

    /// The product database.
    pub fn catalogue(&self) -> Option<PathBuf> {
        self.path(self.catalogue.as_ref())
    }

    /// The folder of scene references.
    pub fn scenes(&self) -> Option<PathBuf> {
        self.path(self.scenes.as_ref())
    }

    /// The parameters of vision.
    pub fn vision(&self) -> Option<PathBuf> {
        self.path(self.vision.as_ref())
    }

    fn path(&self, text: Option<&Text>) -> Option<PathBuf> {
        text.map(|text| self.beside(&text.0))
    }

    fn beside(&self, file: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    /// Whether pictures are looked at elsewhere: some topic carries sightings.
    pub fn is_blind(&self) -> bool {
        self.kafka.topics.values().any(|topic| topic.carries == Carries::Sightings)
    }

    /// What `larder vision` reads as a member of its group, and the topic that sightings go to.
    ///
    /// # Errors
    /// [`ConfigError`] where there is no group or no such topic, or it would read what it writes.
    pub fn lookout(&self) -> Result<(Options, &str), ConfigError> {
        let topic = self.kafka.sightings_topic.as_ref().map(|topic| topic.0.as_str());
        let topic = topic.ok_or_else(|| self.missing("kafka.sightings_topic", "where to send what is seen"))?;
        if self.kafka.group.is_none() {
            return Err(self.missing("kafka.group", "the consumer group that shares the partitions"));
        }
        let together = |problem: String| Err(self.contrary(problem));
        if self.kafka.topics.contains_key(topic) {
            return together(format!("it would read {topic:?}, to which it sends what it sees"));
        }
        if let Some((name, _)) = self.kafka.topics.iter().find(|(_, topic)| topic.partitions.is_some()) {
            return together(format!("partitions of {name:?} are given, but a group shares them out by itself"));
        }
        Ok((self.source(None), topic))
    }

    /// Who runs the dataflow.
    ///
    /// # Errors
    /// [`ConfigError`] where a process has no address that others could reach.
    pub fn cluster(&self) -> Result<Cluster, ConfigError> {
        let processes: Vec<String> = self.cluster.processes.iter().map(|address| address.0.clone()).collect();
        let is_address = |address: &str| {
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        match processes.iter().find(|address| !is_address(address)) {
            Some(bad) => Err(self.contrary(format!("cluster.processes has {bad:?}, which is no host:port"))),
            None => Ok(Cluster { threads: self.workers.max(1), processes }),
        }
    }

    /// How brokers are reached.
    pub fn connection(&self) -> Connection {
        Connection { brokers: self.kafka.brokers.0.clone(), properties: self.properties.clone() }
    }

    /// What is read from Kafka, and how; `from` outranks what the lake knows.
    pub fn source(&self, from: Option<Start>) -> Options {
        let topic = |(name, Reading { carries, partitions }): (&String, &Reading)| Topic {
            name: name.clone(),
            carries: *carries,
            partitions: partitions.clone(),
        };
        Options {
            connection: self.connection(),
            topics: self.kafka.topics.iter().map(topic).collect(),
            group: self.kafka.group.as_ref().map(|group| group.0.clone()),
            start: from.unwrap_or(self.kafka.from),
            anew: from.is_some(),
            memory: self.kafka.memory_mib.max(1) << 20,
            record_limit: self.kafka.record_limit.min(MAX_RECORD_BYTES),
            pictures: self
                .pictures
                .clone()
                .map(|place| Pictures { place, limit: self.kafka.picture_limit.min(MAX_IMAGE_BYTES) }),
            patience: Duration::from_secs(self.kafka.patience_seconds),
        }
    }

    /// The topic for dead letters.
    pub fn dead_letter_topic(&self) -> Option<&str> {
        self.kafka.dead_letter_topic.as_ref().map(|topic| topic.0.as_str())
    }

    /// The topics for changes of the views, and for what is to be done with foods.
    pub fn changes(&self) -> Option<(&str, Option<&str>)> {
        let Changes { topic, actions_topic } = self.changes.as_ref()?;
        Some((&topic.0, actions_topic.as_ref().map(|topic| topic.0.as_str())))
    }

    /// When epochs close and commits are made.
    pub fn rhythm(&self) -> Rhythm {
        let default = Rhythm::default();
        Rhythm {
            epoch_events: self.epoch.events.unwrap_or(default.epoch_events).max(1),
            epoch_bytes: self.epoch.mib.map_or(default.epoch_bytes, |mib| mib.max(1) << 20),
            epoch_wait: self.epoch.milliseconds.map_or(default.epoch_wait, Duration::from_millis),
            commit_events: self.commit.events.unwrap_or(default.commit_events).max(1),
            commit_wait: self.commit.milliseconds.map_or(default.commit_wait, Duration::from_millis),
        }
    }

    /// How much of history is held in memory.
    pub fn history(&self) -> History {
        self.history.days.map_or(History::Whole, |days| History::Recent(i64::from(days) * Time::DAY))
    }

    /// Where metrics and health are served.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("larder.toml");
        fs::write(&path, text).unwrap();
        fs::write(dir.path().join("password"), "s3cret\n").unwrap();
        Config::read(&path).map_err(|error| error.to_string().replace(&*path.to_string_lossy(), "larder.toml"))
    }

    const LEAST: &str = "lake = \"lake\"\n[kafka]\nbrokers = \"a:9092\"\n[kafka.topics]\nkitchens = \"frames\"\n";

    #[test]
    fn the_least_configuration_reads_one_topic_from_where_the_lake_stands() {
        let config = read(LEAST).unwrap();
        assert!(config.lake().unwrap().ends_with("lake"));
        assert_eq!(
            (config.rhythm(), config.cluster().unwrap(), config.metrics()),
            (Rhythm::default(), Cluster::from(1), None)
        );
        let options = config.source(None);
        assert_eq!((options.start, options.anew), (Start::Earliest, false));
        let topic = Topic { name: "kitchens".to_owned(), carries: Carries::Frames, partitions: None };
        assert_eq!(options.topics, [topic]);
        let from = config.source(Some(Start::Offset(4)));
        assert_eq!((from.start, from.anew), (Start::Offset(4), true));
    }

    #[test]
    fn the_annotated_example_is_a_configuration_and_names_every_key() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/larder.toml");
        let config = Config::read(&path).unwrap();
        assert_eq!(config.source(None).topics.len(), 4);
        let text = fs::read_to_string(path).unwrap();
        for key in keys::ALL {
            let named = text.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ']);
                line.starts_with(&format!("{key} =")) || line.starts_with(&format!("[{key}"))
            });
            assert!(named, "deploy/larder.toml says nothing of {key}");
        }
    }

    #[test]
    fn a_wrong_key_is_refused_with_its_line_and_the_nearest_right_one() {
        let refused = read(&LEAST.replace("brokers", "broker")).unwrap_err();
        assert!(refused.starts_with("larder.toml:3: unknown key \"broker\"; the nearest is \"brokers\""), "{refused}");
        let refused = read(&format!("{LEAST}[comit]\n")).unwrap_err();
        assert!(refused.starts_with("larder.toml:6: unknown key \"comit\"; the nearest is \"commit\""), "{refused}");
        let refused = read(&LEAST.replace("\"frames\"", "\"frame\"")).unwrap_err();
        assert!(refused.starts_with("larder.toml:5: unknown value \"frame\"; the nearest is \"frames\""), "{refused}");
        let refused = read(&LEAST.replace("\"frames\"", "{ partition = [0] }")).unwrap_err();
        assert!(refused.contains("unknown key \"partition\"; the nearest is \"partitions\""), "{refused}");
        assert!(read("lake = 3").unwrap_err().starts_with("larder.toml:1: "));
        assert!(read("lake = \"x\"").unwrap_err().contains("kafka"));
    }

    #[test]
    fn pictures_lie_in_a_folder_that_is_there_or_in_a_bucket() {
        let pictures = |place: &str| {
            let config = read(&LEAST.replace("[kafka]", &format!("[kafka]\npictures = \"{place}\"")))?;
            Ok::<_, String>(config.source(None).pictures.unwrap().place)
        };
        assert!(matches!(pictures(".").unwrap(), Place::Folder(_)));
        let url = "s3://kitchens/cameras/top";
        assert_eq!(pictures(url).unwrap(), Place::Bucket(url.parse().unwrap()));
        assert!(pictures("none").unwrap_err().contains("none: "));
        for url in ["s3:///cameras", "ftp://kitchens/cameras", "://"] {
            assert!(pictures(url).unwrap_err().ends_with("neither a folder nor s3://BUCKET/PREFIX"), "{url}");
        }
    }

    #[test]
    fn processes_of_a_cluster_are_told_by_their_addresses() {
        let cluster = |processes: &str| {
            read(&LEAST.replace("[kafka]", &format!("workers = 2\n[cluster]\nprocesses = [{processes}]\n[kafka]")))
        };
        let config = cluster("\"a:2101\", \"b:2102\"").unwrap().cluster().unwrap();
        assert_eq!((config.threads, config.is_shared(), config.processes.len()), (2, true, 2));
        let refused = cluster("\"a:2101\", \"2102\"").unwrap().cluster().unwrap_err().to_string();
        assert!(refused.ends_with("cluster.processes has \"2102\", which is no host:port"), "{refused}");
    }

    #[test]
    fn secrets_come_from_files_and_from_the_environment() {
        let properties = "[kafka.properties]\n\"sasl.password_file\" = \"password\"\n\"sasl.username\" = \"${CARGO_PKG_NAME}-1\"\n\
                          \"ssl.ca.location\" = \"ca.pem\"\n\"ssl.crl.location\" = \"/etc/crl.pem\"\n\"socket.keepalive.enable\" = true\n\"session.timeout.ms\" = 6000\n\"x\" = \"$${HOME}\"\n";
        let connection = read(&format!("{LEAST}{properties}")).unwrap().connection();
        let got = |name: &str| connection.properties.get(name).map(String::as_str);
        assert_eq!(got("sasl.password"), Some("s3cret"));
        assert_eq!(got("sasl.username"), Some("larder-1"));
        assert_eq!(got("socket.keepalive.enable"), Some("true"));
        assert_eq!(got("session.timeout.ms"), Some("6000"));
        assert_eq!(got("x"), Some("${HOME}"));
        // a file lies beside the configuration, like any that it names
        assert!(got("ssl.ca.location").is_some_and(|path| path.starts_with('/') && path.ends_with("/ca.pem")));
        assert_eq!(got("ssl.crl.location"), Some("/etc/crl.pem"));
        let refused = read(&LEAST.replace("a:9092", "${LARDER_NO_SUCH}")).unwrap_err();
        assert_eq!(refused, "larder.toml:3: the environment has no LARDER_NO_SUCH");
    }
}
