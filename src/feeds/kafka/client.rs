//! How brokers are reached, and what the client says meanwhile.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError as ClientError, RDKafkaErrorCode as Code},
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

/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait before brokers are asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a complaint holds: of what still is, librdkafka complains every 30 seconds.
const HOLDS: Duration = Duration::from_secs(60);

impl Connection {
    /// What became of asking brokers for `what`.
    pub(super) fn failed(&self, client: &impl Complains, what: &str, error: ClientError) -> KafkaError {
        let (brokers, what, complaint) = (self.brokers.clone(), what.to_owned(), client.complaint());
        match complaint {
            Some(complaint) if complaint.stays => KafkaError::NotLetIn { brokers, what, complaint },
            _ => KafkaError::Broker { brokers, what, fault: Box::new(error), complaint },
        }
    }

    /// Asks brokers for `what` until there is an answer, they do not let this client in, or `patience` ends.
    pub(super) fn ask<T>(
        &self,
        client: &impl Complains,
        patience: Duration,
        what: &str,
        ask: impl Fn(Duration) -> Result<T, ClientError>,
    ) -> Result<T, KafkaError> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            let error = match ask(ANSWER) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            client.serve(PAUSE);
            let failed = self.failed(client, what, error);
            if matches!(failed, KafkaError::NotLetIn { .. }) || began.elapsed() >= patience {
                return Err(failed);
            }
            if !is_told {
                tracing::error!("{failed}; trying on");
                is_told = true;
            }
        }
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
    let hint = if without_tls { ": this larder was built without TLS; build it with its feature tls" } else { "" };
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

/// What a client said of a broker that it cannot talk to.
#[derive(Debug, Clone)]
pub struct Complaint {
    /// Which broker, and why.
    reason: String,
    /// The properties that may be wrong.
    suspects: Option<&'static str>,
    /// Whether the broker does not let the client in, and never will by itself.
    pub(super) stays: bool,
    at: Instant,
}

impl Complaint {
    fn new(code: Option<Code>, reason: &str) -> Self {
        let (suspects, stays) = match code {
            // a connection that broke in the midst of it is told so too
            Some(Code::Authentication) if reason.contains("failed: Local: ") => (None, false),
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
                (Some("sasl.mechanism, sasl.username and sasl.password"), true)
            }
            Some(Code::SSL) => (Some("security.protocol and ssl.ca.location"), true),
            // one that does not speak as the broker does is cut off, but so is whoever comes while the broker ends
            _ if !reason.contains("in state CONNECT") && is_young(reason) => (Some("security.protocol"), false),
            _ => (None, false),
        };
        Self { reason: reason.to_owned(), suspects, stays, at: Instant::now() }
    }
}

/// Whether a connection broke within two seconds, of which librdkafka tells at the end: `(after 7ms in state ...)`.
fn is_young(reason: &str) -> bool {
    let after = reason.rsplit_once("(after ").and_then(|(_, told)| told.split_once("ms"));
    after.and_then(|(after, _)| after.parse::<u64>().ok()).is_some_and(|after| after < 2000)
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        match self.suspects {
            Some(suspects) if self.stays => write!(f, "; look at the properties {suspects}"),
            Some(suspects) => write!(f, "; if that goes on, look at the property {suspects}"),
            None => Ok(()),
        }
    }
}

/// A client that says what hinders it.
pub(super) trait Complains {
    /// Lets it say for so long what it has to say, while it has nothing else to hand out.
    fn serve(&self, wait: Duration);

    /// What it complained of last.
    fn complaint(&self) -> Option<Complaint>;
}

impl Complains for BaseConsumer<Context> {
    fn serve(&self, wait: Duration) {
        let began = Instant::now();
        while began.elapsed() < wait {
            // a log line ends no poll, an error does, and is kept
            drop(self.poll(wait));
        }
    }

    fn complaint(&self) -> Option<Complaint> {
        self.context().complaint()
    }
}

/// Hands on what the client says: to the log, and ends of partitions to whoever watches. Keeps what it complains of.
#[derive(Default)]
pub(super) struct Context {
    pub(super) lag: Arc<Lag>,
    complaint: Mutex<Option<Complaint>>,
}

impl Context {
    pub(super) fn new(lag: Arc<Lag>) -> Self {
        Self { lag, complaint: Mutex::default() }
    }

    fn keep(&self, complaint: Complaint) {
        // a broker that is gone does not hide one that lets nobody in
        if complaint.stays || self.complaint().is_none_or(|held| !held.stays) {
            *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(complaint);
        }
    }

    pub(super) fn complaint(&self) -> Option<Complaint> {
        let held = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone().filter(|complaint| complaint.at.elapsed() < HOLDS)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // why a connection ended that brokers closed is told here alone
        if facility == "FAIL" {
            let reason = message.split_once("]: ").filter(|(thread, _)| thread.starts_with("[thrd:"));
            self.keep(Complaint::new(None, reason.map_or(message, |(_, reason)| reason)));
        }
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
        let code = error.rdkafka_error_code();
        // the end of a partition is met again with every record that comes
        if code == Some(Code::PartitionEOF) {
            return;
        }
        tracing::warn!("kafka: {error}: {reason}");
        // that all brokers are down comes behind why
        if code != Some(Code::AllBrokersDown) {
            self.keep(Complaint::new(code, reason));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_let_in_is_told_from_a_connection_that_broke() {
        let refused = Complaint::new(Some(Code::Authentication), "b: SASL authentication error: invalid credentials");
        assert!(
            refused.stays
                && refused
                    .to_string()
                    .ends_with("; look at the properties sasl.mechanism, sasl.username and sasl.password")
        );
        let broke =
            "b: SASL PLAIN mechanism handshake failed: Local: Broker transport failure: (after 3ms in state AUTH_REQ)";
        assert!(!Complaint::new(Some(Code::Authentication), broke).stays);
        assert!(Complaint::new(Some(Code::SSL), "b: certificate verify failed").stays);
        let suspects = |reason| Complaint::new(None, reason).suspects;
        assert_eq!(
            suspects("b: Disconnected: closed by peer (after 0ms in state APIVERSION_QUERY, 1 suppressed)"),
            Some("security.protocol")
        );
        assert_eq!(suspects("b: Send failed: Broken pipe (after 0ms in state UP)"), Some("security.protocol"));
        assert_eq!(suspects("b: Disconnected: closed by peer (after 31000ms in state UP)"), None);
        assert_eq!(suspects("b: Connect to ipv4#127.0.0.1:9092 failed: refused (after 0ms in state CONNECT)"), None);
    }

    #[test]
    fn a_broker_that_is_gone_does_not_hide_one_that_lets_nobody_in() {
        let context = Context::default();
        context.error(ClientError::Global(Code::SSL), "a: certificate verify failed");
        context.error(ClientError::Global(Code::BrokerTransportFailure), "b: refused");
        context.error(ClientError::Global(Code::AllBrokersDown), "2/2 brokers are down");
        assert!(context.complaint().is_some_and(|complaint| complaint.reason.starts_with("a: ")));
    }
}
