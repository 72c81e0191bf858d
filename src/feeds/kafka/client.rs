//! How brokers are reached, and what the client says meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::ConsumerContext,
    error::KafkaError as ClientError,
    types::RDKafkaErrorCode,
};

use super::KafkaError;

/// How brokers are reached.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// `host:port`, separated by commas: those asked first for all others.
    pub brokers: String,
    /// Properties of librdkafka, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

/// Properties on which Larder's promises rest, and what to use in their place.
const RESERVED: [(&str, Option<&str>); 9] = [
    ("bootstrap.servers", Some("brokers")),
    ("metadata.broker.list", Some("brokers")),
    ("group.id", Some("group")),
    ("auto.offset.reset", Some("from")),
    ("topic.auto.offset.reset", Some("from")),
    ("enable.auto.commit", None),
    ("enable.auto.offset.store", None),
    ("enable.partition.eof", None),
    ("enable.idempotence", None),
];

impl Connection {
    /// What became of asking brokers for `what`.
    pub(super) fn failed(&self, what: &str, error: ClientError) -> KafkaError {
        KafkaError::Broker { brokers: self.brokers.clone(), what: what.to_owned(), fault: Box::new(error) }
    }

    /// A client with `ours` for all that the user does not set otherwise.
    pub(super) fn client<C, T>(&self, ours: &[(&str, &str)], context: C) -> Result<T, KafkaError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        for name in self.properties.keys() {
            if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
                return Err(KafkaError::Reserved { name: name.clone(), instead: *instead });
            }
        }
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("bootstrap.servers", &self.brokers).set("client.id", "larder");
        for (name, value) in ours {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.create_with_context(context).map_err(refused)
    }
}

/// What librdkafka has against the properties.
fn refused(error: ClientError) -> KafkaError {
    let told = match error {
        ClientError::ClientConfig(_, told, ..) => told,
        other => other.to_string(),
    };
    let without_tls = told.contains("OpenSSL not available") || told.contains("openssl support");
    let hint = if without_tls { ": this larder was built without TLS; build it with --features tls" } else { "" };
    KafkaError::Property(told + hint)
}

/// What is known of how far partitions reach, as librdkafka tells it from time to time.
#[derive(Debug, Default)]
pub struct Lag(Mutex<BTreeMap<(String, i32), u64>>);

impl Lag {
    /// The offset behind the last record of a partition, where it is known.
    pub fn end(&self, topic: &str, partition: i32) -> Option<u64> {
        self.ends().get(&(topic.to_owned(), partition)).copied()
    }

    pub(super) fn tell(&self, topic: &str, partition: i32, end: u64) {
        self.ends().insert((topic.to_owned(), partition), end);
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, i32), u64>> {
        // a number is whole whenever it is there at all
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands on what the client says: to the log, and ends of partitions to whoever watches.
#[derive(Default)]
pub(super) struct Context {
    pub(super) lag: Arc<Lag>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            // what ends or hinders a run is told by whoever meets it, once; this repeats itself
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!("kafka: {facility}: {message}"),
            _ => tracing::debug!("kafka: {facility}: {message}"),
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        // the end of a partition is met again with every record that comes
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!("kafka: {error}: {reason}");
        }
    }

    fn stats(&self, statistics: Statistics) {
        for (name, topic) in statistics.topics {
            for (number, partition) in topic.partitions {
                if let Ok(end) = u64::try_from(partition.hi_offset) {
                    self.lag.tell(&name, number, end);
                }
            }
        }
    }
}

impl ConsumerContext for Context {}
