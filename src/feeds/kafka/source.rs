//! Reads partitions from where the lake stands.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use larder_records::wire::{Refused, WireError};
use larder_records::{DeadLetter, IdCollision, Names, Position, Time};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _, base_consumer::PartitionQueue},
    error::{KafkaError as ClientError, RDKafkaErrorCode as Code},
    message::{BorrowedMessage, Headers as _},
};

use super::{
    Carries, Connection, Decoded, KafkaError, Lag, Pictures, SCHEMA_HEADER, Start,
    client::Context,
    pictures::{Album, Named},
    record::decode,
};
use crate::feeds::{Entry, Event, FeedError, LiveFeed};

/// A topic to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// What its records are.
    pub carries: Carries,
    /// Which partitions; none for all that it has.
    pub partitions: Option<Vec<i32>>,
}

/// What to read, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// How brokers are reached.
    pub connection: Connection,
    /// The topics.
    pub topics: Vec<Topic>,
    /// The consumer group whose offsets tell others how far this has come. They are never read.
    pub group: Option<String>,
    /// From where partitions are read of which the lake knows nothing.
    pub start: Start,
    /// Whether all partitions are read from `start`, whatever the lake knows.
    pub anew: bool,
    /// How many bytes of records may wait in memory.
    pub memory: u64,
    /// The largest record that is taken in, in bytes.
    pub record_limit: usize,
    /// Where pictures lie that records only name.
    pub pictures: Option<Pictures>,
    /// How long brokers, and a bucket of pictures, may take to answer when it starts.
    pub patience: Duration,
}

impl Options {
    /// Where pictures lie that records only name, opened.
    pub(super) fn album(&self) -> Result<Option<Album>, KafkaError> {
        let open = |pictures| Album::open(pictures, self.memory, self.patience);
        self.pictures.as_ref().map(open).transpose()
    }
}

/// Records taken from one partition before the next has its turn.
const TURN: usize = 256;
/// How long to wait before looking again where no partition has anything.
const NAP: Duration = Duration::from_millis(5);
/// What one answer of a broker may bring of one partition, in bytes, where memory allows; a larger record comes alone.
const FETCH: u64 = 1 << 20;

/// A partition under way.
pub(super) struct Partition {
    topic: Arc<Topic>,
    number: i32,
    /// `topic/partition`.
    source: Arc<str>,
    queue: PartitionQueue<Context>,
    /// What was read and waits until the picture before it or its own is there, and where it stood.
    held: VecDeque<(u64, Taken)>,
    /// The first offset that was not handed on.
    next: u64,
    /// The same, as of the last commit.
    committed: Option<u64>,
    /// Where it ended when reading began.
    end: u64,
    /// Whether its end was met.
    ended: bool,
}

impl Partition {
    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Learns that the record at `offset` was handed on, and so all before it.
    fn handed(&mut self, offset: u64) {
        self.next = offset + 1;
        self.ended |= self.next >= self.end;
    }
}

/// A live feed of topics.
///
/// Each partition has a queue of its own, which librdkafka fills to its share of the memory and then no further: a partition
/// is paused while its queue is full, and resumed when it is not. The queues are drained in turn, so that neither a partition
/// with a long backlog nor one whose broker is gone keeps the others waiting.
pub struct Source {
    consumer: Arc<BaseConsumer<Context>>,
    options: Options,
    partitions: Vec<Partition>,
    album: Option<Arc<Album>>,
    /// How many records the partitions hold.
    held: usize,
    /// Whose turn it is, and what it had of it.
    turn: usize,
    taken: usize,
    bytes: u64,
    lag: Arc<Lag>,
    /// What the client complained of last, so that it is said once.
    complaint: Option<ClientError>,
}

impl Source {
    /// Finds the partitions and begins to read each at the offset that `covered` knows of it (by `topic/partition`), or else at
    /// `options.start`.
    ///
    /// # Errors
    /// [`KafkaError`] where a broker, topic or partition is not there, a property is refused, or what is to be read next was
    /// deleted or never was; and whatever `covered` fails with.
    pub fn open<E: From<KafkaError>>(
        options: Options,
        covered: impl Fn(&str) -> Result<Option<u64>, E>,
    ) -> Result<Self, E> {
        let lag = Arc::new(Lag::default());
        let consumer = Arc::new(connect(&options, &lag, 1)?);
        let mut found = Vec::new();
        for topic in &options.topics {
            for number in partitions_of(&consumer, topic, &options)? {
                found.push((Arc::new(topic.clone()), number));
            }
        }
        let album = options.album()?.map(Arc::new);
        // the share of each partition follows from how many there are
        let consumer = Arc::new(connect(&options, &lag, found.len().max(1) as u64)?);
        let failed = |what: &str, error| options.connection.failed(&*consumer, what, error);
        let mut assignment = TopicPartitionList::with_capacity(found.len());
        let mut starts = Vec::with_capacity(found.len());
        for (topic, number) in &found {
            let source: Arc<str> = format!("{}/{number}", topic.name).into();
            let held = covered(&source)?;
            let (first, end) = bounds(&consumer, topic, *number, &options)?;
            let next = match held.filter(|_| !options.anew) {
                Some(wanted) if wanted < first => {
                    return Err(
                        KafkaError::Lost { topic: topic.name.clone(), partition: *number, wanted, first }.into()
                    );
                }
                Some(wanted) if wanted > end => {
                    return Err(KafkaError::Ahead { topic: topic.name.clone(), partition: *number, wanted, end }.into());
                }
                Some(wanted) => wanted,
                None => begin(&consumer, topic, *number, (first, end), &options)?,
            };
            let at = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            let added = assignment.add_partition_offset(&topic.name, *number, at);
            added.map_err(|error| failed("choosing an offset", error))?;
            lag.tell(&topic.name, *number, end);
            starts.push((source, next, held, end));
        }
        consumer.assign(&assignment).map_err(|error| failed("assigning partitions", error))?;
        let mut partitions = Vec::with_capacity(found.len());
        for ((topic, number), (source, next, committed, end)) in found.into_iter().zip(starts) {
            let queue = consumer.split_partition_queue(&topic.name, number).ok_or_else(|| {
                failed("reading a partition", ClientError::MessageConsumption(Code::UnknownPartition))
            })?;
            let (held, ended) = (VecDeque::new(), next >= end);
            partitions.push(Partition { topic, number, source, queue, held, next, committed, end, ended });
        }
        let (turn, taken, bytes, complaint) = (0, 0, 0, None);
        Ok(Self { consumer, options, partitions, album, held: 0, turn, taken, bytes, lag, complaint })
    }

    /// How many partitions are read.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Records that wait in Kafka, by topic and partition, where that is known.
    pub fn lag(&self) -> impl Iterator<Item = (&str, i32, u64)> {
        self.partitions.iter().map(|partition| {
            let Partition { topic, number, next, end, .. } = partition;
            let end = self.lag.end(&topic.name, *number).unwrap_or(*end);
            (topic.name.as_str(), *number, end.saturating_sub(*next))
        })
    }

    /// What is found at the next record of any partition, by `read`; none where there is none within `wait`.
    pub(super) fn poll_record<T>(
        &mut self,
        wait: Duration,
        read: impl FnMut(&Partition, &BorrowedMessage<'_>) -> T,
    ) -> Result<Option<T>, KafkaError> {
        Ok(self.read_next(wait, read)?.map(|(at, offset, told)| {
            self.partitions[at].handed(offset);
            told
        }))
    }

    /// The same, and at which of the partitions and which offset it is; it was not handed on yet.
    fn read_next<T>(
        &mut self,
        wait: Duration,
        mut read: impl FnMut(&Partition, &BorrowedMessage<'_>) -> T,
    ) -> Result<Option<(usize, u64, T)>, KafkaError> {
        let ahead = self.album.as_ref().map_or(0, |album| album.ahead());
        // asked for only where there is nothing to read
        let mut began = None;
        loop {
            let mut idle = 0;
            while idle < self.partitions.len() {
                let at = self.turn;
                let partition = &mut self.partitions[at];
                let had_its_turn = self.taken >= TURN;
                // one that waits holds up no other
                let may_read = !had_its_turn && (partition.held.is_empty() || self.held < ahead);
                let met = if may_read { partition.queue.poll(Duration::ZERO) } else { None };
                match met {
                    Some(Ok(message)) => {
                        let offset = u64::try_from(message.offset()).unwrap_or_default();
                        self.bytes += message.payload_len() as u64;
                        let told = read(partition, &message);
                        drop(message);
                        self.taken += 1;
                        self.complaint = None;
                        return Ok(Some((at, offset, told)));
                    }
                    Some(Err(ClientError::PartitionEOF(_))) => partition.ended = true,
                    Some(Err(error)) => self.complain(Some(at), error)?,
                    None => {
                        idle = if had_its_turn { 0 } else { idle + 1 };
                        self.taken = 0;
                        self.turn = (self.turn + 1) % self.partitions.len();
                        if self.turn == 0 {
                            self.serve()?;
                        }
                    }
                }
            }
            let left = wait.saturating_sub(began.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// What a partition holds and waits for nothing any more.
    fn ripe(&mut self, names: &mut Names) -> Result<Option<Entry>, IdCollision> {
        if self.held == 0 {
            return Ok(None);
        }
        let is_ripe = |partition: &Partition| partition.held.front().is_some_and(|(_, taken)| taken.is_there());
        let Some(at) = self.partitions.iter().position(is_ripe) else { return Ok(None) };
        let Some((offset, taken)) = self.partitions[at].held.pop_front() else { return Ok(None) };
        self.held -= 1;
        self.hand(at, offset, taken, names).map(Some)
    }

    /// Hands on what was read.
    fn hand(&mut self, at: usize, offset: u64, taken: Taken, names: &mut Names) -> Result<Entry, IdCollision> {
        self.partitions[at].handed(offset);
        let (entry, bytes) = taken.entry(names)?;
        self.bytes += bytes;
        Ok(entry)
    }

    /// Lets the client say what it has to say beside records.
    fn serve(&mut self) -> Result<(), KafkaError> {
        while let Some(told) = self.consumer.poll(Duration::ZERO) {
            // a record here would be of a partition that has no queue: there is none
            if let Err(error) = told.map(drop) {
                self.complain(None, error)?;
            }
        }
        Ok(())
    }

    /// Goes on where an error may pass, which is said, and fails where it will not.
    fn complain(&mut self, at: Option<usize>, error: ClientError) -> Result<(), KafkaError> {
        let partition = at.map(|at| &self.partitions[at]);
        let code = match &error {
            ClientError::MessageConsumption(code) | ClientError::MessageConsumptionFatal(code) => Some(*code),
            _ => None,
        };
        match (code, partition) {
            (Some(Code::AutoOffsetReset | Code::OffsetOutOfRange), Some(partition)) => {
                let (first, end) = bounds(&self.consumer, &partition.topic, partition.number, &self.options)?;
                let (topic, partition, wanted) = (partition.topic.name.clone(), partition.number, partition.next);
                if wanted < first {
                    return Err(KafkaError::Lost { topic, partition, wanted, first });
                }
                return Err(KafkaError::Ahead { topic, partition, wanted, end });
            }
            (Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition), Some(partition)) => {
                let (topic, brokers) = (partition.topic.name.clone(), self.options.connection.brokers.clone());
                return Err(KafkaError::NoTopic { topic, brokers });
            }
            _ if stays(&self.consumer, &error) => {
                return Err(self.options.connection.failed(&*self.consumer, "reading", error));
            }
            _ => {}
        }
        if is_news(&error, self.complaint.as_ref()) {
            self.complaint = Some(error.clone());
            let what = partition.map_or("reading", |partition| &partition.source);
            tracing::error!("{}; trying on", self.options.connection.failed(&*self.consumer, what, error));
        }
        Ok(())
    }
}

impl LiveFeed for Source {
    fn poll(&mut self, names: &mut Names, wait: Duration) -> Result<Option<Entry>, FeedError> {
        loop {
            if let Some(entry) = self.ripe(names)? {
                return Ok(Some(entry));
            }
            let (limit, album) = (self.options.record_limit, self.album.clone());
            let wait = if self.held > 0 { wait.min(NAP) } else { wait };
            let read = self.read_next(wait, |partition, message| {
                let source = partition.source.clone();
                take(message, source, partition.topic.carries, limit, album.as_deref(), names)
            })?;
            match read {
                Some((at, offset, taken)) => {
                    let (taken, partition) = (taken?, &mut self.partitions[at]);
                    if partition.held.is_empty() && taken.is_there() {
                        return Ok(Some(self.hand(at, offset, taken, names)?));
                    }
                    partition.held.push_back((offset, taken));
                    self.held += 1;
                }
                None => return Ok(None),
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }

    fn uncommitted(&self) -> Vec<Position> {
        let moved = self.partitions.iter().filter(|partition| partition.committed != Some(partition.next));
        moved.map(|partition| Position { source: partition.source.clone(), offset: partition.next }).collect()
    }

    fn committed(&mut self) {
        let mut told = TopicPartitionList::new();
        for partition in &mut self.partitions {
            if partition.committed != Some(partition.next) {
                partition.committed = Some(partition.next);
                let at = Offset::Offset(i64::try_from(partition.next).unwrap_or(i64::MAX));
                // what cannot be told is told with the next commit
                let _ = told.add_partition_offset(&partition.topic.name, partition.number, at);
            }
        }
        if self.options.group.is_some()
            && told.count() > 0
            && let Err(error) = self.consumer.commit(&told, CommitMode::Async)
        {
            tracing::debug!("kafka: telling the group how far it is: {error}");
        }
    }

    fn ended(&self) -> bool {
        self.partitions.iter().all(|partition| partition.ended && partition.held.is_empty())
    }
}

/// What was read of a record.
pub(super) enum Taken {
    /// All of it.
    Entry(Entry),
    /// A frame that waits for its picture.
    Named(Box<Named>),
}

impl Taken {
    /// Whether nothing is waited for any more.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Entry(_) => true,
            Self::Named(named) => named.is_there(),
        }
    }

    /// The entry, and how many bytes came beside the record.
    fn entry(self, names: &mut Names) -> Result<(Entry, u64), IdCollision> {
        Ok(match self {
            Self::Entry(entry) => (entry, 0),
            Self::Named(named) => {
                let (position, frame, bytes) = named.end(names)?;
                ((position, frame.map(Event::Frame)), bytes)
            }
        })
    }
}

/// What stands in a record of the partition `source`, of at most `limit` bytes.
pub(super) fn take(
    message: &BorrowedMessage<'_>,
    source: Arc<str>,
    carries: Carries,
    limit: usize,
    album: Option<&Album>,
    names: &mut Names,
) -> Result<Taken, IdCollision> {
    let position = Position { source, offset: u64::try_from(message.offset()).unwrap_or_default() };
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let schema = headers.filter(|header| header.key == SCHEMA_HEADER).find_map(|header| header.value);
    let decoded = decode(carries, message.key(), schema, message.payload(), limit, names);
    let event = match (decoded, album) {
        (Ok(Decoded::Named(frame, reference)), Some(album)) => {
            return Ok(Taken::Named(Box::new(Named::new(album, position, frame, reference))));
        }
        (decoded, _) => decoded.and_then(|decoded| decoded.whole(names)),
    };
    Ok(Taken::Entry(match event {
        Ok(event) => (position, Ok(event)),
        Err(WireError::Refused(Refused { reason, detail })) => {
            (position.clone(), Err(DeadLetter { position, reason, detail }))
        }
        Err(WireError::Collision(collision)) => return Err(collision),
    }))
}

fn connect(options: &Options, lag: &Arc<Lag>, partitions: u64) -> Result<BaseConsumer<Context>, KafkaError> {
    // what is fetched is asked for while there is room, so that a queue can hold its bound and one answer more
    let share = (options.memory / partitions).max(64 << 10);
    let queued = (share / 2 / 1024).to_string();
    let fetch = FETCH.min(share / 2).to_string();
    let ours = [
        // librdkafka assigns nothing without one; nothing is told to it or asked of it where the user names none
        ("group.id", options.group.as_deref().unwrap_or("larder")),
        ("auto.offset.reset", "error"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("queued.max.messages.kbytes", queued.as_str()),
        ("queued.min.messages", "1000000"),
        ("max.partition.fetch.bytes", fetch.as_str()),
        // what was refused for want of room is asked for again soon
        ("fetch.queue.backoff.ms", "20"),
        ("statistics.interval.ms", "1000"),
    ];
    options.connection.client(&ours, Context::new(lag.clone()))
}

/// The numbers of the partitions that are to be read.
pub(super) fn partitions_of(
    consumer: &BaseConsumer<Context>,
    topic: &Topic,
    options: &Options,
) -> Result<Vec<i32>, KafkaError> {
    let what = format!("looking for the topic {:?}", topic.name);
    let known = options.connection.ask(consumer, options.patience, &what, |answer| {
        let metadata = consumer.fetch_metadata(Some(&topic.name), answer)?;
        Ok(metadata.topics().first().map_or_else(Vec::new, |topic| {
            topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()
        }))
    })?;
    if known.is_empty() {
        let brokers = options.connection.brokers.clone();
        return Err(KafkaError::NoTopic { topic: topic.name.clone(), brokers });
    }
    let Some(wanted) = &topic.partitions else { return Ok(known) };
    match wanted.iter().find(|partition| !known.contains(partition)) {
        Some(&partition) => Err(KafkaError::NoPartition { topic: topic.name.clone(), partition, has: known.len() }),
        None => Ok(wanted.clone()),
    }
}

/// Whether an error says more than the one before it.
pub(super) fn is_news(error: &ClientError, before: Option<&ClientError>) -> bool {
    let says_nothing = before.is_some() && *error == ClientError::MessageConsumption(Code::AllBrokersDown);
    !says_nothing && before != Some(error)
}

/// Whether an error of a consumer will not pass by itself.
pub(super) fn stays(consumer: &BaseConsumer<Context>, error: &ClientError) -> bool {
    match error {
        ClientError::MessageConsumptionFatal(_) => true,
        ClientError::MessageConsumption(Code::Authentication | Code::SaslAuthenticationFailed) => {
            consumer.context().complaint().is_none_or(|complaint| complaint.stays)
        }
        ClientError::MessageConsumption(code) => matches!(
            code,
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::Fatal
        ),
        _ => false,
    }
}

/// The first offset that there is, and that behind the last.
fn bounds(
    consumer: &BaseConsumer<Context>,
    topic: &Topic,
    partition: i32,
    options: &Options,
) -> Result<(u64, u64), KafkaError> {
    let what = format!("asking for the bounds of {}/{partition}", topic.name);
    let ask = |answer| consumer.fetch_watermarks(&topic.name, partition, answer);
    let (first, end) = options.connection.ask(consumer, options.patience, &what, ask)?;
    Ok((u64::try_from(first).unwrap_or_default(), u64::try_from(end).unwrap_or_default()))
}

/// The offset at which `options.start` lies in a partition; its end where nothing came since.
fn begin(
    consumer: &BaseConsumer<Context>,
    topic: &Topic,
    partition: i32,
    (first, end): (u64, u64),
    options: &Options,
) -> Result<u64, KafkaError> {
    let Time(micros) = match options.start {
        Start::Earliest => return Ok(first),
        Start::Latest => return Ok(end),
        Start::Offset(offset) => return Ok(offset.clamp(first, end)),
        Start::Time(time) => time,
    };
    let what = format!("looking for a time in {}/{partition}", topic.name);
    // rounded up: not before that time
    let asked = Offset::Offset(micros.div_euclid(1000) + i64::from(micros % 1000 != 0));
    let offset = options.connection.ask(consumer, options.patience, &what, |answer| {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(&topic.name, partition, asked)?;
        let answered = consumer.offsets_for_times(times, answer)?;
        let found = answered.find_partition(&topic.name, partition);
        let found = found.ok_or(ClientError::OffsetFetch(Code::UnknownPartition))?;
        // an answer can be well as a whole and tell nothing of a partition; to take that for its end would leave all out
        found.error()?;
        match found.offset() {
            Offset::End => Ok(None),
            Offset::Offset(offset) if found.offset() != asked => Ok(Some(offset)),
            _ => Err(ClientError::OffsetFetch(Code::OffsetNotAvailable)),
        }
    })?;
    Ok(offset.map_or(end, |offset| u64::try_from(offset).unwrap_or_default().clamp(first, end)))
}
