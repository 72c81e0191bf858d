use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
};

use arrow::{
    array::{Array as _, AsArray as _},
    datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use larder_records::{Frame, ImageEncoding, Modality, Names, Payload, Product, Truth};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{
    chance::{Purpose, stream},
    household::{EMPTY_VISITS, live},
    products::{GOODS, Shape},
    render::{Light, NOBODY, Room},
    scene::{CAMERA, DEPTH, Item, PICTURE, SLOTS, project, slot},
    *,
};
use crate::feeds::{Event, Feed as _, recording::Recording};

/// The good of that SKU, standing straight in a slot.
fn item(sku: &str, slot: usize) -> Item {
    let good = GOODS.iter().position(|good| good.sku == sku).unwrap();
    Item { good, slot, off: (0.0, 0.0), turn: 0.0, milligrams: 500_000, bought: 0, since: 0, warmth: 20.0 }
}

fn fits(item: &Item) -> bool {
    slot(item.slot).headroom > item.kind().shape.height()
}

fn pixel(point: [f32; 3]) -> usize {
    let (x, y) = project(point);
    y as usize * PICTURE.0 + x as usize
}

#[test]
fn every_package_is_seen_where_it_stands() {
    let room = Room::new();
    for good in GOODS {
        for item in (0..SLOTS).map(|slot| item(good.sku, slot)).filter(fits) {
            let ([left, top, right, bottom], pixels) = room.view(&[item]).boxes(1)[0].unwrap();
            assert!(
                left < right && top < bottom && usize::from(right) <= PICTURE.0 && usize::from(bottom) <= PICTURE.1
            );
            // From one thousandth of the picture to three twentieths of it.
            assert!((307..46_080).contains(&pixels), "{}: {pixels} pixels", good.sku);
            let [x, y, z] = item.foot();
            // A shelf's edge may hide its foot, or the one above its head.
            let ((x, head), (_, foot)) = (project([x, y + good.shape.height(), z]), project([x, y, z]));
            assert!((f32::from(left)..f32::from(right)).contains(&x), "{}", good.sku);
            assert!(f32::from(top) < foot && head < f32::from(bottom), "{}", good.sku);
        }
    }
}

#[test]
fn depth_agrees_with_where_things_stand() {
    let room = Room::new();
    let empty = room.view(&[]);
    assert_eq!(empty.away[pixel([40.0, 380.0, DEPTH])], DEPTH - CAMERA[2]);
    let rng = &mut stream(1, 0, Purpose::Pictures);
    for (sku, number) in [("milk-whole-1l", 2), ("cheddar-400g", 10), ("orange", 11), ("cola-can", 12)] {
        let item = item(sku, number);
        let [x, y, z] = item.foot();
        let (nearest, height) = match item.kind().shape {
            Shape::Block(_, height, depth) => (z - depth / 2.0, height / 2.0),
            Shape::Lathe(_) => (z - 33.0, 60.0),
            Shape::Ball(radius) => (z - radius, radius),
        };
        let (view, point) = (room.view(&[item]), [x, y + height, nearest]);
        // A pixel is a millimetre or two wide, and a round thing falls off beside its nearest point.
        let seen = view.away[pixel(point)];
        assert!((seen - (nearest - CAMERA[2])).abs() < 6.0, "{sku}: {seen}");
        assert_eq!(view.who[pixel(point)], 0);

        let image = sensors::depth(&view, &[item], rng);
        let ImageEncoding::Raw { width, height, .. } = image.encoding else { panic!("a raw picture") };
        assert_eq!((width, height), (320, 240));
        let (across, down) = project(point);
        let median = {
            let at = |x: u32, y: u32| {
                let at = 2 * (y * width + x) as usize;
                u16::from_le_bytes([image.data[at], image.data[at + 1]])
            };
            let (x, y) = (across as u32 / 2, down as u32 / 2);
            let mut around: Vec<u16> =
                (x - 2..=x + 2).flat_map(|x| (y - 2..=y + 2).map(move |y| (x, y))).map(|(x, y)| at(x, y)).collect();
            around.retain(|value| *value > 0);
            around.sort_unstable();
            f32::from(around[around.len() / 2])
        };
        assert!((median - (nearest - CAMERA[2])).abs() < 8.0, "{sku}: {median}");
    }
}

#[test]
fn what_stands_in_front_hides_what_stands_behind() {
    let room = Room::new();
    let (front, behind) = (item("milk-whole-1l", 1), Item { off: (-45.0, 0.0), ..item("mustard", 6) });
    let alone = room.view(&[behind]).boxes(1)[0].unwrap().1;
    for order in [[front, behind], [behind, front]] {
        let view = room.view(&order);
        let at = order.iter().position(|item| *item == behind).unwrap();
        let left = view.boxes(2)[at].map_or(0, |(_, pixels)| pixels);
        assert!(left < alone * 3 / 4, "{left} of {alone} pixels");
    }
    assert!(room.view(&[]).who.iter().all(|who| *who == NOBODY));
}

#[test]
fn light_changes_the_picture_and_not_what_is_in_it() {
    let room = Room::new();
    let view = room.view(&[item("orange", 2)]);
    let rng = &mut stream(1, 0, Purpose::Pictures);
    let lights: Vec<Light> = (0..20).map(|_| Light::random(rng)).collect();
    let mean = |light: &Light, rng: &mut _| {
        let picture = view.expose(light, rng);
        picture.iter().map(|value| u64::from(*value)).sum::<u64>() / picture.len() as u64
    };
    let means: Vec<u64> = lights.iter().map(|light| mean(light, rng)).collect();
    assert!(means.iter().max().unwrap() - means.iter().min().unwrap() > 20, "{means:?}");
}

fn small(output: &Path) -> Options {
    Options { appliances: 2, days: 2, seed: 7, output: output.to_owned() }
}

/// Every file below a folder, by path.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let simulated = |threads: usize, seed: u64| {
        let dir = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let days = std::sync::atomic::AtomicU64::new(0);
        let count = |finished| {
            days.fetch_add(finished, std::sync::atomic::Ordering::Relaxed);
        };
        let options = Options { seed, days: 1, ..small(dir.path()) };
        let summary = pool.install(|| simulate(&options, &count)).unwrap();
        assert_eq!(days.into_inner(), 2);
        assert!(summary.simulated && summary.to_string().contains("simulated"));
        files(dir.path())
    };
    let (one, two, other) = (simulated(1, 7), simulated(2, 7), simulated(2, 8));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (path, bytes) in &one {
        assert!(two[path] == *bytes, "{} differs", path.display());
    }
    assert!(one[Path::new("feeds/home-001-fridge.mcap")] != other[Path::new("feeds/home-001-fridge.mcap")]);
    assert!(one[Path::new("feeds/home-001-fridge.mcap")] != one[Path::new("feeds/home-002-fridge.mcap")]);
}

struct Read {
    names: Names,
    frames: Vec<Frame>,
    truths: Vec<Truth>,
    products: Vec<Product>,
    appliances: usize,
}

fn read(path: &Path) -> Read {
    let (mut frames, mut truths, mut products, mut appliances) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut names = Names::default();
    let mut recording = Recording::open(path).unwrap();
    while let Some((position, entry)) = recording.next_entry(&mut names).unwrap() {
        match entry.unwrap_or_else(|dead| panic!("{position}: {dead}")) {
            Event::Frame(frame) => frames.push(frame),
            Event::Truth(truth) => truths.push(truth),
            Event::Product(product) => products.push(product),
            Event::Appliance(_) => appliances += 1,
            other => panic!("{other:?} is nothing that is simulated"),
        }
    }
    Read { names, frames, truths, products, appliances }
}

/// A table of the truth: appliance, time, SKU, kind (or nothing), number.
fn rows(path: &Path) -> Vec<(String, i64, String, String, i64)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let text = |name: &str, row: usize| {
            batch.column_by_name(name).map_or(String::new(), |column| column.as_string::<i32>().value(row).to_owned())
        };
        let number = batch.column_by_name("count").or(batch.column_by_name("quantity")).unwrap();
        let time = batch.column_by_name("time").unwrap();
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(*time.data_type(), utc);
        for row in 0..batch.num_rows() {
            rows.push((
                text("appliance", row),
                time.as_primitive::<TimestampMicrosecondType>().value(row),
                text("sku", row),
                text("kind", row),
                number.as_primitive::<Int64Type>().value(row),
            ));
        }
    }
    rows
}

#[test]
fn a_recording_holds_what_the_truth_says() {
    let dir = tempfile::tempdir().unwrap();
    let summary = simulate(&small(dir.path()), &|_| ()).unwrap();
    let name = "home-002/fridge";
    let recording = read(&dir.path().join("feeds/home-002-fridge.mcap"));
    assert_eq!((recording.appliances, recording.products.len()), (1, GOODS.len()));

    // Each visit has an opening, a closing, three pictures and the truth three seconds after the closing.
    let of = |modality: Modality| recording.frames.iter().filter(move |frame| frame.modality == modality);
    let closed: Vec<i64> =
        of(Modality::Door).filter(|frame| frame.payload == Payload::Reading(0)).map(|frame| frame.time.0).collect();
    assert_eq!(of(Modality::Door).count(), 2 * closed.len());
    for modality in [Modality::Visible, Modality::Depth, Modality::Infrared] {
        let times: Vec<i64> = of(modality).map(|frame| frame.time.0).collect();
        assert_eq!(times.len(), closed.len());
        assert!(times.iter().zip(&closed).all(|(time, closed)| (closed + 1..closed + 3_000_000).contains(time)));
    }
    let told: Vec<i64> = recording.truths.iter().map(|truth| truth.time.0).collect();
    assert_eq!(told, closed.iter().map(|closed| closed + 3 * Time::SECOND).collect::<Vec<_>>());
    assert!(recording.truths[..EMPTY_VISITS].iter().all(|truth| truth.items.is_empty()));
    assert!(recording.truths.iter().flat_map(|truth| &truth.items).any(|(.., bounds)| bounds.is_some()));

    // Movements, summed, are the inventory: in the tables and in the recording.
    let movements = rows(&dir.path().join("truth/movements.parquet"));
    let inventory = rows(&dir.path().join("truth/inventory.parquet"));
    assert_eq!(movements.iter().map(|row| row.4).sum::<i64>(), summary.movements as i64);
    for truth in &recording.truths {
        let mut summed: BTreeMap<&str, i64> = BTreeMap::new();
        for (appliance, time, sku, kind, quantity) in &movements {
            if appliance == name && *time < truth.time.0 {
                *summed.entry(sku).or_default() += match kind.as_str() {
                    "in" => *quantity,
                    "out" => -quantity,
                    _ => 0,
                };
            }
        }
        summed.retain(|_, count| *count != 0);
        let mut told: BTreeMap<&str, i64> = BTreeMap::new();
        for (product, packages, _) in &truth.items {
            *told.entry(recording.names.text(product.0)).or_default() += i64::from(*packages);
        }
        let table = inventory.iter().filter(|row| row.0 == name && row.1 == truth.time.0);
        assert_eq!(summed, told);
        assert_eq!(told, table.map(|row| (row.2.as_str(), row.4)).collect());
    }
}

#[test]
fn some_readings_come_late_and_some_twice() {
    let dir = tempfile::tempdir().unwrap();
    simulate(&Options { appliances: 1, ..small(dir.path()) }, &|_| ()).unwrap();
    let recording = read(&dir.path().join("feeds/home-001-fridge.mcap"));
    let scale: Vec<&Frame> = recording.frames.iter().filter(|frame| frame.modality == Modality::Weight).collect();
    assert!(scale.windows(2).any(|pair| pair[0].time.0 > pair[1].time.0 + 5 * Time::SECOND), "late");
    let mut known: HashMap<u32, &Frame> = HashMap::new();
    let mut twice = 0;
    for frame in &scale {
        if let Some(first) = known.insert(frame.sequence, frame) {
            assert_eq!(first, *frame, "a duplicate is exact");
            twice += 1;
        }
    }
    assert!((20..500).contains(&(twice * 10_000 / scale.len())), "{twice} of {}", scale.len());

    // After the last visit the scale shows what is in the fridge, give or take its noise and drift.
    let times: HashSet<i64> = scale.iter().map(|frame| frame.time.0).collect();
    assert!(times.len() > 4000);
    let zone = jiff::tz::TimeZone::get("Europe/Madrid").unwrap();
    let visits = live(&mut stream(7, 0, Purpose::Household), START, 2, zone);
    let last = visits.last().unwrap();
    let load: i64 = last.contents.iter().map(|item| item.milligrams).sum();
    let mut after: Vec<i64> = scale
        .iter()
        .filter(|frame| frame.time.0 > last.closed)
        .map(|frame| if let Payload::Reading(value) = frame.payload { value } else { 0 })
        .collect();
    after.sort_unstable();
    let median = after[after.len() / 2];
    assert!((median - load).abs() < 40_000, "{median} mg of {load}");
}
