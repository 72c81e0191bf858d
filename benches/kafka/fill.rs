//! What the topics hold: made, not measured in any kitchen.

use std::time::Duration;

use larder_records::{
    ApplianceId, BoundingBox, Candidate, Digest, Frame, FrameKey, FrameResult, Image, ImageEncoding, Modality, Names,
    Payload, ProductId, SensorId, Sighting, Time,
    wire::{encode_frame, encode_seen},
};
use prost::Message as _;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

const START: i64 = 1_767_571_200_000_000;
/// Appliances that send, in turn.
const APPLIANCES: u64 = 240;

/// Sends records to a new topic.
pub struct Sender<'a> {
    producer: BaseProducer,
    topic: &'a str,
}

impl<'a> Sender<'a> {
    /// To a new topic of those properties.
    pub fn new(brokers: &str, topic: &'a str, partitions: i32, properties: &[(&str, &str)]) -> Self {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = properties.iter().fold(new, |new, (name, value)| new.set(name, value));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", brokers).set("linger.ms", "50").set("compression.type", "lz4");
        settings.set("message.max.bytes", "10000000").set("partitioner", "murmur2_random");
        Self { producer: settings.create().unwrap(), topic }
    }

    fn send(&self, key: &str, value: &[u8], schema: Option<&str>) {
        let mut record = BaseRecord::to(self.topic).key(key).payload(value);
        if let Some(schema) = schema {
            record = record.headers(OwnedHeaders::new().insert(Header { key: "schema", value: Some(schema) }));
        }
        while let Err((error, back)) = self.producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            self.producer.poll(Duration::from_millis(50));
            record = back;
        }
    }

    fn done(self) {
        self.producer.flush(Duration::from_secs(120)).unwrap();
    }
}

fn reading(appliance: ApplianceId, sensor: SensorId, modality: Modality, time: Time, value: i64) -> Frame {
    Frame { appliance, sensor, modality, time, sequence: 0, payload: Payload::Reading(value) }
}

/// Readings as appliances send them, once in ten seconds: temperature, power and load, and a door that opens now and then.
pub struct Readings<'a> {
    sender: Sender<'a>,
    names: Names,
    sensors: [SensorId; 4],
    keys: Vec<String>,
    appliances: Vec<ApplianceId>,
    sent: u64,
}

const KINDS: [Modality; 4] = [Modality::Temperature, Modality::Power, Modality::Weight, Modality::Door];

impl<'a> Readings<'a> {
    pub fn new(sender: Sender<'a>) -> Self {
        let mut names = Names::default();
        let sensors = KINDS.map(|kind| SensorId(names.intern(kind.as_str()).unwrap()));
        let keys: Vec<String> = (0..APPLIANCES).map(|number| format!("home-{number}/fridge")).collect();
        let appliances = keys.iter().map(|key| ApplianceId(names.intern(key).unwrap())).collect();
        Self { sender, names, sensors, keys, appliances, sent: 0 }
    }

    pub fn send(&mut self, many: u64) {
        for n in self.sent..self.sent + many {
            let (kind, which) = ((n % 4) as usize, (n / 4 % APPLIANCES) as usize);
            let round = (n / 4 / APPLIANCES) as i64;
            let value = match KINDS[kind] {
                Modality::Temperature => 4_000 + ((n.wrapping_mul(2_654_435_761)) >> 7) as i64 % 500,
                Modality::Power => 60_000 + ((n.wrapping_mul(2_654_435_761)) >> 9) as i64 % 9_000,
                Modality::Weight => 12_000_000 + round / 90 * 1_000,
                _ => i64::from(round % 90 == 89),
            };
            let time = Time(START + round * 10 * Time::SECOND + which as i64);
            let frame = reading(self.appliances[which], self.sensors[kind], KINDS[kind], time, value);
            self.sender.send(&self.keys[which], &encode_frame(&frame, &self.names).unwrap().encode_to_vec(), None);
        }
        self.sent += many;
    }

    pub fn done(self) {
        self.sender.done();
    }
}

/// How many appliances sent so many [`Readings`].
pub fn appliances(readings: u64) -> u64 {
    readings.div_ceil(KINDS.len() as u64).min(APPLIANCES)
}

/// So many [`Readings`] to a new topic.
pub fn readings(brokers: &str, topic: &str, partitions: i32, many: u64) {
    let mut readings = Readings::new(Sender::new(brokers, topic, partitions, &[]));
    readings.send(many);
    readings.done();
}

/// What vision saw of visits: each a door that opens, a picture with 20 objects, a door that closes.
pub fn seen(brokers: &str, topic: &str, partitions: i32, many: u64) {
    let (sender, mut names) = (Sender::new(brokers, topic, partitions, &[]), Names::default());
    let [door, camera] = ["door", "camera"].map(|name| SensorId(names.intern(name).unwrap()));
    let products: Vec<_> = (0..500).map(|n| ProductId(names.intern(&format!("sku-{n}")).unwrap())).collect();
    let keys: Vec<String> = (0..APPLIANCES).map(|number| format!("home-{number}/fridge")).collect();
    let appliances: Vec<_> = keys.iter().map(|key| ApplianceId(names.intern(key).unwrap())).collect();
    for n in 0..many / 3 {
        let (which, visit) = ((n % APPLIANCES) as usize, n / APPLIANCES);
        let (appliance, at) = (appliances[which], START + visit as i64 * 3_600 * Time::SECOND);
        let sightings = (0..20).map(|place: u16| {
            // one of the objects is another after each visit
            let changed = (visit + 19 - u64::from(place)) / 20;
            let product = products[((which as u64 * 31 + u64::from(place) * 17 + changed * 7) % 500) as usize];
            let (left, top) = (place % 5 * 200, place / 5 * 200);
            Sighting {
                bounds: BoundingBox { left, top, right: left + 150, bottom: top + 150 },
                detection: 900_000,
                candidates: vec![Candidate { product, score: 930_000 }],
                classes: Vec::new(),
                embedding: vec![3; 64],
                depth_mm: None,
                heat_ck: None,
            }
        });
        let result = FrameResult {
            key: FrameKey {
                appliance,
                sensor: camera,
                time: Time(at + 20 * Time::SECOND),
                hash: Digest::of(&n.to_le_bytes()),
            },
            modality: Modality::Visible,
            fingerprint: Digest(1),
            width: 1_000,
            height: 800,
            sightings: sightings.collect(),
            grid: None,
        };
        let door = |after: i64, open| {
            let frame = reading(appliance, door, Modality::Door, Time(at + after * Time::SECOND), open);
            encode_frame(&frame, &names).unwrap().encode_to_vec()
        };
        sender.send(&keys[which], &door(0, 1), Some("larder.v1.Frame"));
        sender.send(&keys[which], &encode_seen(&result, Digest(1), &names).encode_to_vec(), None);
        sender.send(&keys[which], &door(30, 0), Some("larder.v1.Frame"));
    }
    sender.done();
}

/// Pictures of 100 KiB that are all different.
pub fn pictures(brokers: &str, topic: &str, partitions: i32, many: u64) {
    let (sender, mut names) = (Sender::new(brokers, topic, partitions, &[]), Names::default());
    let sensor = SensorId(names.intern("camera").unwrap());
    let file = picture();
    for n in 0..many {
        let key = format!("home-{}/fridge", n % APPLIANCES);
        // what stands behind the end of a JPEG file is of no meaning; here it does not compress, as a large picture would not
        let mut data = file.clone();
        let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while data.len() < 100 << 10 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend(state.to_le_bytes());
        }
        let frame = Frame {
            appliance: ApplianceId(names.intern(&key).unwrap()),
            sensor,
            modality: Modality::Visible,
            time: Time(START + n as i64 * Time::SECOND),
            sequence: 0,
            payload: Payload::Image(Image { encoding: ImageEncoding::Jpeg, data: data.into() }),
        };
        sender.send(&key, &encode_frame(&frame, &names).unwrap().encode_to_vec(), None);
    }
    sender.done();
}

/// A small JPEG file.
fn picture() -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(320, 240, |x, y| image::Rgb([x as u8, y as u8, (x * y / 64) as u8]));
    let mut file = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
    file.into_inner()
}
