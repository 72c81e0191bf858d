//! What the sensors make of it: noise, drift, drop-outs, duplicates and late messages.

use larder_records::{Image, ImageEncoding, Modality, PixelFormat, Time};
use rand::Rng;

use super::{
    chance::normal,
    household::{COLD, KITCHEN, Visit, warmth_at},
    render::{NOBODY, View},
    scene::{Item, PICTURE},
};

/// A sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sensor {
    Camera,
    Depth,
    Infrared,
    Scale,
    Door,
    Thermometer,
    Plug,
}

impl Sensor {
    /// Every sensor, in the order of their numbers.
    pub(super) const ALL: [Self; 7] =
        [Self::Camera, Self::Depth, Self::Infrared, Self::Scale, Self::Door, Self::Thermometer, Self::Plug];

    /// Its name within the appliance.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Depth => "depth",
            Self::Infrared => "infrared",
            Self::Scale => "scale",
            Self::Door => "door",
            Self::Thermometer => "thermometer",
            Self::Plug => "plug",
        }
    }

    /// What it measures.
    pub(super) fn modality(self) -> Modality {
        match self {
            Self::Camera => Modality::Visible,
            Self::Depth => Modality::Depth,
            Self::Infrared => Modality::Infrared,
            Self::Scale => Modality::Weight,
            Self::Door => Modality::Door,
            Self::Thermometer => Modality::Temperature,
            Self::Plug => Modality::Power,
        }
    }
}

/// One value of a sensor, and when it reaches the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) sensor: Sensor,
    pub(super) time: i64,
    pub(super) arrives: i64,
    pub(super) sequence: u32,
    pub(super) value: i64,
}

/// Around a visit, the scale is read every second for so long.
const WATCHED: i64 = 70 * Time::SECOND;
/// Else it is read every so often.
const SCALE_PERIOD: i64 = 30 * Time::SECOND;
/// So often the thermometer and the plug are read.
const SLOW_PERIOD: i64 = Time::MINUTE;
/// The deviation of the scale, in milligrams.
const SCALE_NOISE: f32 = 3000.0;

/// The readings of one appliance, day by day.
pub(super) struct Readings<'a, R> {
    rng: &'a mut R,
    visits: &'a [Visit],
    sequences: [u32; Sensor::ALL.len()],
    scale: Scale,
    /// When the next reading of the thermometer and of the plug is due.
    due: [i64; 2],
    climate: Climate,
}

struct Scale {
    due: i64,
    /// The first visit that has not been over for [`WATCHED`] yet.
    visit: usize,
    /// The load before that visit, in milligrams.
    load: i64,
    /// How far off it is by now, in milligrams.
    drift: f32,
    /// Until when it says nothing.
    silent_until: i64,
}

struct Climate {
    /// The first visit that is not over.
    visit: usize,
    celsius: f32,
    cooling: bool,
}

impl<'a, R: Rng> Readings<'a, R> {
    /// The readings from `start` on of an appliance with these visits.
    pub(super) fn new(rng: &'a mut R, start: i64, visits: &'a [Visit]) -> Self {
        let mut phase = |period| start + rng.random_range(0..period / 1000) * 1000;
        let (due, scale_due) = ([phase(SLOW_PERIOD), phase(SLOW_PERIOD)], phase(SCALE_PERIOD));
        let scale = Scale { due: scale_due, visit: 0, load: 0, drift: 0.0, silent_until: start };
        Self {
            rng,
            visits,
            sequences: [0; Sensor::ALL.len()],
            scale,
            due,
            climate: Climate { visit: 0, celsius: COLD, cooling: false },
        }
    }

    /// The next number of a sensor's messages.
    pub(super) fn next_sequence(&mut self, sensor: Sensor) -> u32 {
        let next = &mut self.sequences[sensor as usize];
        *next += 1;
        *next - 1
    }

    /// The readings before `end` that have not been given yet, in no order.
    pub(super) fn until(&mut self, end: i64, samples: &mut Vec<Sample>) {
        while self.scale.due < end {
            self.weigh(samples);
        }
        for (number, sensor) in [Sensor::Thermometer, Sensor::Plug].into_iter().enumerate() {
            while self.due[number] < end {
                let time = self.due[number];
                self.due[number] += SLOW_PERIOD;
                let value = if sensor == Sensor::Thermometer { self.celsius(time) } else { self.watts(time) };
                self.send(sensor, time, value, samples);
            }
        }
    }

    /// The door's two messages of a visit. They are never lost and never late: the door is wired.
    pub(super) fn door(&mut self, visit: &Visit, samples: &mut Vec<Sample>) {
        for (time, value) in [(visit.opened, 1), (visit.closed, 0)] {
            let sequence = self.next_sequence(Sensor::Door);
            samples.push(Sample { sensor: Sensor::Door, time, arrives: time, sequence, value });
        }
    }

    fn weigh(&mut self, samples: &mut Vec<Sample>) {
        let time = self.scale.due;
        while let Some(visit) = self.visits.get(self.scale.visit).filter(|visit| visit.closed + WATCHED < time) {
            self.scale.load += visit.changes.iter().map(|change| change.milligrams).sum::<i64>();
            self.scale.visit += 1;
        }
        // Visits that follow each other closely are both near.
        let mut load = self.scale.load;
        let (mut watched, mut open, mut next) = (false, false, i64::MAX);
        for visit in &self.visits[self.scale.visit..] {
            if visit.opened - WATCHED > time {
                next = visit.opened - WATCHED;
                break;
            }
            watched |= time <= visit.closed + WATCHED;
            open |= (visit.opened..visit.closed).contains(&time);
            load +=
                visit.changes.iter().filter(|change| change.at <= time).map(|change| change.milligrams).sum::<i64>();
        }
        self.scale.due = if watched { time + Time::SECOND } else { (time + SCALE_PERIOD).min(next) };

        let step = if watched { 6.0 } else { 40.0 };
        self.scale.drift = self.scale.drift * 0.9995 + step * normal(self.rng);
        if self.rng.random_range(0..20_000) == 0 {
            self.scale.silent_until = time + self.rng.random_range(1..12) * Time::MINUTE;
        }
        if time < self.scale.silent_until {
            return;
        }
        let daily = 6000.0 * (time.rem_euclid(Time::DAY) as f32 / Time::DAY as f32 * std::f32::consts::TAU).sin();
        let mut value = load as f32 + self.scale.drift + daily + SCALE_NOISE * normal(self.rng);
        if open {
            // Hands lean on shelves.
            value += 60_000.0 * normal(self.rng).abs();
        } else if self.rng.random_range(0..4000) == 0 {
            value += 2_500_000.0 * normal(self.rng);
        }
        self.send(Sensor::Scale, time, value as i64, samples);
    }

    fn celsius(&mut self, time: i64) -> i64 {
        let from = time - SLOW_PERIOD;
        let open = self.open_seconds(from, time);
        let climate = &mut self.climate;
        // A compressor with a dead zone of two degrees.
        if climate.celsius > COLD + 1.0 {
            climate.cooling = true;
        } else if climate.celsius < COLD - 1.0 {
            climate.cooling = false;
        }
        climate.celsius += if climate.cooling { -0.09 } else { 0.035 };
        climate.celsius += (KITCHEN - climate.celsius) * (open / 240.0).min(0.5);
        (climate.celsius * 1000.0 + 60.0 * normal(self.rng)) as i64
    }

    /// How many seconds the door was open in a span of time. Spans are asked for in order.
    fn open_seconds(&mut self, from: i64, to: i64) -> f32 {
        while self.visits.get(self.climate.visit).is_some_and(|visit| visit.closed <= from) {
            self.climate.visit += 1;
        }
        let near = self.visits[self.climate.visit..].iter().take_while(|visit| visit.opened < to);
        let open: i64 = near.map(|visit| visit.closed.min(to) - visit.opened.max(from)).sum();
        open as f32 / Time::SECOND as f32
    }

    fn watts(&mut self, time: i64) -> i64 {
        // The compressor's cycle, as regular as a good seal makes it; the light is on while the door is open.
        let cycle = time.rem_euclid(43 * Time::MINUTE) < 16 * Time::MINUTE;
        let first = self.visits.partition_point(|visit| visit.closed <= time);
        let lamp = self.visits.get(first).is_some_and(|visit| visit.opened <= time);
        let watts = if cycle { 78.0 } else { 1.8 } + if lamp { 12.0 } else { 0.0 };
        ((watts + 0.4 * normal(self.rng)) * 1000.0).max(0.0) as i64
    }

    /// Sends a reading: sometimes late, sometimes twice.
    fn send(&mut self, sensor: Sensor, time: i64, value: i64, samples: &mut Vec<Sample>) {
        let sequence = self.next_sequence(sensor);
        let late = match self.rng.random_range(0..1000) {
            0..5 => self.rng.random_range(10..240) * Time::SECOND,
            5..30 => self.rng.random_range(0..5000) * 1000,
            _ => 0,
        };
        let sample = Sample { sensor, time, arrives: time + late, sequence, value };
        samples.push(sample);
        if self.rng.random_range(0..100) == 0 {
            samples.push(Sample { arrives: sample.arrives + self.rng.random_range(1..30_000) * 1000, ..sample });
        }
    }
}

fn raw(width: usize, height: usize, data: Vec<u8>) -> Image {
    // Both are a few hundred.
    let (width, height) = (width as u32, height as u32);
    let encoding = ImageEncoding::Raw { width, height, step: 2 * width, pixel: PixelFormat::Grey16 };
    Image { encoding, data: data.into() }
}

/// The depth camera's picture of a view: half the size, millimetres along the axis, noise that grows with the square of
/// the distance, holes at edges and on what shines.
pub(super) fn depth(view: &View, items: &[Item], rng: &mut impl Rng) -> Image {
    let (width, height) = (PICTURE.0 / 2, PICTURE.1 / 2);
    let mut data = Vec::with_capacity(width * height * 2);
    for y in 0..height {
        for x in 0..width {
            let at = 2 * y * PICTURE.0 + 2 * x;
            let away = view.away[at];
            let beside = [at + 1, at + PICTURE.0].into_iter().any(|other| (view.away[other] - away).abs() > 25.0);
            let gloss = items.get(usize::from(view.who[at])).map_or(0.0, |item| item.kind().print.gloss);
            let holes = if beside { 60 } else { 1 + (gloss * 6.0) as u32 };
            let noise = (0.8 + 2.2 * (away / 1000.0).powi(2)) * normal(rng);
            let hole = rng.random_range(0..100_u32) < holes;
            let value = if hole { 0 } else { (away + noise).round() as u16 };
            data.extend_from_slice(&value.to_le_bytes());
        }
    }
    raw(width, height, data)
}

/// The infrared camera's picture of a view at `now`: a quarter of the size, hundredths of a kelvin.
pub(super) fn infrared(view: &View, items: &[Item], now: i64, rng: &mut impl Rng) -> Image {
    let (width, height) = (PICTURE.0 / 4, PICTURE.1 / 4);
    let warmth: Vec<f32> = items.iter().map(|item| warmth_at(item, now)).collect();
    let mut data = Vec::with_capacity(width * height * 2);
    for y in 0..height {
        for x in 0..width {
            let at = (4 * y + 2) * PICTURE.0 + 4 * x + 2;
            let who = view.who[at];
            // Warm air gathers at the top.
            let wall = COLD + 0.8 * (1.0 - y as f32 / height as f32);
            let celsius = if who == NOBODY { wall } else { warmth[usize::from(who)] };
            let value = ((celsius + 273.15) * 100.0 + 7.0 * normal(rng)).round() as u16;
            data.extend_from_slice(&value.to_le_bytes());
        }
    }
    raw(width, height, data)
}
