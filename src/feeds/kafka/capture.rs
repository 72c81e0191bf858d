//! Topics, byte for byte, into a recording.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use larder_records::wire::v1;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

use super::{KafkaError, Source};
use crate::feeds::{LiveFeed as _, recording::RecordingWriter};

/// What was captured so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Captured {
    /// Records.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
}

/// When a capture is done, whichever comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Until {
    /// All is in that was there when it began.
    pub ended: bool,
    /// So many records are in.
    pub records: Option<u64>,
    /// So long it went on.
    pub time: Option<Duration>,
}

/// Writes the records of `source` to `out` as they come, with all that Kafka tells of them, until `until` or `stop` is true.
///
/// # Errors
/// [`KafkaError`] where a topic cannot be read any more or the file cannot be written.
pub fn capture(
    source: &mut Source,
    out: &mut RecordingWriter,
    until: Until,
    stop: &AtomicBool,
    mut tell: impl FnMut(Captured),
) -> Result<Captured, KafkaError> {
    let began = Instant::now();
    let mut captured = Captured::default();
    while !stop.load(Ordering::Relaxed)
        && until.records.is_none_or(|records| captured.records < records)
        && until.time.is_none_or(|time| began.elapsed() < time)
    {
        let next = source.poll_record(Duration::from_millis(50), |partition, message| {
            (partition.topic().carries, record(message))
        })?;
        match next {
            Some((carries, record)) => {
                out.captured(&record, carries)?;
                captured.records += 1;
                captured.bytes += record.value.map_or(0, |value| value.len() as u64);
                tell(captured);
            }
            None if until.ended && source.ended() => break,
            None => {}
        }
    }
    Ok(captured)
}

/// All that Kafka tells of a record.
pub(super) fn record(message: &BorrowedMessage<'_>) -> v1::KafkaRecord {
    let bytes = |bytes: &[u8]| bytes.to_vec().into();
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let header = |header: rdkafka::message::Header<'_, &[u8]>| v1::kafka_record::Header {
        name: header.key.to_owned(),
        value: header.value.map(bytes),
    };
    v1::KafkaRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(bytes),
        value: message.payload().map(bytes),
        headers: headers.map(header).collect(),
    }
}
