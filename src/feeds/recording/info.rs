//! What is in a recording.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use larder_records::{DeadReason, Names, Time};
use serde::Serialize;

use super::Recording;
use crate::feeds::{Event, FeedError};

/// How many dead letters [`Info`] keeps in full.
const LETTERS_KEPT: usize = 10;

/// What is in a recording: the outcome of reading it once, whole.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Whether it breaks off.
    pub truncated: bool,
    /// Messages that were taken in.
    pub messages: u64,
    /// Chunks that could be unpacked.
    pub chunks: u64,
    /// Chunks by compression: `zstd`, `lz4`, or nothing for none.
    pub compressions: BTreeMap<String, u64>,
    /// Bytes of these chunks, as they lie in the file.
    pub compressed_bytes: u64,
    /// Bytes of these chunks, unpacked.
    pub uncompressed_bytes: u64,
    /// The earliest and the latest event time, in UTC.
    pub span: Option<(String, String)>,
    /// Channels by topic.
    pub channels: Vec<ChannelInfo>,
    /// What was refused, by reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// The first of it, in words.
    pub first_dead_letters: Vec<String>,
}

/// What is in one channel.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelInfo {
    /// Its topic.
    pub topic: String,
    /// Its schema.
    pub schema: String,
    /// The appliance; none for the catalogue, and where nothing was taken in.
    pub appliance: Option<String>,
    /// The sensor; none where it is not one's.
    pub sensor: Option<String>,
    /// What the sensor measures.
    pub modality: Option<String>,
    /// Messages that were taken in.
    pub messages: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Its earliest and latest event time, in UTC.
    pub span: Option<(String, String)>,
}

/// A channel's count under way.
#[derive(Default)]
struct Count {
    messages: u64,
    refused: u64,
    span: Option<(Time, Time)>,
    like: Option<Event>,
}

/// Reads a recording and says what is in it.
///
/// # Errors
/// [`FeedError`] where the file cannot be read.
pub fn info(path: impl Into<PathBuf>) -> Result<Info, FeedError> {
    let mut names = Names::default();
    let mut recording = Recording::open(path)?;
    let mut counts: BTreeMap<u16, Count> = BTreeMap::new();
    let mut dead_letters: BTreeMap<DeadReason, u64> = BTreeMap::new();
    let mut first_dead_letters = Vec::new();
    while let Some((offset, channel, outcome)) = recording.next_message(&mut names)? {
        let count = channel.map(|channel| counts.entry(channel).or_default());
        match outcome {
            Ok(event) => {
                let Some(count) = count else { continue };
                count.messages += 1;
                if let Some(time) = time_of(&event) {
                    let (first, last) = count.span.unwrap_or((time, time));
                    count.span = Some((first.min(time), last.max(time)));
                }
                count.like.get_or_insert(event);
            }
            Err(refused) => {
                if let Some(count) = count {
                    count.refused += 1;
                }
                *dead_letters.entry(refused.reason).or_default() += 1;
                if first_dead_letters.len() < LETTERS_KEPT {
                    first_dead_letters.push(format!("at {offset}: {refused}"));
                }
            }
        }
    }
    let spans = counts.values().filter_map(|count| count.span);
    let span = spans.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    let messages = counts.values().map(|count| count.messages).sum();
    let mut channels: Vec<ChannelInfo> =
        counts.into_iter().map(|(id, count)| channel_info(&recording, id, count, &names)).collect();
    channels.sort_by(|a, b| (&a.topic, &a.schema).cmp(&(&b.topic, &b.schema)));
    let chunks = recording.chunks();
    Ok(Info {
        path: recording.path().to_owned(),
        bytes: recording.length(),
        truncated: recording.broke_off(),
        messages,
        chunks: chunks.count,
        compressions: chunks.compressions.clone(),
        compressed_bytes: chunks.compressed,
        uncompressed_bytes: chunks.uncompressed,
        span: span.map(in_words),
        channels,
        dead_letters: dead_letters.into_iter().map(|(reason, count)| (reason.as_str(), count)).collect(),
        first_dead_letters,
    })
}

fn channel_info(recording: &Recording, id: u16, count: Count, names: &Names) -> ChannelInfo {
    let definition = recording.channel(id);
    let name = |name| Some(names.text(name).to_owned());
    let (appliance, sensor, modality) = match count.like {
        Some(Event::Frame(frame)) => {
            (name(frame.appliance.0), name(frame.sensor.0), Some(frame.modality.as_str().to_owned()))
        }
        Some(Event::Seen(result, _)) => {
            (name(result.key.appliance.0), name(result.key.sensor.0), Some(result.modality.as_str().to_owned()))
        }
        Some(Event::Declared(movement)) => (name(movement.appliance.0), None, None),
        Some(Event::Truth(truth)) => (name(truth.appliance.0), None, None),
        Some(Event::Appliance(appliance)) => (name(appliance.id.0), None, None),
        Some(Event::Product(_) | Event::Correction(_) | Event::Refused(_)) | None => (None, None, None),
    };
    ChannelInfo {
        topic: definition.map_or_else(|| format!("channel {id}, not stated"), |channel| channel.topic.clone()),
        schema: definition.and_then(|channel| channel.schema.as_ref()).map_or_else(String::new, |s| s.name.clone()),
        appliance,
        sensor,
        modality,
        messages: count.messages,
        refused: count.refused,
        span: count.span.map(in_words),
    }
}

fn time_of(event: &Event) -> Option<Time> {
    match event {
        Event::Frame(frame) => Some(frame.time),
        Event::Seen(result, _) => Some(result.key.time),
        Event::Declared(movement) => Some(movement.time),
        Event::Truth(truth) => Some(truth.time),
        Event::Product(_) | Event::Appliance(_) | Event::Correction(_) | Event::Refused(_) => None,
    }
}

fn in_words((first, last): (Time, Time)) -> (String, String) {
    // Every event time lies within the years that can be written.
    let words =
        |time: Time| jiff::Timestamp::from_microsecond(time.0).map_or_else(|_| String::new(), |t| t.to_string());
    (words(first), words(last))
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.path.display(), Bytes(self.bytes))?;
        if let Some((first, last)) = &self.span {
            writeln!(f, "  time      {first} to {last}")?;
        }
        writeln!(f, "  messages  {}", self.messages)?;
        let named =
            |(name, count): (&String, &u64)| format!("{count} {}", if name.is_empty() { "plain" } else { name });
        let kinds: Vec<String> = self.compressions.iter().map(named).collect();
        if self.chunks > 0 {
            let (packed, whole) = (Bytes(self.compressed_bytes), Bytes(self.uncompressed_bytes));
            writeln!(f, "  chunks    {} ({packed} of {whole})", kinds.join(", "))?;
        }
        if self.truncated {
            writeln!(f, "  TRUNCATED the recording breaks off; what stands before the break was read")?;
        }
        let refused = self.dead_letters.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>();
        if !refused.is_empty() {
            writeln!(f, "  refused   {}", refused.join(", "))?;
            for letter in &self.first_dead_letters {
                writeln!(f, "            {letter}")?;
            }
        }
        let topics = self.channels.iter().map(|channel| channel.topic.chars().count()).max().unwrap_or(0).max(5);
        let schemas = self.channels.iter().map(|channel| channel.schema.chars().count()).max().unwrap_or(0).max(6);
        writeln!(
            f,
            "\n  {:topics$}  {:11}  {:schemas$}  {:>9}  {:>7}  first and last",
            "topic", "modality", "schema", "messages", "refused"
        )?;
        for channel in &self.channels {
            let modality = channel.modality.as_deref().unwrap_or("");
            let span = channel.span.as_ref().map_or_else(String::new, |(first, last)| format!("{first} {last}"));
            let (topic, schema, messages, refused) =
                (&channel.topic, &channel.schema, channel.messages, channel.refused);
            writeln!(f, "  {topic:topics$}  {modality:11}  {schema:schemas$}  {messages:>9}  {refused:>7}  {span}")?;
        }
        Ok(())
    }
}

/// A size for people: `17.3 MiB`.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match units.into_iter().find(|(_, shift)| self.0 >> shift > 0) {
            Some((unit, shift)) => write!(f, "{:.1} {unit}", self.0 as f64 / f64::from(1 << shift)),
            None => write!(f, "{} B", self.0),
        }
    }
}
