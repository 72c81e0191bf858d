//! Records out: recordings played back, and dead letters.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use larder_records::wire::v1;
use larder_records::{DeadLetter, Names};
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError as ClientError, RDKafkaErrorCode as Code},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

use super::{
    Connection, KafkaError, MAX_RECORD_BYTES,
    client::{Complains, Complaint, Context},
};
use crate::feeds::{
    Clock, FeedError, Pace,
    recording::{Outgoing, Recording},
};

/// Keeps the first record that could not be delivered.
#[derive(Default)]
struct Deliveries {
    context: Context,
    failed: Mutex<Option<(String, ClientError)>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl Complains for BaseProducer<Deliveries> {
    fn serve(&self, wait: Duration) {
        self.poll(wait);
    }

    fn complaint(&self) -> Option<Complaint> {
        self.context().context.complaint()
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| (message.topic().to_owned(), error.clone()));
        }
    }
}

/// Sends records, each once and those of one partition in order, however often brokers are lost on the way.
pub struct Publisher {
    producer: BaseProducer<Deliveries>,
    connection: Connection,
    /// How many partitions topics have.
    partitions: HashMap<String, i32>,
}

/// How long brokers may take for what was sent.
const DELIVERY: Duration = Duration::from_secs(120);
/// How long brokers may take until they say what they have.
const PATIENCE: Duration = Duration::from_secs(30);

impl Publisher {
    /// A publisher. Brokers are not asked for yet.
    ///
    /// # Errors
    /// [`KafkaError`] where a property is refused.
    pub fn new(connection: &Connection) -> Result<Self, KafkaError> {
        Self::with(connection, &[])
    }

    /// A publisher of transactions, each of which consumers see whole or not at all. What another with this `id` left undone is
    /// undone; it can send nothing any more.
    ///
    /// # Errors
    /// [`KafkaError`] where a property is refused or no broker answers.
    pub fn transactional(connection: &Connection, id: &str) -> Result<Self, KafkaError> {
        // as long as brokers allow by default: an epoch may be large
        let ours = [("transactional.id", id), ("transaction.timeout.ms", "900000")];
        let publisher = Self::with(connection, &ours)?;
        publisher.transact("beginning transactions", |producer| producer.init_transactions(DELIVERY))?;
        Ok(publisher)
    }

    /// Sends all that `send` does in one transaction.
    ///
    /// # Errors
    /// [`KafkaError`], also where another publisher has this one's id since; what `send` fails with. Nothing was sent then, as far
    /// as consumers see.
    pub fn in_transaction<E: From<KafkaError>>(&self, send: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.transact("beginning a transaction", |producer| producer.begin_transaction())?;
        let sent = send().and_then(|()| {
            Ok(self.transact("committing a transaction", |producer| producer.commit_transaction(DELIVERY))?)
        });
        if sent.is_err() {
            // why it failed is told; an open transaction is undone by whoever comes next too
            let _ = self.producer.abort_transaction(Duration::from_secs(5));
        }
        sent
    }

    /// Asks for a step of a transaction until it is done or cannot be.
    fn transact(
        &self,
        what: &str,
        step: impl Fn(&BaseProducer<Deliveries>) -> Result<(), ClientError>,
    ) -> Result<(), KafkaError> {
        let began = Instant::now();
        loop {
            let error = match step(&self.producer) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let may_pass = matches!(&error, ClientError::Transaction(cause) if cause.is_retriable());
            if !may_pass || began.elapsed() > DELIVERY {
                self.delivered()?;
                return Err(self.connection.failed(&self.producer, what, error));
            }
        }
    }

    fn with(connection: &Connection, more: &[(&str, &str)]) -> Result<Self, KafkaError> {
        let largest = (MAX_RECORD_BYTES + (1 << 20)).to_string();
        let ours = [
            ("enable.idempotence", "true"),
            // the same partition for a key as Kafka's own clients
            ("partitioner", "murmur2_random"),
            ("message.max.bytes", largest.as_str()),
            ("queue.buffering.max.kbytes", "131072"),
            ("linger.ms", "5"),
        ];
        let producer = connection.client(&[&ours[..], more].concat(), Deliveries::default())?;
        Ok(Self { producer, connection: connection.clone(), partitions: HashMap::new() })
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// [`KafkaError`] where no broker answers, or there is no such topic.
    pub fn partitions(&mut self, topic: &str) -> Result<i32, KafkaError> {
        if let Some(known) = self.partitions.get(topic) {
            return Ok(*known);
        }
        let found =
            self.connection.ask(&self.producer, PATIENCE, &format!("looking for the topic {topic:?}"), |answer| {
                let metadata = self.producer.client().fetch_metadata(Some(topic), answer)?;
                Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
            })?;
        if found == 0 {
            return Err(KafkaError::NoTopic { topic: topic.to_owned(), brokers: self.connection.brokers.clone() });
        }
        let found = i32::try_from(found).unwrap_or(i32::MAX);
        self.partitions.insert(topic.to_owned(), found);
        Ok(found)
    }

    /// Sends a record to `topic`: to `partition`, or else to that of its key. Waits where too much is under way.
    ///
    /// # Errors
    /// [`KafkaError::Send`] where it cannot be taken, or an earlier one was not delivered.
    pub fn send(&self, topic: &str, partition: Option<i32>, record: &v1::KafkaRecord) -> Result<(), KafkaError> {
        let failed = |error| KafkaError::Send { topic: topic.to_owned(), fault: Box::new(error) };
        let mut out = BaseRecord::<[u8], [u8]>::to(topic);
        out.partition = partition;
        out.timestamp = record.timestamp_ms;
        out.key = record.key.as_deref();
        out.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            out.headers = Some(record.headers.iter().fold(headers, |headers, header| {
                headers.insert(Header { key: &header.name, value: header.value.as_deref() })
            }));
        }
        loop {
            match self.producer.send(out) {
                Ok(()) => break,
                Err((ClientError::MessageProduction(Code::QueueFull), back)) => {
                    out = back;
                    self.producer.poll(Duration::from_millis(100));
                    self.delivered()?;
                }
                Err((error, _)) => return Err(failed(error)),
            }
        }
        self.producer.poll(Duration::ZERO);
        self.delivered()
    }

    /// Waits until brokers have all that was sent.
    ///
    /// # Errors
    /// [`KafkaError::Send`] where they do not take it.
    pub fn flush(&self) -> Result<(), KafkaError> {
        let flushed = self.producer.flush(DELIVERY);
        self.delivered()?;
        flushed.map_err(|error| KafkaError::Send { topic: self.connection.brokers.clone(), fault: Box::new(error) })
    }

    fn delivered(&self) -> Result<(), KafkaError> {
        let mut failed = self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.take() {
            Some((topic, error)) => Err(KafkaError::Send { topic, fault: Box::new(error) }),
            None => Ok(()),
        }
    }
}

/// What was played back so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Played {
    /// Records sent.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Messages of the recordings that are none.
    pub refused: u64,
}

/// Recordings on their way to Kafka.
///
/// Captured records are sent as they were, to the partition that they had where there is one of that number. Messages of other
/// recordings are sent as an appliance would, keyed by it.
pub struct Playback {
    recordings: Vec<Recording>,
    heads: Vec<Option<Outgoing>>,
    names: Names,
    played: Played,
}

impl Playback {
    /// Plays `recordings` as one, by their times.
    ///
    /// # Errors
    /// [`FeedError`] where one cannot be read.
    pub fn new(recordings: Vec<Recording>) -> Result<Self, FeedError> {
        let heads = recordings.iter().map(|_| None).collect();
        let mut playback = Self { recordings, heads, names: Names::default(), played: Played::default() };
        for feed in 0..playback.recordings.len() {
            playback.advance(feed)?;
        }
        Ok(playback)
    }

    /// Reads on to the next record of a recording.
    fn advance(&mut self, feed: usize) -> Result<(), FeedError> {
        self.heads[feed] = loop {
            match self.recordings[feed].next_outgoing(&mut self.names)? {
                Some(Ok(next)) => break Some(next),
                Some(Err(refused)) => {
                    self.played.refused += 1;
                    tracing::warn!("{}: {refused}", self.recordings[feed].path().display());
                }
                None => break None,
            }
        };
        Ok(())
    }

    /// Sends everything, at this pace, to `topic`, or else each record to the topic that it is from.
    ///
    /// # Errors
    /// [`FeedError`] where a recording cannot be read, a record has no topic, or one is not taken.
    pub fn send(
        mut self,
        publisher: &mut Publisher,
        topic: Option<&str>,
        pace: Pace,
        mut tell: impl FnMut(Played),
    ) -> Result<Played, FeedError> {
        let mut clock = Clock::new(pace);
        let mut told = Instant::now();
        let heads = |heads: &[Option<Outgoing>]| {
            let times = heads.iter().enumerate().filter_map(|(feed, head)| Some((head.as_ref()?.time, feed)));
            times.min()
        };
        while let Some((time, feed)) = heads(&self.heads) {
            let Some(Outgoing { record, .. }) = self.heads[feed].take() else { break };
            clock.wait_for(time);
            let to = topic.unwrap_or(&record.topic);
            if to.is_empty() {
                return Err(KafkaError::NoTarget { path: self.recordings[feed].path().to_owned() }.into());
            }
            // what was captured has an offset in a topic, what was not has neither
            let was_captured = !record.topic.is_empty();
            let kept = match publisher.partitions(to) {
                // brokers may make it for the first record
                Err(KafkaError::NoTopic { .. }) if !was_captured => false,
                there => record.partition < there? && was_captured,
            };
            publisher.send(to, kept.then_some(record.partition), &record)?;
            self.played.records += 1;
            self.played.bytes += record.value.map_or(0, |value| value.len() as u64);
            self.advance(feed)?;
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                tell(self.played);
            }
        }
        publisher.flush()?;
        tell(self.played);
        Ok(self.played)
    }
}

/// A topic that all is sent to, each record to the partition of its key.
pub struct Outlet {
    publisher: Publisher,
    topic: String,
}

impl Outlet {
    /// The topic of that name.
    ///
    /// # Errors
    /// [`KafkaError`] where a property is refused, no broker answers, or there is no such topic.
    pub fn open(connection: &Connection, topic: String) -> Result<Self, KafkaError> {
        let mut publisher = Publisher::new(connection)?;
        publisher.partitions(&topic)?;
        Ok(Self { publisher, topic })
    }

    /// Sends a record.
    ///
    /// # Errors
    /// [`KafkaError::Send`] where it cannot be taken, or an earlier one was not delivered.
    pub fn send(&self, record: &v1::KafkaRecord) -> Result<(), KafkaError> {
        self.publisher.send(&self.topic, None, record)
    }

    /// Waits until brokers have all that was sent.
    ///
    /// # Errors
    /// [`KafkaError::Send`] where they do not take it.
    pub fn flush(&self) -> Result<(), KafkaError> {
        self.publisher.flush()
    }
}

/// A topic for dead letters, beside the table.
pub struct DeadLetterTopic(Outlet);

impl DeadLetterTopic {
    /// The topic of that name.
    ///
    /// # Errors
    /// As [`Outlet::open`].
    pub fn open(connection: &Connection, topic: String) -> Result<Self, KafkaError> {
        Outlet::open(connection, topic).map(Self)
    }

    /// Sends `letters`: keyed by topic and partition, as JSON. After a crash a letter may come again, with the same position.
    ///
    /// # Errors
    /// [`KafkaError::Send`] where the brokers do not take them.
    pub fn send(&self, letters: &[DeadLetter]) -> Result<(), KafkaError> {
        for DeadLetter { position, reason, detail } in letters {
            let (topic, partition) = position.source.rsplit_once('/').unwrap_or((&position.source, ""));
            let value = serde_json::json!({
                "topic": topic,
                "partition": partition.parse::<i32>().ok(),
                "offset": position.offset,
                "reason": reason.as_str(),
                "detail": detail,
            });
            let record = v1::KafkaRecord {
                key: Some(position.source.as_bytes().to_vec().into()),
                value: Some(value.to_string().into_bytes().into()),
                ..v1::KafkaRecord::default()
            };
            self.0.send(&record)?;
        }
        if letters.is_empty() { Ok(()) } else { self.0.flush() }
    }
}
