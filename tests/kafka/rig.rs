//! A real broker, and the command line beside it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::{proxy::Proxy, wait::wait};
use larder::lake::Lake;
use larder_records::Digest;
use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::DeliveryResult,
    metadata::MetadataTopic,
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/broker");

/// A broker that lives no longer than this process.
pub struct Broker {
    /// None where its data are temporary.
    folder: Option<PathBuf>,
    pub address: String,
    /// Where it listens with TLS too.
    tls: Option<Tls>,
    /// Stops the broker when its input ends.
    keeper: Child,
}

/// Where a broker listens with TLS.
pub struct Tls {
    pub ssl: String,
    /// For the user `larder` with the password `s3cret`.
    pub sasl_ssl: String,
    /// Whom to trust.
    pub ca: PathBuf,
}

impl Broker {
    /// The broker that tests share; each has topics of its own there.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(None))
    }

    /// A broker of one's own, with its data in `folder`.
    pub fn start(folder: Option<&Path>) -> Self {
        Self::started(folder, Command::new(SCRIPT))
    }

    /// The broker with TLS that tests share.
    pub fn secure() -> &'static Self {
        static SECURE: OnceLock<Broker> = OnceLock::new();
        SECURE.get_or_init(|| Self::start_secure(None))
    }

    /// A broker with TLS of one's own, with its data in `folder`.
    pub fn start_secure(folder: Option<&Path>) -> Self {
        let mut command = Command::new(SCRIPT);
        command.env("LARDER_BROKER_SECURE", "1");
        Self::started(folder, command)
    }

    pub fn tls(&self) -> &Tls {
        self.tls.as_ref().unwrap()
    }

    /// A broker of one's own that is reached only through the proxy.
    pub fn behind(proxy: &Proxy) -> Self {
        let mut command = Command::new(SCRIPT);
        command.env("LARDER_BROKER_ADVERTISED", proxy.address.port().to_string());
        let mut broker = Self::started(None, command);
        proxy.forward(broker.address.parse().unwrap());
        broker.address = proxy.address.to_string();
        broker
    }

    fn started(folder: Option<&Path>, mut script: Command) -> Self {
        let mut keeper = script.arg("run").args(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the broker did not start: its message is above");
        let mut told = line.trim().splitn(4, ' ').map(str::to_owned);
        let address = told.next().unwrap();
        let tls = told.next().map(|ssl| Tls { ssl, sasl_ssl: told.next().unwrap(), ca: told.next().unwrap().into() });
        Self { folder: folder.map(Path::to_owned), address, tls, keeper }
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.as_ref().unwrap().join("pid")).unwrap();
        kill(pid.trim().parse().unwrap(), "-9");
    }

    /// Starts it again after [`Broker::kill`].
    pub fn restart(&mut self) {
        self.stop();
        *self = Self::start(self.folder.clone().as_deref());
    }

    fn stop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().unwrap();
    }

    /// Makes a topic.
    pub fn topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let admin = self.admin();
        let made = block_on(admin.create_topics([&topic], &AdminOptions::new()));
        made.unwrap().into_iter().for_each(|topic| drop(topic.unwrap()));
        // made is not known yet: who asked at once could be told that there is none
        wait("topic that was made", || {
            let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
            let led = |topic: &MetadataTopic| topic.partitions().iter().filter(|of| of.leader() >= 0).count();
            metadata.topics().iter().any(|topic| topic.name() == name && led(topic) == partitions as usize)
        });
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap()
    }

    /// Deletes all records of a partition before `offset`, as retention does.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
        block_on(self.admin().delete_records(&list, &AdminOptions::new())).unwrap();
    }

    /// Deletes a topic, and waits until it is gone.
    pub fn delete_topic(&self, name: &str) {
        let admin = self.admin();
        block_on(admin.delete_topics(&[name], &AdminOptions::new())).unwrap().into_iter().for_each(|gone| {
            gone.unwrap();
        });
        let there = || {
            let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
            metadata.topics().iter().any(|topic| topic.name() == name)
        };
        wait("end of a topic", || !there());
    }

    /// The offset behind the last record of a partition.
    pub fn end(&self, topic: &str, partition: i32) -> u64 {
        let (_, end) = self.admin().inner().fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap();
        end.try_into().unwrap()
    }

    /// How a consumer group fares, as the broker calls it: `Stable`, or one of two states in the midst of a rebalance. Empty where
    /// the broker does not know yet.
    pub fn group_state(&self, group: &str) -> String {
        let groups = self.admin().inner().fetch_group_list(Some(group), Duration::from_secs(10));
        groups.ok().and_then(|all| Some(all.groups().first()?.state().to_owned())).unwrap_or_default()
    }

    /// How many records of a topic a consumer group has covered.
    pub fn group_covered(&self, group: &str, topic: &str, partitions: i32) -> u64 {
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer =
            config.set("bootstrap.servers", &self.address).set("group.id", group).create().unwrap();
        let mut places = rdkafka::TopicPartitionList::new();
        places.add_partition_range(topic, 0, partitions - 1);
        // none where the broker does not know the group yet
        let Ok(covered) = consumer.committed_offsets(places, Duration::from_secs(10)) else { return 0 };
        let offsets = covered.elements().into_iter().filter_map(|place| place.offset().to_raw());
        offsets.filter_map(|offset| u64::try_from(offset).ok()).sum()
    }

    /// Sends records to a partition.
    pub fn produce(&self, topic: &str, partition: i32, values: &[Option<&[u8]>]) {
        let records = values.iter().map(|value| {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).key(b"fridge-1");
            record.payload = *value;
            record
        });
        self.send(records);
    }

    /// Sends frames to so many partitions in turn.
    pub fn produce_in_turn(&self, topic: &str, partitions: i32, values: &[Vec<u8>]) {
        let record =
            |(value, partition): (_, i32)| BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value);
        self.send(values.iter().map(Vec::as_slice).zip((0..partitions).cycle()).map(record));
    }

    /// Sends records to partition 0, whose timestamps are a second apart from `millis` on.
    pub fn produce_at(&self, topic: &str, values: &[Vec<u8>], millis: i64) {
        let record = |(second, value): (i64, _)| {
            BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(value).timestamp(millis + 1000 * second)
        };
        self.send((0..).zip(values.iter().map(Vec::as_slice)).map(record));
    }

    fn send<'a>(&self, records: impl Iterator<Item = BaseRecord<'a, [u8], [u8]>>) {
        let producer: BaseProducer<Delivered> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create_with_context(Delivered).unwrap();
        for record in records {
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// The values of the first `many` records of a topic.
    pub fn values(&self, topic: &str, many: usize) -> Vec<Vec<u8>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", topic).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let (began, mut values) = (Instant::now(), Vec::new());
        while values.len() < many && began.elapsed() < Duration::from_secs(30) {
            if let Some(record) = consumer.poll(Duration::from_millis(100)) {
                values.push(record.unwrap().payload().unwrap_or_default().to_vec());
            }
        }
        values
    }

    /// Keys and values of all records of a topic that committed transactions sent, those of a partition in order.
    pub fn committed(&self, topic: &str, partitions: i32) -> Vec<(String, serde_json::Value)> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", topic).set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.set("isolation.level", "read_committed").create().unwrap();
        let mut places = rdkafka::TopicPartitionList::new();
        for partition in 0..partitions {
            places.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).unwrap();
        }
        consumer.assign(&places).unwrap();
        let (mut records, mut ended) = (Vec::new(), 0);
        while ended < partitions {
            match consumer
                .poll(Duration::from_secs(60))
                .unwrap_or_else(|| panic!("{ended} of {topic} ended, and no more"))
            {
                Ok(record) => records.push((
                    String::from_utf8(record.key().unwrap().to_vec()).unwrap(),
                    serde_json::from_slice(record.payload().unwrap()).unwrap(),
                )),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{error}"),
            }
        }
        records
    }

    /// Writes a configuration into `dir`: `lake`, this broker, and the rest as given.
    pub fn config(&self, dir: &Path, lake: &str, rest: &str) -> PathBuf {
        Self::config_at(&self.address, dir, lake, rest)
    }

    /// The same, with the broker at `address`.
    pub fn config_at(address: &str, dir: &Path, lake: &str, rest: &str) -> PathBuf {
        let path = dir.join(format!("{lake}.toml"));
        let (top, kafka) = rest.split_once("[kafka]").unwrap_or(("", rest));
        let text = format!("lake = \"{lake}\"\n{top}\n[kafka]\nbrokers = \"{address}\"\n{kafka}");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Takes no record for sent that the broker refused.
struct Delivered;

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            panic!("a record was not taken: {error}");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// Sends a signal.
pub fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// The command line, not started.
pub fn larder(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(arguments).env_remove("RUST_BACKTRACE");
    command
}

/// What the command prints, which must end well.
pub fn done(arguments: &[&str]) -> String {
    let output = larder(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the command complains of, which must fail.
pub fn refused(arguments: &[&str]) -> String {
    let output = larder(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?} did not fail");
    String::from_utf8(output.stderr).unwrap()
}

/// What the command reports.
pub fn json(arguments: &[&str]) -> serde_json::Value {
    let told = done(&[&["--json"], arguments].concat());
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told}"))
}

/// The digest of each view, and how many rows each input table holds.
pub type Contents = (Vec<(String, u64, Digest)>, Vec<(String, u64)>);

/// What a lake holds.
pub fn contents(lake: &Path) -> Contents {
    let lake = Lake::open(lake).unwrap();
    let inputs = ["readings", "frames", "sightings", "declared", "products", "appliances", "dead_letters"];
    let info = lake.info().unwrap().into_iter().filter(|table| inputs.contains(&table.table.as_str()));
    let rows = info.map(|table| (table.table, table.rows)).filter(|(_, rows)| *rows > 0).collect();
    (lake.digest().unwrap(), rows)
}

/// `path` as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
