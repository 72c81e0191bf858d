//! Readings in the order in which their table's files hold them, found before they are columns: numbers compare faster than texts.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use larder_records::{ApplianceId, Modality, Names, Reading, SensorId};

type Sensor = (Modality, ApplianceId, SensorId);

/// `readings` by modality, and then by the columns of their table.
///
/// They are dealt to their sensors, which are sorted by their texts: few beside the readings, of which each sensor has its own nearly
/// in order.
pub(in crate::lake) fn in_order(readings: &[Reading], names: &Names) -> Vec<Reading> {
    let mut numbers: HashMap<Sensor, usize, RandomState> = HashMap::default();
    let mut sensors: Vec<(Sensor, usize)> = Vec::new();
    let mut whose = Vec::with_capacity(readings.len());
    for row in readings {
        let sensor = (row.modality, row.appliance, row.sensor);
        let number = *numbers.entry(sensor).or_insert_with(|| {
            sensors.push((sensor, 0));
            sensors.len() - 1
        });
        sensors[number].1 += 1;
        whose.push(number);
    }
    let mut by_text: Vec<usize> = (0..sensors.len()).collect();
    by_text.sort_unstable_by_key(|number| {
        let (modality, appliance, sensor) = sensors[*number].0;
        (modality, names.text(appliance.0), names.text(sensor.0))
    });
    // where the next row of each goes
    let mut places = vec![0; sensors.len()];
    let mut place = 0;
    for number in &by_text {
        places[*number] = place;
        place += sensors[*number].1;
    }
    let mut rows = readings.to_vec();
    for (row, number) in readings.iter().zip(whose) {
        rows[places[number]] = *row;
        places[number] += 1;
    }
    for number in by_text {
        let end = places[number];
        rows[end - sensors[number].1..end].sort_unstable_by_key(|row| (row.time, row.sequence, row.value));
    }
    rows
}

#[cfg(test)]
mod tests {
    use larder_records::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::lake::{error::Place, files, row::Row as _};

    proptest! {
        /// Of each partition the rows are where sorting its columns would put them.
        #[test]
        fn readings_in_order_are_in_the_order_of_their_columns(
            rows in prop::collection::vec((0..2_usize, "[a-c/]{0,3}", "[a-b]{1,2}", 0..3_i64, 0..2_u32, -1..2_i64), 0..60),
        ) {
            let mut names = Names::default();
            let mut name = |text: &str| names.intern(text).unwrap();
            let readings: Vec<Reading> = rows.iter().map(|(modality, appliance, sensor, time, sequence, value)| Reading {
                appliance: ApplianceId(name(appliance)),
                sensor: SensorId(name(sensor)),
                modality: [Modality::Weight, Modality::Door][*modality],
                time: Time(*time),
                sequence: *sequence,
                value: *value,
            }).collect();
            let place = Place { path: std::path::Path::new("readings"), table: "readings" };
            let sorted = |rows: &[Reading]| {
                files::sorted_by_partition(place, &Reading::TABLE, &Reading::write(rows, &names).unwrap()).unwrap()
            };
            let found = in_order(&readings, &names);
            let as_they_are = files::by_partition(&Reading::TABLE, &Reading::write(&found, &names).unwrap()).unwrap();
            prop_assert_eq!(as_they_are, sorted(&readings));
        }
    }
}
