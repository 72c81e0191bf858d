use proptest::prelude::*;
use prost::Message as _;
use prost_types::{FileDescriptorSet, Timestamp};

use super::*;
use crate::{
    Amendment, ApplianceFields, ApplianceId, BoundingBox, Candidate, Change, Correction, DeadLetter, Digest, Frame,
    FrameKey, FrameResult, Grid, HouseholdId, Image, ImageEncoding, Modality, MovementKey, Name, Names, PPM, Payload,
    PixelFormat, Position, ProductFields, ProductId, SensorId, Sighting, Time, views::MovementKind,
};

const SCALARS: [Modality; 4] = [Modality::Weight, Modality::Door, Modality::Temperature, Modality::Power];

fn modality() -> impl Strategy<Value = Modality> {
    prop::sample::select(SCALARS.to_vec())
}

/// A value that a sensor of that modality may send.
fn value_of(modality: Modality) -> impl Strategy<Value = i64> {
    match modality {
        Modality::Door => 0..=1,
        Modality::Temperature => -273_150..=2_000_000,
        _ => -1_000_000_000..=1_000_000_000_i64,
    }
}

fn time() -> impl Strategy<Value = Time> {
    (0..Time::MAX.0).prop_map(Time)
}

/// Texts that names are made of.
const TEXTS: [&str; 4] = ["milk", "kitchen-7/fridge", "käse 🧀", "a b"];

fn name() -> impl Strategy<Value = Name> {
    prop::sample::select(TEXTS.to_vec()).prop_map(Name::of)
}

fn place() -> impl Strategy<Value = BoundingBox> {
    (any::<[u16; 2]>(), 1..=u16::MAX, 1..=u16::MAX).prop_map(|([left, top], right, bottom)| BoundingBox {
        left: left.min(right - 1),
        top: top.min(bottom - 1),
        right,
        bottom,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let product = || name().prop_map(ProductId);
    let appliance = || name().prop_map(ApplianceId);
    let some = || prop::option::of(prop_oneof![4 => name(), 1 => Just(Name::default())]);
    let frame = (appliance(), name(), time(), any::<u128>()).prop_map(|(appliance, sensor, time, hash)| FrameKey {
        appliance,
        sensor: SensorId(sensor),
        time,
        hash: Digest(hash),
    });
    let amendment = prop_oneof![
        (place(), product()).prop_map(|(bounds, product)| Amendment::Relabel { bounds, product }),
        place().prop_map(|bounds| Amendment::Reject { bounds }),
        (place(), prop::collection::vec((place(), product()), 2..5))
            .prop_map(|(bounds, parts)| Amendment::Split { bounds, parts }),
        (prop::collection::vec(place(), 2..5), product())
            .prop_map(|(bounds, product)| Amendment::Join { bounds, product }),
        (place(), product()).prop_map(|(bounds, product)| Amendment::Add { bounds, product }),
    ];
    let kind = prop::sample::select(vec![MovementKind::In, MovementKind::Out, MovementKind::Moved]);
    let product_fields = (some(), some(), some(), prop::option::of(0..=i64::MAX), any::<Option<u32>>()).prop_map(
        |(name, category, brand, package_mg, shelf_life_days)| ProductFields {
            name,
            category,
            brand,
            package_mg,
            shelf_life_days,
        },
    );
    let share = || prop::option::of(0..=PPM);
    let appliance_fields = (some(), some(), some(), share(), share(), any::<Option<u32>>()).prop_map(
        |(household, region, time_zone, min_score, review_below, min_households)| ApplianceFields {
            household: household.map(HouseholdId),
            region,
            time_zone,
            min_score,
            review_below,
            min_households,
        },
    );
    prop_oneof![
        (frame, amendment).prop_map(|(frame, amendment)| Change::Picture { frame, amendment }),
        (appliance(), time(), product(), kind, any::<bool>()).prop_map(
            |(appliance, time, product, kind, confirmed)| {
                Change::Movement { movement: MovementKey { appliance, time, product, kind }, confirmed }
            }
        ),
        (appliance(), product(), time(), 0..=i64::MAX).prop_map(|(appliance, product, at, count)| Change::Count {
            appliance,
            product,
            at,
            count
        }),
        (product(), product_fields).prop_map(|(product, fields)| Change::Product { product, fields }),
        (product(), product()).prop_map(|(product, into)| Change::Merge { product, into }),
        product().prop_map(|product| Change::Remove { product }),
        (appliance(), appliance_fields).prop_map(|(appliance, fields)| Change::Appliance { appliance, fields }),
        (appliance(), name(), time(), time(), any::<i64>(), any::<i64>()).prop_map(
            |(appliance, sensor, from, until, offset, skew)| Change::Calibration {
                appliance,
                sensor: SensorId(sensor),
                from,
                until,
                offset,
                skew,
            }
        ),
        name().prop_map(|correction| Change::Undo { correction }),
        name().prop_map(|correction| Change::Restore { correction }),
    ]
}

fn correction() -> impl Strategy<Value = Correction> {
    (time(), name(), prop_oneof![name(), Just(Name::default())], name(), change())
        .prop_map(|(time, id, author, reason, change)| Correction { time, id, author, reason, change })
}

fn told() -> Names {
    let mut names = Names::default();
    for text in TEXTS {
        names.intern(text).unwrap();
    }
    names
}

proptest! {
    #[test]
    fn every_correction_that_can_hold_survives_the_wire_and_no_other_passes(correction in correction()) {
        let bytes = encode_correction(&correction, &told()).encode_to_vec();
        // the names are known to the message alone
        let decoded = decode_correction(&v1::Correction::decode(bytes.as_slice()).unwrap(), &mut Names::default());
        match correction.check() {
            Ok(()) => prop_assert_eq!(decoded, Ok(correction)),
            Err(_) => {
                let refused = matches!(&decoded, Err(WireError::Refused(Refused { reason: DeadReason::BadValue, .. })));
                prop_assert!(refused, "{:?}", decoded);
            }
        }
    }

    #[test]
    fn damaged_corrections_never_panic_and_what_passes_can_hold(
        correction in correction(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode_correction(&correction, &told()).encode_to_vec();
        for (at, change) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let message = v1::Correction::decode(bytes.as_slice());
        if let Some(decoded) = message.ok().and_then(|message| decode_correction(&message, &mut Names::default()).ok()) {
            prop_assert_eq!(decoded.check(), Ok(()));
        }
    }

    #[test]
    fn bytes_that_are_no_correction_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = v1::Correction::decode(bytes.as_slice()) {
            let _ = decode_correction(&message, &mut Names::default());
        }
    }

    #[test]
    fn every_value_that_can_be_measured_survives_the_wire(
        (modality, value) in modality().prop_flat_map(|m| (Just(m), value_of(m))),
        time in time(),
    ) {
        let message = encode_reading(modality, time, value).unwrap();
        prop_assert_eq!(decode_reading(&message).unwrap(), (modality, time, value));
        prop_assert_eq!(decode_reading_bytes(&message.encode_to_vec()).unwrap(), (modality, time, value));
    }

    /// The quick way and the general way agree on every message, also those that are refused.
    #[test]
    fn readings_are_read_alike_both_ways(
        seconds in prop_oneof![0..8_000_000_000_i64, any::<i64>()],
        nanos in prop_oneof![0..1_000_000_000_i32, any::<i32>()],
        timed in prop::bool::weighted(0.9),
        value in prop_oneof![
            Just(None),
            any::<bool>().prop_map(|open| Some(v1::reading::Value::DoorOpen(open))),
            any::<f64>().prop_map(|x| Some(v1::reading::Value::Grams(x))),
            (-1e6..1e6).prop_map(|x| Some(v1::reading::Value::Watts(x))),
            (-300.0..2100.0).prop_map(|x| Some(v1::reading::Value::Celsius(x))),
        ],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        more in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let message = v1::Reading { timestamp: timed.then_some(Timestamp { seconds, nanos }), value };
        let mut bytes = message.encode_to_vec();
        for (place, change) in &changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] ^= change;
            }
        }
        if changes.len() == 1 {
            bytes.extend(&more);
        }
        let general = v1::Reading::decode(bytes.as_slice()).map_err(Refused::from).and_then(|m| decode_reading(&m));
        let quick = decode_reading_bytes(&bytes);
        // Of several faults either may be told first.
        prop_assert_eq!(general.as_ref().ok(), quick.as_ref().ok(), "{:?} {:?}", general, quick);
    }

    /// The quick way takes only what the general way takes, for the same; and whatever encoders make of a sound reading.
    #[test]
    fn frames_of_readings_are_read_alike_both_ways(
        (modality, value) in modality().prop_flat_map(|m| (Just(m), value_of(m))),
        stated in prop::option::weighted(0.8, 0..9_i32),
        time in time(),
        sequence in prop_oneof![Just(0), any::<u32>()],
        (appliance, sensor) in ("[a-zé]{0,9}", "[a-z]{0,3}"),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let message = v1::Frame {
            appliance: appliance.clone(),
            sensor: sensor.clone(),
            modality: stated.unwrap_or(i32::from(super::frame::encode_modality(modality))),
            sequence,
            payload: Some(v1::frame::Payload::Reading(encode_reading(modality, time, value).unwrap())),
        };
        let mut bytes = message.encode_to_vec();
        for (place, change) in &changes {
            let place = place.index(bytes.len());
            bytes[place] ^= change;
        }
        let quick = decode_plain_reading(&bytes, &mut Names::default()).unwrap();
        let general = v1::Frame::decode(bytes.as_slice()).map_err(Refused::from);
        let general = general.map_err(WireError::from).and_then(|frame| decode_frame(frame, &mut Names::default()));
        let general = general.ok().filter(|frame| matches!(frame.payload, Payload::Reading(_)));
        if changes.is_empty() {
            prop_assert_eq!(&quick, &general);
        } else {
            prop_assert!(quick.is_none() || quick == general, "{:?} {:?}", quick, general);
        }
    }

    #[test]
    fn raw_pictures_pass_where_their_rows_add_up(
        width in 1..40_u32, height in 1..40_u32, padding in 0..3_u32, off in -1..=1_i64, grey in any::<bool>(),
    ) {
        let pixel = if grey { PixelFormat::Grey16 } else { PixelFormat::Bgr8 };
        let step = width * pixel.bytes() + padding;
        let data = vec![0; usize::try_from(i64::from(step * height) + off).unwrap()];
        let image = Image { encoding: ImageEncoding::Raw { width, height, step, pixel }, data: data.into() };
        let message = encode_raw(Time(7), "a/b", &image).unwrap();
        let decoded = decode_raw(message);
        prop_assert_eq!(decoded.is_ok(), off == 0);
        if let Ok(decoded) = decoded {
            prop_assert_eq!(decoded, (Time(7), image));
        }
    }

    #[test]
    fn absurd_sizes_of_raw_pictures_are_refused_without_overflow(
        width in any::<u32>(), height in any::<u32>(), step in any::<u32>(),
    ) {
        let message = foxglove::RawImage {
            timestamp: Some(Timestamp::default()), frame_id: String::new(), width, height, step,
            encoding: "rgb8".to_owned(), data: vec![0; 5].into(),
        };
        let fits = u64::from(step) * u64::from(height) == 5 && u64::from(width) * 3 <= u64::from(step);
        prop_assert_eq!(decode_raw(message).is_ok(), fits);
    }
}

#[test]
fn values_beyond_what_can_be_measured_are_refused_at_the_limit() {
    let bad = |modality, value| decode_value(modality, value).map_err(|refused| refused.reason);
    assert_eq!(bad(Modality::Weight, 1e6), Ok(1_000_000_000));
    assert_eq!(bad(Modality::Weight, 1e6 + 0.001), Err(DeadReason::BadValue));
    assert_eq!(bad(Modality::Temperature, -273.15), Ok(-273_150));
    assert_eq!(bad(Modality::Temperature, -273.151), Err(DeadReason::BadValue));
    assert_eq!(bad(Modality::Temperature, 2000.001), Err(DeadReason::BadValue));
    assert_eq!(bad(Modality::Power, -1e6 - 0.001), Err(DeadReason::BadValue));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN] {
        assert_eq!(bad(Modality::Power, value), Err(DeadReason::BadValue));
    }
    assert_eq!(bad(Modality::Visible, 1.0), Err(DeadReason::Malformed));
}

#[test]
fn frames_survive_the_wire_and_must_agree_with_their_modality() {
    let mut names = Names::default();
    let frame = |modality, payload, names: &mut Names| Frame {
        appliance: ApplianceId(names.intern("home/fridge").unwrap()),
        sensor: SensorId(names.intern("top").unwrap()),
        modality,
        time: Time(5),
        sequence: 9,
        payload,
    };
    let jpeg = Payload::Image(Image { encoding: ImageEncoding::Jpeg, data: vec![1].into() });
    let raw = ImageEncoding::Raw { width: 1, height: 1, step: 2, pixel: PixelFormat::Grey16 };
    let raw = Payload::Image(Image { encoding: raw, data: vec![1, 2].into() });
    for (modality, payload) in
        [(Modality::Weight, Payload::Reading(-5)), (Modality::Visible, jpeg), (Modality::Infrared, raw.clone())]
    {
        let frame = frame(modality, payload, &mut names);
        let mut message = encode_frame(&frame, &names).unwrap();
        assert_eq!(decode_frame(message.clone(), &mut names).unwrap(), frame);
        let wrong = if modality == Modality::Weight { v1::Modality::Power } else { v1::Modality::Door };
        message.modality = wrong.into();
        assert!(decode_frame(message.clone(), &mut names).is_err());
        message.modality = 99;
        assert!(decode_frame(message.clone(), &mut names).is_err());
        message.sensor.clear();
        message.modality = 0;
        assert!(decode_frame(message, &mut names).is_err());
    }
    let mut unstated = encode_frame(&frame(Modality::Depth, raw, &mut names), &names).unwrap();
    unstated.modality = 0;
    assert_eq!(decode_frame(unstated.clone(), &mut names).unwrap().modality, Modality::Depth);
    unstated.payload = None;
    assert!(decode_frame(unstated, &mut names).is_err());
}

#[test]
fn an_appliance_that_states_no_thresholds_has_the_defaults() {
    let message = v1::Appliance {
        timestamp: Some(Timestamp::default()),
        id: "a".to_owned(),
        household: "h".to_owned(),
        ..v1::Appliance::default()
    };
    let appliance = decode_appliance(&message, &mut Names::default()).unwrap();
    assert_eq!((appliance.min_score, appliance.review_below, appliance.min_households), (500_000, 800_000, 5));
    let over = v1::Appliance { min_score_ppm: Some(1_000_001), ..message.clone() };
    assert!(decode_appliance(&over, &mut Names::default()).is_err());
    let nobody = v1::Appliance { household: String::new(), ..message };
    assert!(decode_appliance(&nobody, &mut Names::default()).is_err());
}

#[test]
fn boxes_out_of_order_or_range_are_refused() {
    let truth = |numbers: &[u32]| {
        let item = v1::truth::Item { sku: "milk".to_owned(), count: 1, r#box: numbers.to_vec() };
        let message = v1::Truth { timestamp: Some(Timestamp::default()), items: vec![item] };
        decode_truth(ApplianceId::of("a"), &message, &mut Names::default()).is_ok()
    };
    assert!(truth(&[]) && truth(&[1, 2, 3, 4]));
    assert!(!truth(&[1, 2, 3]) && !truth(&[3, 2, 1, 4]) && !truth(&[1, 2, 3, 65_536]) && !truth(&[1, 2, 3, 4, 5]));
}

#[test]
fn a_schema_holds_the_files_that_its_message_needs_and_no_others() {
    let files = |message| {
        let set = FileDescriptorSet::decode(schema(message).as_slice()).unwrap();
        set.file.iter().map(|file| file.name().to_owned()).collect::<Vec<_>>()
    };
    let timestamp = "google/protobuf/timestamp.proto";
    assert_eq!(files("larder.v1.Reading"), [timestamp, "larder/v1/reading.proto"]);
    assert_eq!(files("foxglove.RawImage"), [timestamp, "foxglove/RawImage.proto"]);
    assert_eq!(files("larder.v1.Truth"), [timestamp, "larder/v1/household.proto"]);
    assert_eq!(files("larder.v1.Correction"), [timestamp, "larder/v1/correction.proto"]);
    assert_eq!(files("larder.v1.Frame").len(), 5);
    assert!(files("larder.v1.Nothing").is_empty());
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let scores = || prop::collection::btree_map(name(), 0..=PPM, 0..4);
    let median = || prop::option::of(any::<u16>());
    let embedding = prop::collection::vec(any::<i8>(), 0..5);
    (place(), 0..=PPM, scores(), scores(), embedding, median(), median()).prop_map(
        |(bounds, detection, candidates, classes, embedding, depth_mm, heat_ck)| {
            let mut candidates: Vec<_> =
                candidates.into_iter().map(|(name, score)| Candidate { product: ProductId(name), score }).collect();
            candidates.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.product));
            let classes = classes.into_iter().collect();
            Sighting { bounds, detection, candidates, classes, embedding, depth_mm, heat_ck }
        },
    )
}

fn result() -> impl Strategy<Value = FrameResult> {
    let images = [Modality::Visible, Modality::Depth, Modality::Infrared];
    let grid = (0..4_u16, 0..4_u16).prop_flat_map(|(columns, rows)| {
        let cells = prop::collection::vec(any::<u16>(), usize::from(columns * rows));
        cells.prop_map(move |cells| Grid { columns, rows, cells })
    });
    let key = (name(), name(), time(), any::<u128>()).prop_map(|(appliance, sensor, time, hash)| FrameKey {
        appliance: ApplianceId(appliance),
        sensor: SensorId(sensor),
        time,
        hash: Digest(hash),
    });
    let sightings = prop::collection::vec(sighting(), 0..4);
    let rest = (any::<u128>(), any::<[u16; 2]>(), prop::option::of(grid));
    (key, prop::sample::select(images.to_vec()), sightings, rest).prop_map(
        |(key, modality, sightings, (fingerprint, [width, height], grid))| FrameResult {
            key,
            modality,
            fingerprint: Digest(fingerprint),
            width,
            height,
            sightings,
            grid,
        },
    )
}

proptest! {
    #[test]
    fn what_vision_saw_survives_the_wire_whole(result in result(), vision in any::<u128>()) {
        let mut names = Names::default();
        for text in TEXTS {
            names.intern(text).unwrap();
        }
        let message = encode_seen(&result, Digest(vision), &names);
        let message = v1::Seen::decode(message.encode_to_vec().as_slice()).unwrap();
        let back = decode_seen(&message, &mut Names::default()).unwrap();
        prop_assert_eq!(back, (result, Digest(vision)));
    }
}

#[test]
fn what_no_vision_can_have_seen_is_refused() {
    let scored = |name: &str, score_ppm| v1::seen::Scored { name: name.to_owned(), score_ppm };
    let sighting = v1::seen::Sighting {
        r#box: vec![1, 2, 3, 4],
        candidates: vec![scored("milk", 9), scored("eggs", 5)],
        ..v1::seen::Sighting::default()
    };
    let good = v1::Seen {
        appliance: "a".to_owned(),
        sensor: "s".to_owned(),
        timestamp: Some(Timestamp::default()),
        hash: Digest(1).to_string(),
        modality: v1::Modality::Visible.into(),
        fingerprint: Digest(2).to_string(),
        vision: Digest(3).to_string(),
        sightings: vec![sighting],
        grid: Some(v1::seen::Grid { columns: 1, rows: 1, cells: vec![7] }),
        ..v1::Seen::default()
    };
    let taken = |change: fn(&mut v1::Seen)| {
        let mut message = good.clone();
        change(&mut message);
        decode_seen(&message, &mut Names::default()).is_ok()
    };
    assert!(taken(|_| ()));
    let bad: [fn(&mut v1::Seen); 12] = [
        |m| m.appliance.clear(),
        |m| m.timestamp = None,
        |m| m.hash.truncate(31),
        |m| m.fingerprint = "+".repeat(32),
        |m| m.vision.clear(),
        |m| m.modality = v1::Modality::Weight.into(),
        |m| m.width = 65_536,
        |m| m.sightings[0].r#box.clear(),
        |m| m.sightings[0].detection_ppm = PPM + 1,
        |m| m.sightings[0].candidates.reverse(),
        |m| m.grid.as_mut().unwrap().columns = 2,
        |m| m.sightings = vec![m.sightings[0].clone(); 65_537],
    ];
    for (which, change) in bad.into_iter().enumerate() {
        assert!(!taken(change), "{which} was taken in");
    }
}

#[test]
fn a_dead_letter_survives_the_wire_with_its_own_place() {
    let position = Position { source: "cameras/3".into(), offset: 17 };
    for reason in DeadReason::ALL {
        let letter = DeadLetter { position: position.clone(), reason, detail: "no picture".to_owned() };
        assert_eq!(decode_dead_letter(encode_dead_letter(&letter)).unwrap(), letter);
    }
    let unknown = v1::DeadLetter { source: "a/1".to_owned(), reason: "tired".to_owned(), ..v1::DeadLetter::default() };
    assert!(decode_dead_letter(unknown).is_err());
}
