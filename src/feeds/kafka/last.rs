//! The newest record of a partition that means something.

use std::time::{Duration, Instant};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError as ClientError, RDKafkaErrorCode as Code},
};

use super::{Connection, KafkaError, client::Context};

/// How long brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many offsets before the end are looked at first.
const NEAR: i64 = 256;

/// The value of the newest record of a partition whose key is `wanted`, of those that committed transactions sent; none where there
/// is none.
///
/// # Errors
/// [`KafkaError`] where a property is refused or no broker answers.
pub fn last_value(
    connection: &Connection,
    topic: &str,
    partition: i32,
    wanted: impl Fn(Option<&[u8]>) -> bool,
) -> Result<Option<Vec<u8>>, KafkaError> {
    let ours = [
        ("group.id", "larder"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
    ];
    let connect = || connection.client(&ours, Context::default());
    let mut consumer: BaseConsumer<Context> = connect()?;
    let what = format!("reading the end of {topic}/{partition}");
    let bounds = |answer| consumer.fetch_watermarks(topic, partition, answer);
    let (first, end) = connection.ask(&consumer, PATIENCE, &what, bounds)?;
    let mut back = NEAR;
    loop {
        let failed = |error| connection.failed(&consumer, &what, error);
        let from = (end - back).max(first);
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(failed)?;
        consumer.assign(&place).map_err(failed)?;
        let (mut found, began) = (None, Instant::now());
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) if wanted(record.key()) => found = record.payload().map(<[u8]>::to_vec),
                Some(Ok(_)) => {}
                Some(Err(ClientError::PartitionEOF(_))) => break,
                Some(Err(error)) if began.elapsed() > PATIENCE => return Err(failed(error)),
                None if began.elapsed() > PATIENCE => {
                    return Err(failed(ClientError::MessageConsumption(Code::OperationTimedOut)));
                }
                Some(Err(_)) | None => {}
            }
        }
        if found.is_some() || from <= first {
            return Ok(found);
        }
        back = back.saturating_mul(16);
        consumer = connect()?;
    }
}
