//! One simulated appliance on disk: its records, its sensors' messages in the order of arrival, and the truth.

use std::path::Path;

use jiff::tz::TimeZone;
use larder_records::{Appliance, ApplianceId, BoundingBox, HouseholdId, Image, Names, Product, ProductId, Time, Truth};
use rand::Rng;

use super::{
    Options, START, SimulateError,
    chance::{Purpose, stream},
    household::{Visit, live},
    pictures,
    products::GOODS,
    render::{Light, Room},
    sensors::{self, Readings, Sample, Sensor},
    truth,
};
use crate::feeds::recording::{ChannelId, RecordingWriter, Summary};

/// From closing the door to the camera's picture, and from that to the others'.
const PICTURED_AFTER: i64 = 2 * Time::SECOND;
const NEXT_PICTURE: i64 = 40_000;
/// Fewer pixels than these show too little of a package for a box.
const LEAST_PIXELS: usize = 40;
/// Fewer households than these are not shown in a market cell.
const MIN_HOUSEHOLDS: u32 = 2;

/// One appliance's recording, and its truth.
pub(super) struct Recorded {
    pub(super) appliance: String,
    pub(super) visits: Vec<Visit>,
    pub(super) file: Summary,
}

/// A message on its way to the recording.
enum Message {
    Sample(Sample),
    Image { sensor: Sensor, time: i64, sequence: u32, image: Image },
    Truth(Truth),
}

impl Message {
    /// When it arrives; then what orders those that arrive at once.
    fn order(&self) -> (i64, usize, i64, u32) {
        match self {
            Self::Sample(sample) => (sample.arrives, sample.sensor as usize, sample.time, sample.sequence),
            Self::Image { sensor, time, sequence, .. } => (*time, *sensor as usize, *time, *sequence),
            Self::Truth(truth) => (truth.time.0, Sensor::ALL.len(), truth.time.0, 0),
        }
    }
}

/// Lives the life of appliance `number`, and records it into `feeds`.
pub(super) fn record(
    options: &Options,
    number: u32,
    room: &Room,
    feeds: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Recorded, SimulateError> {
    let household = format!("home-{:03}", number + 1);
    let name = format!("{household}/fridge");
    let mut names = Names::default();
    let appliance = appliance(number, &household, &name, &mut names)?;
    let zone = TimeZone::get(names.text(appliance.time_zone))?;
    let stream = |purpose| stream(options.seed, number, purpose);
    let visits = live(&mut stream(Purpose::Household), START, options.days, zone);

    let mut out = Out::create(&feeds.join(format!("{household}-fridge.mcap")), &name)?;
    out.file.appliance(&appliance, &names)?;
    for product in products(&mut names)? {
        out.file.product(&product, &names)?;
    }
    let (mut light, mut noise) = (stream(Purpose::Pictures), stream(Purpose::Sensors));
    let mut readings = Readings::new(&mut noise, START.0, &visits);
    let mut samples = Vec::new();
    let mut rest = visits.iter().peekable();
    for day in 1..=i64::from(options.days) {
        let end = START.0 + day * Time::DAY;
        // A visit over midnight, in UTC, comes with the day that it ends in.
        while let Some(visit) = rest.next_if(|visit| visit.closed < end) {
            readings.door(visit, &mut samples);
            let truth = picture(visit, appliance.id, room, &mut light, &mut readings, &mut out.waiting)?;
            out.waiting.push(Message::Truth(truth));
        }
        readings.until(end, &mut samples);
        out.waiting.extend(samples.drain(..).map(Message::Sample));
        out.write_until(if day == i64::from(options.days) { i64::MAX } else { end }, &names)?;
        progress(1);
    }
    Ok(Recorded { appliance: name, file: out.file.finish()?, visits })
}

fn appliance(number: u32, household: &str, name: &str, names: &mut Names) -> Result<Appliance, SimulateError> {
    // Every fourth household lives elsewhere.
    let (region, zone) = match number % 4 {
        3 => ("north", "Europe/Stockholm"),
        1 => ("south", "Europe/Lisbon"),
        _ => ("south", "Europe/Madrid"),
    };
    let known = Appliance::new(
        ApplianceId(names.intern(name)?),
        HouseholdId(names.intern(household)?),
        names.intern("fridge")?,
    );
    Ok(Appliance {
        as_of: START,
        region: names.intern(region)?,
        model: names.intern("simulated")?,
        time_zone: names.intern(zone)?,
        min_households: MIN_HOUSEHOLDS,
        ..known
    })
}

fn products(names: &mut Names) -> Result<Vec<Product>, SimulateError> {
    let mut products = Vec::new();
    for good in GOODS {
        products.push(Product {
            id: ProductId(names.intern(good.sku)?),
            as_of: START,
            name: names.intern(good.name)?,
            category: names.intern(good.category)?,
            brand: names.intern(good.brand)?,
            package_mg: i64::from(good.grams) * 1000,
            shelf_life_days: good.shelf_life_days,
        });
    }
    Ok(products)
}

/// Takes the pictures that follow a visit, and tells what they show.
fn picture(
    visit: &Visit,
    appliance: ApplianceId,
    room: &Room,
    rng: &mut impl Rng,
    readings: &mut Readings<impl Rng>,
    messages: &mut Vec<Message>,
) -> Result<Truth, SimulateError> {
    let time = visit.closed + PICTURED_AFTER;
    let view = room.view(&visit.contents);
    let light = Light::random(rng);
    let pictures = [
        (Sensor::Camera, pictures::jpeg(&view.expose(&light, rng))?),
        (Sensor::Depth, sensors::depth(&view, &visit.contents, rng)),
        (Sensor::Infrared, sensors::infrared(&view, &visit.contents, time, rng)),
    ];
    for (delay, (sensor, image)) in (0..).zip(pictures) {
        let sequence = readings.next_sequence(sensor);
        messages.push(Message::Image { sensor, time: time + delay * NEXT_PICTURE, sequence, image });
    }
    let items = visit.contents.iter().zip(view.boxes(visit.contents.len())).map(|(item, found)| {
        let bounds = found.filter(|(_, pixels)| *pixels >= LEAST_PIXELS);
        let bounds = bounds.map(|([left, top, right, bottom], _)| BoundingBox { left, top, right, bottom });
        (ProductId::of(item.kind().sku), 1, bounds)
    });
    Ok(Truth { appliance, time: Time(visit.closed + truth::TOLD_AFTER), items: items.collect() })
}

struct Out {
    file: RecordingWriter,
    channels: Vec<ChannelId>,
    waiting: Vec<Message>,
}

impl Out {
    fn create(path: &Path, appliance: &str) -> Result<Self, SimulateError> {
        let mut file = RecordingWriter::create(path)?;
        let channels = Sensor::ALL.iter().map(|sensor| file.channel(appliance, sensor.name(), sensor.modality()));
        let channels = channels.collect::<Result<_, _>>()?;
        Ok(Self { file, channels, waiting: Vec::new() })
    }

    /// Writes what arrives before `end`, in the order of arrival.
    fn write_until(&mut self, end: i64, names: &Names) -> Result<(), SimulateError> {
        self.waiting.sort_by_key(Message::order);
        let ready = self.waiting.partition_point(|message| message.order().0 < end);
        for message in self.waiting.drain(..ready) {
            match message {
                Message::Sample(Sample { sensor, time, sequence, value, .. }) => {
                    self.file.reading(self.channels[sensor as usize], Time(time), sequence, value)?;
                }
                Message::Image { sensor, time, sequence, image } => {
                    self.file.image(self.channels[sensor as usize], Time(time), sequence, &image)?;
                }
                Message::Truth(truth) => self.file.truth(&truth, names)?,
            }
        }
        Ok(())
    }
}
