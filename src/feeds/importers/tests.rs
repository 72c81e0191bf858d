//! Real sources round-trip: what the recording holds is what a plain re-read of the source says.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use larder_records::{Frame, Image, Modality, Name, Names, Payload, Reason, Time};
use tempfile::TempDir;

use super::*;
use crate::feeds::recording::Recording;
use crate::feeds::{Event, Feed};

/// A folder of the real data, or none, which is said.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

struct Imported {
    events: Vec<Event>,
    names: Names,
    report: Report,
}

impl Imported {
    fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.events.iter().filter_map(|event| match event {
            Event::Frame(frame) => Some(frame),
            _ => None,
        })
    }

    fn images(&self) -> impl Iterator<Item = (&Frame, &Image)> {
        self.frames().filter_map(|frame| match &frame.payload {
            Payload::Image(image) => Some((frame, image)),
            Payload::Reading(_) => None,
        })
    }

    /// Appliance, sensor, time, sequence and value of each reading.
    fn readings(&self) -> Vec<(&str, &str, Time, u32, i64)> {
        let reading = |frame: &Frame| match frame.payload {
            Payload::Reading(value) => Some((frame.appliance.0, frame.sensor.0, frame.time, frame.sequence, value)),
            Payload::Image(_) => None,
        };
        self.frames()
            .filter_map(reading)
            .map(|(a, s, t, n, v)| (self.names.text(a), self.names.text(s), t, n, v))
            .collect()
    }

    fn truths(&self) -> impl Iterator<Item = &Truth> {
        self.events.iter().filter_map(|event| match event {
            Event::Truth(truth) => Some(truth),
            _ => None,
        })
    }

    fn declared(&self) -> impl Iterator<Item = &DeclaredMovement> {
        self.events.iter().filter_map(|event| match event {
            Event::Declared(movement) => Some(movement),
            _ => None,
        })
    }

    fn text(&self, name: Name) -> &str {
        self.names.text(name)
    }

    /// Times rise, and the report counts what is there.
    fn is_sound(&self) {
        let times: Vec<Time> = self
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Frame(frame) => Some(frame.time),
                Event::Declared(movement) => Some(movement.time),
                Event::Truth(truth) => Some(truth.time),
                _ => None,
            })
            .collect();
        assert!(times.is_sorted());
        let count = |of: fn(&Event) -> bool| self.events.iter().filter(|event| of(event)).count() as u64;
        assert_eq!(self.report.readings, self.readings().len() as u64);
        assert_eq!(self.report.images, self.images().count() as u64);
        assert_eq!(self.report.truths, self.truths().count() as u64);
        assert_eq!(self.report.declared, self.declared().count() as u64);
        assert_eq!(self.report.appliances, count(|event| matches!(event, Event::Appliance(_))));
        assert_eq!(self.report.products, count(|event| matches!(event, Event::Product(_))));
    }
}

/// Imports `source` and reads the recording back.
fn run(importer: &dyn Importer, source: &Path) -> Imported {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("imported.mcap");
    let (report, summary) = import(importer, source, &path, &mut ()).unwrap();
    let mut names = Names::default();
    let mut recording = Recording::open(&path).unwrap();
    let entries = std::iter::from_fn(|| recording.next_entry(&mut names).unwrap());
    let events: Vec<Event> = entries.map(|(_, entry)| entry.unwrap()).collect();
    assert_eq!(summary.messages, events.len() as u64);
    let imported = Imported { events, names, report };
    imported.is_sound();
    imported
}

#[test]
fn fridge_photos_keep_their_bytes_their_order_and_their_labels() {
    let Some(source) = data("fridge_snapshots/positive") else { return };
    let imported = run(&Snapshots::default(), &source);
    let order = [0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 17, 18];
    assert_eq!(imported.images().count(), order.len());
    for ((place, number), (frame, image)) in (0..).zip(order).zip(imported.images()) {
        assert_eq!(image.data, std::fs::read(source.join(format!("{number}.jpg"))).unwrap());
        assert_eq!(frame.time, Staging::of("a", "b").start.plus(place * Time::HOUR));
        let truth = imported.truths().find(|truth| truth.time == frame.time).unwrap();
        let text = |end: &str| std::fs::read_to_string(source.join(format!("{number}.bboxes{end}.tsv"))).unwrap();
        let items: Vec<(String, String)> = truth
            .items
            .iter()
            .map(|(product, count, bounds)| {
                let b = bounds.unwrap();
                assert_eq!(*count, 1);
                (imported.text(product.0).to_owned(), format!("{}\t{}\t{}\t{}", b.left, b.top, b.right, b.bottom))
            })
            .collect();
        let expected: Vec<(String, String)> =
            text(".labels").lines().zip(text("").lines()).map(|(l, b)| (l.to_owned(), b.to_owned())).collect();
        assert_eq!(items, expected, "photo {number}");
    }
    let doors: Vec<i64> = imported.readings().iter().map(|(.., value)| *value).collect();
    assert_eq!(doors, [1, 0].repeat(order.len()), "each photo is one visit");
    assert_eq!(imported.report.faults, 0);
}

#[test]
fn voc_boxes_in_a_folder_beside_the_photos_are_found() {
    let Some(source) = data("fridge_objects") else { return };
    let imported = run(&Snapshots::default(), &source);
    assert_eq!((imported.images().count(), imported.truths().count()), (5, 5));
    let Some(source) = data("ecustfd") else { return };
    let imported = run(&Snapshots::default(), &source);
    let objects = |path: &Path| std::fs::read_to_string(path).unwrap().matches("<object>").count();
    let annotations: Vec<PathBuf> =
        std::fs::read_dir(source.join("Annotations")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(imported.images().count(), 339);
    assert_eq!(imported.truths().count(), 339);
    let expected: usize = annotations.iter().map(|path| objects(path)).sum();
    assert_eq!(imported.truths().map(|truth| truth.items.len()).sum::<usize>(), expected);
}

#[test]
fn yolo_and_coco_boxes_say_the_same_as_tsv() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(200, 100).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    write("tsv/1.png", &png);
    write("tsv/1.bboxes.tsv", b"20\t10\t60\t50\n100\t0\t200\t100\n");
    write("tsv/1.bboxes.labels.tsv", b"milk\negg box\n");
    write("yolo/images/1.png", &png);
    write("yolo/labels/1.txt", b"1 0.2 0.3 0.2 0.4\n0 0.75 0.5 0.5 1\n7 0 0 0 0\n");
    write("yolo/classes.txt", b"egg box\nmilk\n");
    write("coco/pictures/1.png", &png);
    write(
        "coco/instances.json",
        br#"{"images":[{"id":4,"file_name":"pictures/1.png"}],"categories":[{"id":2,"name":"milk"},{"id":3,"name":"egg box"}],
        "annotations":[{"image_id":4,"category_id":2,"bbox":[20,10,40,40]},{"image_id":4,"category_id":3,"bbox":[100.2,0,99.8,100]}]}"#,
    );
    write("voc/1.png", &png);
    write(
        "voc/1.xml",
        b"<annotation><object><name>milk</name><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>
        <object><name>egg box</name><part><name>lid</name><bndbox><xmin>1</xmin></bndbox></part>
        <bndbox><xmin>100</xmin><ymin>0</ymin><xmax>200</xmax><ymax>100</ymax></bndbox></object></annotation>",
    );
    let truth = |kind: &str| {
        let imported = run(&Snapshots::default(), &folder.path().join(kind));
        (imported.truths().map(|truth| truth.items.clone()).collect::<Vec<_>>(), imported.report.faults)
    };
    let (tsv, faults) = truth("tsv");
    assert_eq!((tsv[0].len(), faults), (2, 0));
    assert_eq!(truth("yolo"), (tsv.clone(), 1), "the line of no known class is told");
    assert_eq!(truth("coco"), (tsv.clone(), 0));
    assert_eq!(truth("voc"), (tsv, 0));
}

#[test]
fn annotations_that_make_no_sense_are_told_and_the_photos_kept() {
    let folder = TempDir::new().unwrap();
    let jpeg = [0xff, 0xd8, 0xff, 0xe0];
    for name in ["1.jpg", "2.jpg", "3.jpg"] {
        std::fs::write(folder.path().join(name), jpeg).unwrap();
    }
    std::fs::write(folder.path().join("4.jpg"), b"GIF89a").unwrap();
    std::fs::write(folder.path().join("1.xml"), b"<annotation><object>").unwrap();
    std::fs::write(folder.path().join("2.bboxes.tsv"), b"1 2 NaN 4\n5 5 1 1\n").unwrap();
    std::fs::write(folder.path().join("2.bboxes.labels.tsv"), b"a\nb\nc\n").unwrap();
    std::fs::write(folder.path().join("3.txt"), b"0 0.5 0.5 0.1 0.1\n").unwrap();
    std::fs::write(folder.path().join("x.json"), b"[1, 2").unwrap();
    let imported = run(&Snapshots::default(), folder.path());
    assert_eq!(imported.images().count(), 3);
    let told: Vec<String> = imported
        .report
        .first_faults
        .iter()
        .map(|fault| format!("{}:{:?}", fault.path.file_name().unwrap().to_string_lossy(), fault.line))
        .collect();
    let expected = [
        "x.json:None",
        "1.xml:None",
        "2.bboxes.labels.tsv:None",
        "2.bboxes.tsv:Some(1)",
        "2.bboxes.tsv:Some(2)",
        "3.jpg:None",
        "4.jpg:None",
    ];
    assert_eq!(told.iter().map(|t| t.replace("3.txt", "3.jpg")).collect::<Vec<_>>(), expected);
}

#[test]
fn door_logs_hold_every_event_of_every_sensor() {
    let Some(source) = data("smart_home/houses") else { return };
    let imported = run(&Doors::default(), &source);
    let mut expected = Vec::new();
    for house in ["houseA", "houseB", "houseD"] {
        let text = std::fs::read_to_string(source.join(format!("{house}.sensors"))).unwrap();
        for (line, row) in text.lines().enumerate() {
            let n: Vec<i64> = row.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let line = u32::try_from(line).unwrap();
            expected.push((house, n[2], n[0], 2 * line, 1));
            expected.push((house, n[2], n[0] + n[1], 2 * line + 1, 0));
        }
    }
    let readings = imported.readings();
    assert_eq!(readings.len(), expected.len());
    // The sensors' own names, found by number, must be one to one with what was written.
    let mut appliances: BTreeMap<(&str, i64), BTreeSet<&str>> = BTreeMap::new();
    let of: BTreeMap<_, _> = readings
        .iter()
        .map(|&(appliance, sensor, time, sequence, value)| {
            assert_eq!(sensor, "door");
            ((appliance.split('/').next().unwrap(), time, sequence), (appliance, value))
        })
        .collect();
    for (house, sensor, seconds, sequence, value) in expected {
        let (appliance, found) = of[&(house, Time::from_seconds(seconds).unwrap(), sequence)];
        assert_eq!(found, value);
        appliances.entry((house, sensor)).or_default().insert(appliance);
    }
    assert!(appliances.values().all(|names| names.len() == 1));
    assert_eq!(appliances[&("houseA", 8)], BTreeSet::from(["houseA/fridge"]));
    assert_eq!(appliances[&("houseD", 126)], BTreeSet::from(["houseD/kitchen-refrigerator-a"]));
    assert_eq!(imported.report.appliances, appliances.len() as u64);
    assert_eq!(imported.report.faults, 0);
    let fridge = Doors { only: vec!["Fridge".to_owned(), "fridge".to_owned()], ..Doors::default() };
    let fridges = run(&fridge, &source);
    let found: BTreeSet<&str> = fridges.readings().iter().map(|reading| reading.0).collect();
    assert_eq!(found, BTreeSet::from(["houseA/fridge", "houseB/fridge"]));
}

#[test]
fn doors_of_one_instant_keep_the_order_of_the_log_and_bad_lines_are_told() {
    let folder = TempDir::new().unwrap();
    let log = "100\t5\t1\r\n105\t0\t1\r\nx\t1\t1\r\n\r\n90\t4294967295\t1\n105\t1\t2\t9\n-5\t1\t1\n90\t1\t3\n";
    std::fs::write(folder.path().join("home.sensors"), log).unwrap();
    std::fs::write(folder.path().join("home.sensor_names"), "1\tFridge\r\n2\tBox\r\nnonsense\r\n").unwrap();
    let imported = run(&Doors::default(), folder.path());
    let t = |seconds| Time::from_seconds(seconds).unwrap();
    let fridge = "home/fridge";
    assert_eq!(
        imported.readings(),
        [
            (fridge, "door", t(90), 8, 1),
            ("home/sensor-3", "door", t(90), 14, 1),
            ("home/sensor-3", "door", t(91), 15, 0),
            (fridge, "door", t(100), 0, 1),
            (fridge, "door", t(105), 1, 0),
            (fridge, "door", t(105), 2, 1),
            (fridge, "door", t(105), 3, 0),
            (fridge, "door", t(90 + 4_294_967_295), 9, 0),
        ]
    );
    let lines: Vec<Option<u64>> = imported.report.first_faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [Some(3), Some(3), Some(6), Some(7)]);
}

#[test]
fn power_logs_hold_every_line_in_the_order_of_time() {
    let Some(source) = data("tracebase") else { return };
    let imported = run(&Power::default(), &source);
    let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (file, device) in [
        ("Cookingstove/dev_D33097_2011.12.17.csv", "D33097"),
        ("MicrowaveOven/Microwave_2011.11.23.csv", "Microwave"),
        ("Refrigerator/dev_D32131_2012.05.15.csv", "D32131"),
        ("Refrigerator/dev_D32131_2012.05.16.csv", "D32131"),
        ("Refrigerator/dev_D32131_2012.05.17.csv", "D32131"),
        ("Refrigerator/dev_D32131_2012.05.18.csv", "D32131"),
    ] {
        let text = std::fs::read_to_string(source.join(file)).unwrap();
        let watts = text.lines().map(|line| line.split(';').nth(1).unwrap().parse::<i64>().unwrap() * 1000);
        expected.entry(format!("tracebase/{device}")).or_default().extend(watts);
    }
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (appliance, _, _, sequence, value) in imported.readings() {
        let values = found.entry(appliance.to_owned()).or_default();
        assert_eq!(sequence as usize, values.len());
        values.push(value);
    }
    assert!(found == expected);
    // 15/05/2012 00:00:08 in Berlin, in summer.
    let first = imported.readings().into_iter().find(|reading| reading.0 == "tracebase/D32131").unwrap();
    assert_eq!(first.2, Time::from_seconds(1_337_032_808).unwrap());
    let kinds: Vec<&str> = imported
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Appliance(appliance) => Some(imported.text(appliance.kind)),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["fridge", "cookingstove", "microwave"]);
}

#[test]
fn the_hour_that_clocks_show_twice_is_told_apart_by_the_order_of_lines() {
    let folder = TempDir::new().unwrap();
    let log = "28/10/2012 02:30:00;1;1\n28/10/2012 02:59:59;2;2\n28/10/2012 02:00:00;3;3\n28/10/2012 02:30:00;4;4\n\
               28/10/2012 03:00:00;5;5\n31/02/2012 00:00:00;6\n28/10/2012 03:00:01;NaN\n28/10/2012 03:00:01;2000000\n";
    std::fs::write(folder.path().join("plug.csv"), log).unwrap();
    let imported = run(&Power::default(), folder.path());
    let seconds: Vec<i64> =
        imported.readings().iter().map(|reading| reading.2.0 / Time::SECOND - 1_351_384_200).collect();
    assert_eq!(seconds, [0, 1799, 1800, 3600, 5400]);
    let lines: Vec<Option<u64>> = imported.report.first_faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [Some(6), Some(7), Some(8)]);
}

#[test]
fn receipts_hold_every_line_that_moves_a_package() {
    let Some(source) = data("complete_journey") else { return };
    let receipts = Receipts { region_from: Some("income".to_owned()), ..Receipts::default() };
    let imported = run(&Movements { receipts, ..Movements::default() }, &source);
    // No field of the file is quoted, so that splitting at commas is an independent reading of it.
    let text = std::fs::read_to_string(source.join("transactions.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let mut movements = imported.declared();
    let mut empty = 0;
    for (line, row) in (2..).zip(&rows[1..]) {
        if row[4] == "0" {
            empty += 1;
            continue;
        }
        let movement = movements.next().unwrap();
        assert_eq!(imported.text(movement.appliance.0), format!("{}/pantry", row[0]));
        assert_eq!(imported.text(movement.id), line.to_string());
        assert_eq!(imported.text(movement.group), row[2]);
        assert_eq!(imported.text(movement.product.0), row[3]);
        assert_eq!(movement.quantity, row[4].parse::<i64>().unwrap());
        assert!((movement.cents as f64 - row[5].parse::<f64>().unwrap() * 100.0).abs() < 0.5001);
        assert_eq!(movement.reason, Reason::Bought);
        let time = jiff::Timestamp::from_microsecond(movement.time.0).unwrap().to_string();
        assert_eq!(time, format!("{}Z", row[10].replace(' ', "T")));
    }
    assert!(movements.next().is_none());
    // Lines of no packages, and products that are bought but not described.
    let column = |file: &str, place: usize| -> BTreeSet<String> {
        let text = std::fs::read_to_string(source.join(file)).unwrap();
        text.lines().skip(1).map(|line| line.split(',').nth(place).unwrap().to_owned()).collect()
    };
    let (bought, described) = (column("transactions.csv", 3), column("products.csv", 0));
    assert_eq!(imported.report.faults, empty + bought.difference(&described).count() as u64);
    assert_eq!(imported.report.products, bought.intersection(&described).count() as u64);
    assert_eq!(imported.report.appliances, column("transactions.csv", 0).len() as u64);
    let regions: BTreeSet<&str> = imported
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Appliance(appliance) => Some(imported.text(appliance.region)),
            _ => None,
        })
        .collect();
    assert!(regions.contains("us") && regions.contains("75-99K"));
    let product = imported.events.iter().find_map(|event| match event {
        Event::Product(product) if imported.text(product.id.0) == "33337" => Some(product),
        _ => None,
    });
    if let Some(product) = product {
        assert_eq!(imported.text(product.category), "grocery/crackers-misc bkd fd/snack crackers");
        assert_eq!((imported.text(product.brand), product.package_mg), ("National", 269_320));
    }
}

#[test]
fn narrations_follow_the_rule_that_is_written_down() {
    let Some(source) = data("epic_kitchens_55") else { return };
    let imported = run(&Movements::default(), &source);
    // The rule anew, as one would write it in SQL: for each take or put, the last fridge action before it.
    let mut reader = csv::Reader::from_path(source.join("EPIC_train_action_labels.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let key = |row: &BTreeMap<String, String>| (row["start_timestamp"].clone(), row["uid"].parse::<u64>().unwrap());
    let mut videos: BTreeMap<&str, Vec<&BTreeMap<String, String>>> = BTreeMap::new();
    for row in &rows {
        videos.entry(&row["video_id"]).or_default().push(row);
    }
    let mut expected = BTreeSet::new();
    let mut opened = 0;
    for (video, actions) in &videos {
        let gates: Vec<_> = actions
            .iter()
            .filter(|row| row["noun_class"] == "10" && ["2", "3"].contains(&row["verb_class"].as_str()))
            .collect();
        opened += gates.iter().filter(|row| row["verb_class"] == "2").count();
        for row in actions.iter().filter(|row| row["noun_class"] != "10") {
            let quantity = match row["verb_class"].as_str() {
                "0" => -1,
                "1" => 1,
                _ => continue,
            };
            let Some(last) = gates.iter().filter(|gate| key(gate) < key(row)).max_by_key(|gate| key(gate)) else {
                continue;
            };
            if last["verb_class"] == "2" {
                let k = gates.iter().filter(|gate| gate["verb_class"] == "2" && key(gate) <= key(last)).count();
                expected.insert((
                    row["uid"].clone(),
                    row["noun"].clone(),
                    quantity,
                    format!("{video}#{k}"),
                    format!("{}/fridge", row["participant_id"]),
                ));
            }
        }
    }
    let text = |name| imported.text(name).to_owned();
    let found: BTreeSet<_> = imported
        .declared()
        .map(|m| (text(m.id), text(m.product.0), m.quantity, text(m.group), text(m.appliance.0)))
        .collect();
    assert!(expected.len() > 500, "{}", expected.len());
    assert_eq!(found, expected);
    assert_eq!(imported.readings().iter().filter(|reading| reading.4 == 1).count(), opened);
    assert_eq!(imported.readings().len(), 2 * opened, "each opening closes");
    // Every video has a date, in one of two forms.
    assert_eq!(imported.report.faults, 0);
    let mut dates = BTreeMap::new();
    for row in csv::Reader::from_path(source.join("EPIC_descriptions.csv")).unwrap().deserialize() {
        let row: BTreeMap<String, String> = row.unwrap();
        let mut parts: Vec<&str> = row["date"].split(['/', '-']).collect();
        if parts[0].len() == 2 {
            parts.reverse();
        }
        let stamp: jiff::Timestamp = format!("{}T{}Z", parts.join("-"), row["time"]).parse().unwrap();
        dates.insert(row["video_id"].clone(), stamp.as_microsecond());
    }
    let begins: BTreeMap<&str, f64> = rows
        .iter()
        .map(|row| {
            let parts: Vec<f64> = row["start_timestamp"].split(':').map(|part| part.parse().unwrap()).collect();
            (row["uid"].as_str(), parts[0] * 3600.0 + parts[1] * 60.0 + parts[2])
        })
        .collect();
    for movement in imported.declared() {
        let video = imported.text(movement.group).split('#').next().unwrap();
        let offset = (begins[imported.text(movement.id)] * 100.0).round() as i64 * 10_000;
        assert_eq!(movement.time.0, dates[video] + offset);
    }
}

#[test]
fn colour_and_depth_share_an_instant_and_labels_become_boxes() {
    let Some(source) = data("depth_mosd") else { return };
    let imported = run(&Rgbd::default(), &source);
    let images: Vec<_> = imported.images().collect();
    assert_eq!(images.len(), 2 * imported.truths().count());
    for (pair, truth) in images.chunks(2).zip(imported.truths()) {
        assert_eq!((pair[0].0.modality, pair[1].0.modality), (Modality::Visible, Modality::Depth));
        assert!(pair[0].0.time == pair[1].0.time && truth.time == pair[0].0.time);
        assert!(!truth.items.is_empty());
        let scene = imported.text(truth.items[0].0.0).split('/').next().unwrap();
        let labels = image::open(source.join(format!("{scene}_label.png"))).unwrap().into_luma16();
        let ids: BTreeSet<u16> = labels.pixels().map(|pixel| pixel.0[0]).filter(|id| *id != 0).collect();
        assert_eq!(truth.items.len(), ids.len());
        for (product, _, bounds) in &truth.items {
            let id: u16 = imported.text(product.0).split('/').nth(1).unwrap().parse().unwrap();
            let b = bounds.unwrap();
            let inside = |x: u32, y: u32| {
                (u32::from(b.left)..u32::from(b.right)).contains(&x)
                    && (u32::from(b.top)..u32::from(b.bottom)).contains(&y)
            };
            assert!(labels.enumerate_pixels().filter(|(.., pixel)| pixel.0[0] == id).all(|(x, y, _)| inside(x, y)));
        }
    }
}

#[test]
fn a_source_with_nothing_of_its_kind_is_an_error_and_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("out.mcap");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let importers: [&dyn Importer; 5] =
        [&Snapshots::default(), &Doors::default(), &Power::default(), &Movements::default(), &Rgbd::default()];
    for importer in importers {
        assert!(import(importer, &folder.path().join("empty"), &target, &mut ()).is_err());
        assert!(import(importer, &folder.path().join("missing"), &target, &mut ()).is_err());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn names_are_ordered_as_people_number_them() {
    let mut names = ["b10", "b9", "a2x", "a10", "a2", "b010", "b"].map(PathBuf::from);
    names.sort_by(|a, b| natural_order(a, b));
    assert_eq!(names, ["a2", "a2x", "a10", "b", "b9", "b010", "b10"].map(PathBuf::from));
    assert_eq!(slug("Bathroom,Toilet Flush "), "bathroom-toilet-flush");
}
