//! Vision by itself: pictures from Kafka in, sightings to Kafka out, and nothing kept.
//!
//! What is no picture is passed on as it came, so that one topic holds all that the dataflow takes in. An offset is covered when
//! brokers have what came of all before it. A process that dies in between leaves records that come again: inputs are sets, and a
//! result is the same whoever sees it, so that it changes nothing how many look, or which of them end.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use larder_records::{DeadLetter, Frame, Names, Position, wire::v1};

use crate::{
    engine::{Counts, Rhythm},
    eyes::{Eyes, see_all},
    feeds::{
        Event, FeedError,
        kafka::{Carries, KafkaError, Member, Outlet, Received, SCHEMA_HEADER, outgoing},
    },
};

/// How long a poll waits at most before it is asked whether to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// Looks at the pictures that `member` is handed with `eyes`, and sends what is seen to `outlet`, until `stop` is true. A batch is what
/// `rhythm` calls an epoch; after each, `tell` learns how far it is.
///
/// # Errors
/// [`FeedError`] where Kafka cannot be read or written any more. A record or picture that nobody can read is a dead letter, which is
/// sent on.
pub fn look_out(
    member: &mut Member,
    eyes: &Eyes,
    names: &mut Names,
    outlet: &Outlet,
    rhythm: Rhythm,
    stop: &AtomicBool,
    mut tell: impl FnMut(&Member, Counts, Option<Duration>),
) -> Result<Counts, FeedError> {
    let mut counts = Counts::default();
    while !stop.load(Ordering::Relaxed) {
        let mut batch = Batch::default();
        let (mut first, began_at) = (None, member.bytes_read());
        let mut events = 0;
        while !stop.load(Ordering::Relaxed) {
            let due = first.map_or(GLANCE, |first: Instant| rhythm.epoch_wait.saturating_sub(first.elapsed()));
            let full = events >= rhythm.epoch_events || member.bytes_read() - began_at >= rhythm.epoch_bytes;
            if full || due.is_zero() {
                break;
            }
            match member.poll(names, due.min(GLANCE))? {
                Some(received) => {
                    first.get_or_insert_with(Instant::now);
                    events += 1;
                    match received {
                        (Received::Picture(position, frame), sent_at) => {
                            batch.pictures.push((position, frame));
                            batch.sent_at.push(sent_at);
                        }
                        (Received::Other(carries, record), _) => pass_on(record, carries, outlet)?,
                        (Received::Refused(letter), sent_at) => {
                            counts.dead_letters += 1;
                            send(&Event::Refused(letter), sent_at, outlet, names)?;
                        }
                    }
                }
                None if first.is_none() => {
                    member.covered()?;
                    tell(member, counts, None);
                }
                None => {}
            }
        }
        counts.events += events as u64;
        batch.look(eyes, names, outlet, &mut counts)?;
        outlet.flush()?;
        member.covered()?;
        counts.commits += u64::from(events > 0);
        tell(member, counts, first.map(|first| first.elapsed()));
    }
    Ok(counts)
}

/// Pictures that wait to be looked at, and when each was sent.
#[derive(Default)]
struct Batch {
    pictures: Vec<(Position, Frame)>,
    sent_at: Vec<Option<i64>>,
}

impl Batch {
    /// Looks at all pictures, on every core, and sends what is seen.
    fn look(self, eyes: &Eyes, names: &Names, outlet: &Outlet, counts: &mut Counts) -> Result<(), KafkaError> {
        let seen = see_all(Some(eyes), &self.pictures);
        for (((position, _), sent_at), seen) in self.pictures.into_iter().zip(self.sent_at).zip(seen) {
            let event = match seen {
                Ok(result) => {
                    counts.frames += 1;
                    counts.sightings += result.sightings.len() as u64;
                    Event::Seen(result, eyes.name())
                }
                Err((reason, detail)) => {
                    counts.dead_letters += 1;
                    Event::Refused(DeadLetter { position, reason, detail })
                }
            };
            send(&event, sent_at, outlet, names)?;
        }
        Ok(())
    }
}

/// Passes on a record as it came, and says what it is where it does not do so itself.
fn pass_on(mut record: v1::KafkaRecord, carries: Carries, outlet: &Outlet) -> Result<(), KafkaError> {
    if record.headers.iter().all(|header| header.name != SCHEMA_HEADER) {
        let value = Some(carries.schema().as_bytes().into());
        record.headers.push(v1::kafka_record::Header { name: SCHEMA_HEADER.to_owned(), value });
    }
    outlet.send(&record)
}

/// Sends what came of a record, with that record's timestamp: topics keep both equally long.
fn send(event: &Event, sent_at: Option<i64>, outlet: &Outlet, names: &Names) -> Result<(), KafkaError> {
    // results and dead letters have a message, whatever they hold
    let Ok(mut out) = outgoing(event, names) else { return Ok(()) };
    out.record.timestamp_ms = sent_at.or(out.record.timestamp_ms);
    outlet.send(&out.record)
}
