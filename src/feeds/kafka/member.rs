//! One member of a consumer group.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use larder_records::{DeadLetter, Frame, Names, Position, wire::v1};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError as ClientError, RDKafkaErrorCode as Code},
};

use super::{
    Carries, KafkaError, Lag, Options, Start,
    capture::record,
    client::Context,
    pictures::{Album, Named},
    source::{Taken, is_news, partitions_of, stays, take},
};
use crate::feeds::{Event, FeedError};

/// What a member was handed.
pub enum Received {
    /// A picture.
    Picture(Position, Frame),
    /// A record that is none, and what it is where it does not say so itself.
    Other(Carries, v1::KafkaRecord),
    /// A record that cannot be taken in.
    Refused(DeadLetter),
}

/// A member of a consumer group: partitions come and go as others join and leave.
///
/// What it was handed is covered once it says so ([`Member::covered`]); what it has not covered when it loses a partition, or
/// dies, is handed to another. So everything comes to some member at least once.
pub struct Member {
    consumer: BaseConsumer<Context>,
    options: Options,
    album: Option<Album>,
    /// What was read and waits until the picture before it or its own is there.
    held: VecDeque<Held>,
    /// What each topic carries, and the names of its partitions.
    topics: HashMap<String, (Carries, BTreeMap<i32, Arc<str>>)>,
    /// The first offsets that were not handed on, of partitions that moved since they were covered.
    moved: BTreeMap<Arc<str>, (String, i32, i64)>,
    /// The same, of all that were met.
    next: BTreeMap<(String, i32), u64>,
    /// When the group last did not take what it was told.
    refused: Option<Instant>,
    lag: Arc<Lag>,
    bytes: u64,
    complaint: Option<ClientError>,
}

/// A record that was read, and what it is, or what it waits for.
struct Held {
    topic: String,
    number: i32,
    source: Arc<str>,
    offset: i64,
    sent_at: Option<i64>,
    read: Result<Received, Box<Named>>,
}

/// How long to wait for a picture before it is looked whether it is there.
const NAP: Duration = Duration::from_millis(5);
/// How long the group is left alone that could not be told.
const AGAIN: Duration = Duration::from_secs(1);

impl Member {
    /// Joins `options.group` to read its topics, each from where the group stands, or else from `options.start`.
    ///
    /// # Errors
    /// [`KafkaError`] where a broker or topic is not there, a property is refused, or a group cannot start there.
    pub fn join(options: Options) -> Result<Self, KafkaError> {
        let reset = match options.start {
            Start::Earliest => "earliest",
            Start::Latest => "latest",
            from @ (Start::Time(_) | Start::Offset(_)) => return Err(KafkaError::GroupStart { from }),
        };
        let lag = Arc::new(Lag::default());
        let queued = (options.memory / 1024).max(64).to_string();
        let ours = [
            ("group.id", options.group.as_deref().unwrap_or("larder")),
            ("auto.offset.reset", reset),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // who joins or leaves interrupts nobody else
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("queued.max.messages.kbytes", queued.as_str()),
            ("queued.min.messages", "1000000"),
            ("fetch.queue.backoff.ms", "20"),
            ("statistics.interval.ms", "1000"),
        ];
        let consumer: BaseConsumer<Context> = options.connection.client(&ours, Context::new(lag.clone()))?;
        let mut topics = HashMap::new();
        for topic in &options.topics {
            partitions_of(&consumer, topic, &options)?;
            topics.insert(topic.name.clone(), (topic.carries, BTreeMap::new()));
        }
        let album = options.album()?;
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| options.connection.failed(&consumer, "joining the group", error))?;
        let (held, moved, next) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { consumer, options, album, held, topics, moved, next, refused: None, lag, bytes: 0, complaint: None })
    }

    /// The next record of any partition that is this member's now, and its timestamp in milliseconds since 1970; none where none
    /// comes within `wait`.
    ///
    /// # Errors
    /// [`FeedError`] where nothing more can be read. What may pass, such as a broker that is gone for a while, is no error.
    pub fn poll(&mut self, names: &mut Names, wait: Duration) -> Result<Option<(Received, Option<i64>)>, FeedError> {
        let ahead = self.album.as_ref().map_or(1, |album| album.ahead());
        if self.held.len() < ahead {
            self.read(names, if self.held.is_empty() { wait } else { Duration::ZERO })?;
        }
        let is_there = |held: &Held| held.read.as_ref().map_or_else(|named| named.is_there(), |_| true);
        match self.held.front() {
            Some(front) if !is_there(front) => thread::sleep(wait.min(NAP)),
            _ => {}
        }
        let Some(Held { topic, number, source, offset, sent_at, read }) = self.held.pop_front_if(|held| is_there(held))
        else {
            return Ok(None);
        };
        let received = match read {
            Ok(received) => received,
            Err(named) => {
                let (position, frame, bytes) = named.end(names)?;
                self.bytes += bytes;
                frame.map_or_else(Received::Refused, |frame| Received::Picture(position, frame))
            }
        };
        let behind = offset + 1;
        self.next.insert((topic.clone(), number), u64::try_from(behind).unwrap_or_default());
        self.moved.insert(source, (topic, number, behind));
        Ok(Some((received, sent_at)))
    }

    /// Reads a record, where one comes within `wait`.
    fn read(&mut self, names: &mut Names, wait: Duration) -> Result<(), FeedError> {
        let message = match self.consumer.poll(wait) {
            None => return Ok(()),
            Some(Ok(message)) => message,
            Some(Err(error)) => return Ok(self.complain(error)?),
        };
        let Some((carries, partitions)) = self.topics.get_mut(message.topic()) else { return Ok(()) };
        let (carries, number) = (*carries, message.partition());
        let source = partitions.entry(number).or_insert_with(|| format!("{}/{number}", message.topic()).into()).clone();
        let limit = self.options.record_limit;
        let read = match take(&message, source.clone(), carries, limit, self.album.as_ref(), names)? {
            Taken::Named(named) => Err(named),
            Taken::Entry((position, Ok(Event::Frame(frame)))) if frame.modality.is_image() => {
                Ok(Received::Picture(position, frame))
            }
            Taken::Entry((_, Ok(_))) => Ok(Received::Other(carries, record(&message))),
            Taken::Entry((_, Err(letter))) => Ok(Received::Refused(letter)),
        };
        let (topic, offset) = (message.topic().to_owned(), message.offset());
        let sent_at = message.timestamp().to_millis();
        self.bytes += message.payload_len() as u64;
        self.complaint = None;
        drop(message);
        self.held.push_back(Held { topic, number, source, offset, sent_at, read });
        Ok(())
    }

    /// How many bytes of records were read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Says that nobody needs to be handed again what this member was handed so far. Where the group has gone on without it, that
    /// counts for nothing: others are handed it again. Where it could not be told, what is still this member's is told with the next
    /// call, after a while: call it too where nothing came.
    ///
    /// # Errors
    /// [`KafkaError::Broker`] where the group can never be told.
    pub fn covered(&mut self) -> Result<(), KafkaError> {
        if self.moved.is_empty() || self.refused.is_some_and(|at| at.elapsed() < AGAIN) {
            return Ok(());
        }
        let mut told = TopicPartitionList::with_capacity(self.moved.len());
        for (topic, number, behind) in self.moved.values() {
            let added = told.add_partition_offset(topic, *number, Offset::Offset(*behind));
            added.map_err(|error| self.failed("telling the group", error))?;
        }
        match self.consumer.commit(&told, CommitMode::Sync) {
            Ok(()) => {
                self.moved.clear();
                self.refused = None;
                Ok(())
            }
            Err(ClientError::ConsumerCommit(Code::GroupAuthorizationFailed)) => {
                let error = ClientError::ConsumerCommit(Code::GroupAuthorizationFailed);
                Err(self.failed("telling the group", error))
            }
            Err(error) => {
                tracing::warn!("kafka: telling the group: {error}; it is tried again for what is still read here");
                self.refused = Some(Instant::now());
                if let Ok(assigned) = self.consumer.assignment() {
                    self.moved.retain(|_, (topic, number, _)| assigned.find_partition(topic, *number).is_some());
                }
                Ok(())
            }
        }
    }

    /// Records that wait in Kafka, by topic and partition, of those partitions that this member has now.
    pub fn lag(&self) -> Vec<(String, i32, u64)> {
        let Ok(assigned) = self.consumer.assignment() else { return Vec::new() };
        let wait = |topic: &str, number: i32| {
            let next = self.next.get(&(topic.to_owned(), number))?;
            Some((topic.to_owned(), number, self.lag.end(topic, number)?.saturating_sub(*next)))
        };
        assigned.elements().iter().filter_map(|place| wait(place.topic(), place.partition())).collect()
    }

    /// How many partitions this member has now.
    pub fn partitions(&self) -> usize {
        self.consumer.assignment().map_or(0, |assigned| assigned.count())
    }

    /// Goes on where an error may pass, which is said once, and fails where it will not.
    fn complain(&mut self, error: ClientError) -> Result<(), KafkaError> {
        if stays(&self.consumer, &error) {
            return Err(self.failed("reading", error));
        }
        if is_news(&error, self.complaint.as_ref()) {
            self.complaint = Some(error.clone());
            tracing::error!("{}; trying on", self.failed("reading", error));
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: ClientError) -> KafkaError {
        self.options.connection.failed(&self.consumer, what, error)
    }
}
