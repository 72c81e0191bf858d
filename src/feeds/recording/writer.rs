//! Writes recordings.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use larder_records::wire::{self, Refused, v1};
use larder_records::{
    Appliance, ApplianceId, Correction, DeadReason, DeclaredMovement, Image, ImageEncoding, Modality, Name, Names,
    Product, Time, Truth,
};
use mcap::records::MessageHeader;
use prost::Message;

use super::{PROFILE, PROTOBUF, Schema, key};
use crate::feeds::kafka::Carries;

/// Why a recording cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The container does not take it: too many channels (65,535 at most), or a write that failed before.
    #[error("{path}: {source}")]
    Mcap {
        /// Which file.
        path: PathBuf,
        /// What the library said.
        source: mcap::McapError,
    },
    /// No reader would take it in.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A picture for a channel of readings, or a reading for a channel of pictures.
    #[error("a {0} channel carries no such message")]
    WrongChannel(Modality),
    /// A name that a record holds was never interned.
    #[error("the names lack the text of {0:?}")]
    Unnamed(Name),
}

/// A sensor's channel in one [`RecordingWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelId(usize);

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Messages of all channels.
    pub messages: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Channels with at least one message.
    pub channels: u32,
    /// The earliest and the latest event time; none where there are no messages.
    pub span: Option<(Time, Time)>,
}

struct Sensor {
    appliance: String,
    sensor: String,
    modality: Modality,
    /// The MCAP channel of the schema used last.
    open: Option<(Schema, u16)>,
}

/// Writes a recording: to a temporary file beside `path`, renamed by [`finish`](Self::finish), so that an interrupted
/// run leaves no half recording.
///
/// The same calls give the same bytes.
pub struct RecordingWriter {
    path: PathBuf,
    /// None once finished.
    temporary: Option<PathBuf>,
    out: mcap::Writer<BufWriter<File>>,
    sensors: Vec<Sensor>,
    ids: BTreeMap<(String, String, Modality), ChannelId>,
    /// The channels beside the sensors.
    others: HashMap<(Option<ApplianceId>, Schema), u16>,
    /// The channels of captured partitions.
    captured: HashMap<(String, i32, Carries), u16>,
    buffer: Vec<u8>,
}

impl RecordingWriter {
    /// Starts a recording that will stand at `path`, in place of any file there.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the folder is missing or cannot be written to.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, WriteError> {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&temporary).map_err(io_error(&path))?;
        let options = mcap::WriteOptions::new()
            .profile(PROFILE)
            .library(concat!("larder ", env!("CARGO_PKG_VERSION")))
            .compression(Some(mcap::Compression::Zstd))
            // The number of threads shows in the compressed bytes.
            .compression_threads(0);
        match options.create(BufWriter::with_capacity(1 << 18, file)) {
            Ok(out) => Ok(Self {
                path,
                temporary: Some(temporary),
                out,
                sensors: Vec::new(),
                ids: BTreeMap::new(),
                others: HashMap::new(),
                captured: HashMap::new(),
                buffer: Vec::new(),
            }),
            Err(source) => {
                let _ = fs::remove_file(&temporary);
                Err(WriteError::Mcap { path, source })
            }
        }
    }

    /// Opens the channel of a sensor. It appears in the file with its first message.
    ///
    /// # Errors
    /// [`WriteError::Refused`] for an empty name.
    pub fn channel(&mut self, appliance: &str, sensor: &str, modality: Modality) -> Result<ChannelId, WriteError> {
        if appliance.is_empty() || sensor.is_empty() {
            return Err(Refused::new(DeadReason::Malformed, "a channel without appliance or sensor").into());
        }
        let key = (appliance.to_owned(), sensor.to_owned(), modality);
        let next = ChannelId(self.sensors.len());
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            let (appliance, sensor) = (appliance.to_owned(), sensor.to_owned());
            self.sensors.push(Sensor { appliance, sensor, modality, open: None });
        }
        Ok(id)
    }

    /// Writes a reading: `value` in the unit of the channel's modality.
    ///
    /// # Errors
    /// [`WriteError`], also where no sensor of that modality can measure `value`.
    pub fn reading(&mut self, channel: ChannelId, time: Time, sequence: u32, value: i64) -> Result<(), WriteError> {
        let modality = self.sensors[channel.0].modality;
        let message = wire::encode_reading(modality, time, value)?;
        let id = self.sensor_channel(channel, Schema::Reading)?;
        self.write(id, time, sequence, &message)
    }

    /// Writes a picture as it is.
    ///
    /// # Errors
    /// [`WriteError`], also where the picture is too large or its rows do not add up.
    pub fn image(&mut self, channel: ChannelId, time: Time, sequence: u32, image: &Image) -> Result<(), WriteError> {
        wire::check_image(image)?;
        let Sensor { appliance, sensor, modality, .. } = &self.sensors[channel.0];
        if !modality.is_image() {
            return Err(WriteError::WrongChannel(*modality));
        }
        let frame_id = format!("{appliance}/{sensor}");
        let schema = match image.encoding {
            ImageEncoding::Raw { .. } => Schema::RawImage,
            ImageEncoding::Jpeg | ImageEncoding::Png => Schema::CompressedImage,
        };
        let id = self.sensor_channel(channel, schema)?;
        if let Some(message) = wire::encode_compressed(time, &frame_id, image) {
            self.write(id, time, sequence, &message)?;
        } else if let Some(message) = wire::encode_raw(time, &frame_id, image) {
            self.write(id, time, sequence, &message)?;
        }
        Ok(())
    }

    /// Writes an appliance.
    ///
    /// # Errors
    /// [`WriteError`], also where `names` lacks its texts.
    pub fn appliance(&mut self, appliance: &Appliance, names: &Names) -> Result<(), WriteError> {
        for name in [appliance.household.0, appliance.region, appliance.kind, appliance.model, appliance.time_zone] {
            known(names, name)?;
        }
        let id = self.other_channel(Schema::Appliance, Some(appliance.id), names)?;
        self.write(id, appliance.as_of, 0, &wire::encode_appliance(appliance, names))
    }

    /// Writes a product.
    ///
    /// # Errors
    /// [`WriteError`], also where `names` lacks its texts.
    pub fn product(&mut self, product: &Product, names: &Names) -> Result<(), WriteError> {
        for name in [product.id.0, product.name, product.category, product.brand] {
            known(names, name)?;
        }
        let id = self.other_channel(Schema::Product, None, names)?;
        self.write(id, product.as_of, 0, &wire::encode_product(product, names))
    }

    /// Writes a declared movement.
    ///
    /// # Errors
    /// [`WriteError`], also where `names` lacks its texts or it moves no package.
    pub fn declared(&mut self, movement: &DeclaredMovement, names: &Names) -> Result<(), WriteError> {
        for name in [movement.id, movement.source, movement.product.0, movement.group] {
            known(names, name)?;
        }
        let message = wire::encode_declared(movement, names)?;
        let id = self.other_channel(Schema::Declared, Some(movement.appliance), names)?;
        self.write(id, movement.time, 0, &message)
    }

    /// Writes a correction.
    ///
    /// # Errors
    /// [`WriteError`], also where `names` lacks its texts, and where it can never hold.
    pub fn correction(&mut self, correction: &Correction, names: &Names) -> Result<(), WriteError> {
        for name in correction.names() {
            known(names, name)?;
        }
        correction.check().map_err(|bad| Refused::new(DeadReason::BadValue, format!("a correction: {bad}")))?;
        for time in correction.times() {
            nanos(time)?;
        }
        let id = self.other_channel(Schema::Correction, None, names)?;
        self.write(id, correction.time, 0, &wire::encode_correction(correction, names))
    }

    /// Writes what an appliance truly held.
    ///
    /// # Errors
    /// [`WriteError`], also where `names` lacks its texts.
    pub fn truth(&mut self, truth: &Truth, names: &Names) -> Result<(), WriteError> {
        for (product, ..) in &truth.items {
            known(names, product.0)?;
        }
        let id = self.other_channel(Schema::Truth, Some(truth.appliance), names)?;
        self.write(id, truth.time, 0, &wire::encode_truth(truth, names))
    }

    /// Writes a record of a Kafka topic as it is; `carries` is what records of the topic are.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn captured(&mut self, record: &v1::KafkaRecord, carries: Carries) -> Result<(), WriteError> {
        let key = (record.topic.clone(), record.partition, carries);
        let channel_id = match self.captured.get(&key) {
            Some(id) => *id,
            None => {
                let topic = format!("/kafka/{}/{}", record.topic, record.partition);
                let metadata = BTreeMap::from([(key::CARRIES.to_owned(), carries.as_str().to_owned())]);
                let id = add_channel(&mut self.out, Schema::KafkaRecord, &topic, &metadata);
                let id = id.map_err(mcap_error(&self.path))?;
                self.captured.insert(key, id);
                id
            }
        };
        let millis = record.timestamp_ms.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
        self.put(channel_id, millis.saturating_mul(1_000_000), 0, record)
    }

    /// Completes the file and puts it at its path.
    ///
    /// # Errors
    /// [`WriteError`] where it cannot be written to the end.
    pub fn finish(mut self) -> Result<Summary, WriteError> {
        let summary = self.out.finish().map_err(mcap_error(&self.path))?;
        let temporary = self.temporary.as_deref().unwrap_or(&self.path);
        let file = File::open(temporary).map_err(io_error(&self.path))?;
        file.sync_all().map_err(io_error(&self.path))?;
        let bytes = file.metadata().map_err(io_error(&self.path))?.len();
        fs::rename(temporary, &self.path).map_err(io_error(&self.path))?;
        self.temporary = None;
        let stats = summary.stats.unwrap_or_default();
        let at = |nanos: u64| Time(i64::try_from(nanos / 1000).unwrap_or(i64::MAX));
        Ok(Summary {
            messages: stats.message_count,
            bytes,
            channels: stats.channel_count,
            span: (stats.message_count > 0).then(|| (at(stats.message_start_time), at(stats.message_end_time))),
        })
    }

    /// The MCAP channel for messages of `schema` of a sensor. A camera that changes between raw and compressed pictures
    /// has two, of one topic.
    fn sensor_channel(&mut self, channel: ChannelId, schema: Schema) -> Result<u16, WriteError> {
        let sensor = &mut self.sensors[channel.0];
        if let Some((open, id)) = sensor.open
            && open == schema
        {
            return Ok(id);
        }
        let topic = format!("/{}/{}", sensor.appliance, sensor.sensor);
        let metadata = BTreeMap::from([
            (key::APPLIANCE.to_owned(), sensor.appliance.clone()),
            (key::SENSOR.to_owned(), sensor.sensor.clone()),
            (key::MODALITY.to_owned(), sensor.modality.as_str().to_owned()),
        ]);
        let id = add_channel(&mut self.out, schema, &topic, &metadata).map_err(mcap_error(&self.path))?;
        sensor.open = Some((schema, id));
        Ok(id)
    }

    /// The MCAP channel for what is known beside the sensors.
    fn other_channel(
        &mut self,
        schema: Schema,
        appliance: Option<ApplianceId>,
        names: &Names,
    ) -> Result<u16, WriteError> {
        if let Some(id) = self.others.get(&(appliance, schema)) {
            return Ok(*id);
        }
        let (topic, metadata) = match appliance {
            None if schema == Schema::Correction => ("/corrections".to_owned(), BTreeMap::new()),
            None => ("/catalogue".to_owned(), BTreeMap::new()),
            Some(appliance) => {
                let text = known(names, appliance.0)?;
                let last = match schema {
                    Schema::Appliance => "appliance",
                    Schema::Declared => "declared",
                    _ => "truth",
                };
                (format!("/{text}/{last}"), BTreeMap::from([(key::APPLIANCE.to_owned(), text.to_owned())]))
            }
        };
        let id = add_channel(&mut self.out, schema, &topic, &metadata).map_err(mcap_error(&self.path))?;
        self.others.insert((appliance, schema), id);
        Ok(id)
    }

    fn write(&mut self, channel_id: u16, time: Time, sequence: u32, message: &impl Message) -> Result<(), WriteError> {
        self.put(channel_id, nanos(time)?, sequence, message)
    }

    fn put(&mut self, channel_id: u16, nanos: u64, sequence: u32, message: &impl Message) -> Result<(), WriteError> {
        self.buffer.clear();
        // A vector grows as needed, so that encoding into it cannot fail.
        message.encode(&mut self.buffer).unwrap_or_default();
        let header = MessageHeader { channel_id, sequence, log_time: nanos, publish_time: nanos };
        self.out.write_to_known_channel(&header, &self.buffer).map_err(mcap_error(&self.path))
    }
}

impl Drop for RecordingWriter {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = fs::remove_file(temporary);
        }
    }
}

fn add_channel(
    out: &mut mcap::Writer<BufWriter<File>>,
    schema: Schema,
    topic: &str,
    metadata: &BTreeMap<String, String>,
) -> mcap::McapResult<u16> {
    let id = out.add_schema(schema.name(), PROTOBUF, &wire::schema(schema.name()))?;
    out.add_channel(id, topic, PROTOBUF, metadata)
}

/// Nanoseconds since 1970.
fn nanos(time: Time) -> Result<u64, Refused> {
    let within = (Time::MIN..Time::MAX).contains(&time);
    let refused = || Refused::new(DeadReason::BadTime, format!("an event time of {time:?}"));
    within.then(|| time.0.unsigned_abs() * 1000).ok_or_else(refused)
}

fn known(names: &Names, name: Name) -> Result<&str, WriteError> {
    let text = names.text(name);
    if text.is_empty() && name != Name::default() { Err(WriteError::Unnamed(name)) } else { Ok(text) }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> WriteError {
    |source| WriteError::Io { path: path.to_owned(), source }
}

fn mcap_error(path: &Path) -> impl Fn(mcap::McapError) -> WriteError {
    |source| WriteError::Mcap { path: path.to_owned(), source }
}
