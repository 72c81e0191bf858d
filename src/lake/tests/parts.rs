//! Parts of files of many pages.

use std::{collections::BTreeSet, sync::Arc};

use parquet::{
    arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    file::metadata::PageIndexPolicy,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::lake::{Dated as _, Part, Whose, pages};

const APPLIANCES: usize = 300;
const READINGS: i64 = 150_000;

/// Readings that make one file of several row groups, each of several pages, and the names of the appliances.
fn one_large_file(lake: &Lake, names: &mut Names) -> (Vec<Reading>, Vec<String>) {
    let texts: Vec<String> = (0..APPLIANCES).map(|n| format!("fridge-{n}")).collect();
    let ids: Vec<ApplianceId> = texts.iter().map(|text| ApplianceId(names.intern(text).unwrap())).collect();
    let sensor = SensorId(names.intern("scale").unwrap());
    let readings: Vec<Reading> = (0..READINGS)
        .map(|n| Reading {
            appliance: ids[n as usize % APPLIANCES],
            sensor,
            modality: Modality::Weight,
            time: Time(1_767_571_200 * Time::SECOND + n * Time::SECOND),
            sequence: 0,
            value: n % 7,
        })
        .collect();
    lake.append(names, 0, &readings).unwrap();
    assert_eq!(lake.info().unwrap().iter().map(|info| info.files).sum::<u64>(), 1);
    (readings, texts)
}

#[test]
fn a_part_of_a_large_file_is_what_is_found_by_looking_at_every_row() {
    let (dir, mut names) = (folder(), Names::default());
    let lake = Lake::open(dir.path()).unwrap();
    let (readings, texts) = one_large_file(&lake, &mut names);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let start = readings[0].time;
    let mut found = 0;
    for _ in 0..60 {
        let mut text = || match random.random_ratio(1, 8) {
            true => "fridge-no".to_owned(),
            false => texts[random.random_range(0..APPLIANCES)].clone(),
        };
        let (first, second) = (text(), text());
        let of: BTreeSet<ApplianceId> =
            [&first, &second].map(|text| ApplianceId(names.intern(text).unwrap())).into_iter().collect();
        let whose = match random.random_range(0..5) {
            0 => Whose::All,
            1 => Whose::Of(&of),
            2 => Whose::Between(Some(&first), None),
            3 => Whose::Between(None, Some(&second)),
            _ => Whose::Between(Some(&first), Some(&second)),
        };
        let mut bound =
            || random.random_bool(0.6).then(|| start.plus(random.random_range(-9..READINGS) * Time::SECOND));
        let part = Part { appliances: whose, from: bound(), until: bound() };
        let wanted = |row: &&Reading| {
            let text = names.text(row.appliance.0);
            part.from.is_none_or(|from| from <= row.time)
                && part.until.is_none_or(|until| row.time < until)
                && match whose {
                    Whose::All => true,
                    Whose::Of(of) => of.contains(&row.appliance),
                    Whose::Between(first, end) => {
                        first.is_none_or(|first| first <= text) && end.is_none_or(|end| text < end)
                    }
                }
        };
        let mut expected: Vec<Reading> = readings.iter().filter(wanted).copied().collect();
        expected.sort_unstable();
        let mut rows = lake.read_part::<Reading>(&part, &mut names.clone()).unwrap();
        rows.sort_unstable();
        assert!(rows == expected, "{part:?}: {} rows, not {}", rows.len(), expected.len());
        found += usize::from(!rows.is_empty());
    }
    assert!(found > 20, "{found} parts had rows");
}

#[test]
fn of_a_large_file_only_the_pages_are_read_in_which_an_appliance_may_be() {
    let (dir, mut names) = (folder(), Names::default());
    let lake = Lake::open(dir.path()).unwrap();
    let (readings, _) = one_large_file(&lake, &mut names);
    let one = BTreeSet::from([readings[7].appliance]);
    let part = Part { appliances: Whose::Of(&one), ..Part::default() };
    let table = lake.tables.get(Reading::TABLE.name).unwrap();
    let sieve = Arc::new(part.sieve(&names));
    let files = table.files_within(lake.engine(), &sieve, Reading::TIME).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let file = std::fs::File::open(&files[0].path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let rows = pages::wanted(&builder, &sieve, Reading::TIME).unwrap().unwrap().row_count();
    assert!((500..=40_000).contains(&rows), "{rows} of {READINGS} rows");
}
