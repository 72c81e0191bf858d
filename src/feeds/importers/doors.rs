//! Door sensors of lived-in homes: logs of start, length and sensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use larder_records::{Appliance, ApplianceId, HouseholdId, Modality, Time};

use super::{Import, ImportError, Importer, files_below, has_extension, kind, read, slug, stem};
use crate::feeds::recording::ChannelId;

/// Sensor-event logs as van Kasteren's homes keep them: `NAME.sensors` with a line for each event (start in seconds
/// since 1970, length in seconds, sensor number) and `NAME.sensor_names` (number, name), both separated by tabs.
///
/// Each file is a household; each of its sensors is an appliance `NAME/slug-of-the-name` with the sensor `door`. The
/// kind of appliance follows from the name: `freezer`, `fridge` (also refrigerator), `microwave` (also magnetron),
/// `cupboard` (also cabinet), else `other`.
///
/// The event on line `n` of the file (from 0) opens the door at its start, with sequence `2n`, and closes it at start
/// plus length, with sequence `2n + 1`. All homes are merged in order of time, then of file and sequence, so that an
/// event of no length opens before it closes, and one that begins as the one before ends closes first.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Only sensors of these names or slugs; all where empty.
    pub only: Vec<String>,
    /// IANA time zone of the homes.
    pub time_zone: String,
    /// The market region that they count in.
    pub region: String,
}

impl Default for Doors {
    /// All sensors, UTC, no region.
    fn default() -> Self {
        Self { only: Vec::new(), time_zone: "UTC".to_owned(), region: String::new() }
    }
}

/// A door that opens or closes.
struct Swing {
    time: Time,
    house: usize,
    sequence: u32,
    channel: ChannelId,
}

impl Importer for Doors {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        let files: Vec<PathBuf> =
            files_below(source)?.into_iter().filter(|path| has_extension(path, &["sensors"])).collect();
        if files.is_empty() {
            return Err(ImportError::nothing(source, "no *.sensors file"));
        }
        let (mut swings, mut appliances) = (Vec::new(), Vec::new());
        for (house, path) in files.iter().enumerate() {
            self.read_house(path, house, &mut swings, &mut appliances, import)?;
        }
        swings.sort_by_key(|swing: &Swing| (swing.time, swing.house, swing.sequence));
        let Some(first) = swings.first() else {
            return Err(ImportError::nothing(source, "no event of the sensors asked for"));
        };
        for appliance in &appliances {
            import.appliance(&Appliance { as_of: first.time, ..appliance.clone() })?;
        }
        import.progress().total(swings.len() as u64);
        for Swing { time, sequence, channel, .. } in swings {
            import.reading(channel, time, sequence, i64::from(sequence % 2 == 0))??;
            import.progress().advance(1);
        }
        Ok(())
    }
}

impl Doors {
    fn read_house(
        &self,
        path: &Path,
        house: usize,
        swings: &mut Vec<Swing>,
        appliances: &mut Vec<Appliance>,
        import: &mut Import<'_>,
    ) -> Result<(), ImportError> {
        let household = stem(path);
        let sensors = self.sensor_names(&path.with_extension("sensor_names"), import)?;
        let mut channels: BTreeMap<u32, Option<ChannelId>> = BTreeMap::new();
        let text = read(path)?;
        for (number, line) in lines(&text) {
            let Some((start, length, sensor)) = event(line) else {
                import.fault(path, Some(number + 1), "not start, length and sensor, separated by tabs");
                continue;
            };
            let (Ok(sequence), Ok(opened), Ok(closed)) = (
                u32::try_from(number * 2),
                Time::from_seconds(start),
                Time::from_seconds(start.saturating_add(i64::from(length))),
            ) else {
                import.fault(path, Some(number + 1), "an event outside the years 1970 to 2199");
                continue;
            };
            let channel = match channels.get(&sensor) {
                Some(known) => *known,
                None => {
                    let (name, slug) =
                        sensors.get(&sensor).cloned().unwrap_or_else(|| (String::new(), format!("sensor-{sensor}")));
                    let wanted = self.only.is_empty() || self.only.iter().any(|only| *only == name || *only == slug);
                    let channel = if wanted {
                        let appliance = format!("{household}/{slug}");
                        appliances.push(self.appliance(&appliance, &household, kind(&slug), import)?);
                        Some(import.channel(&appliance, "door", Modality::Door)?)
                    } else {
                        None
                    };
                    channels.insert(sensor, channel);
                    channel
                }
            };
            if let Some(channel) = channel {
                swings.push(Swing { time: opened, house, sequence, channel });
                swings.push(Swing { time: closed, house, sequence: sequence + 1, channel });
            }
        }
        Ok(())
    }

    /// The name and the slug of each sensor; two that would share a slug carry their numbers in it.
    fn sensor_names(
        &self,
        path: &Path,
        import: &mut Import<'_>,
    ) -> Result<BTreeMap<u32, (String, String)>, ImportError> {
        let mut sensors = BTreeMap::new();
        let mut taken = BTreeSet::new();
        if !path.is_file() {
            import.fault(path, None, "no names: sensors go by their numbers");
            return Ok(sensors);
        }
        for (number, line) in lines(&read(path)?) {
            let named =
                line.split_once('\t').and_then(|(id, name)| Some((id.trim().parse::<u32>().ok()?, name.trim())));
            let Some((id, name)) = named else {
                import.fault(path, Some(number + 1), "not a number and a name, separated by a tab");
                continue;
            };
            let mut slug = slug(name);
            if slug.is_empty() || !taken.insert(slug.clone()) {
                slug = format!("{slug}-{id}").trim_start_matches('-').to_owned();
            }
            sensors.insert(id, (name.to_owned(), slug));
        }
        Ok(sensors)
    }

    fn appliance(
        &self,
        name: &str,
        household: &str,
        kind: &str,
        import: &mut Import<'_>,
    ) -> Result<Appliance, ImportError> {
        let names = &mut import.names;
        let id = ApplianceId(names.intern(name)?);
        let household = HouseholdId(names.intern(household)?);
        let known = Appliance::new(id, household, names.intern(kind)?);
        Ok(Appliance { region: names.intern(&self.region)?, time_zone: names.intern(&self.time_zone)?, ..known })
    }
}

/// The lines of a text and their numbers, from 0; empty ones left out, whatever ends them.
fn lines(text: &[u8]) -> Vec<(u64, &str)> {
    let numbered = (0..).zip(text.split(|byte| *byte == b'\n'));
    // A line that is not UTF-8 is no event: it is told like one that has too few columns.
    let line = |line| std::str::from_utf8(line).unwrap_or("\u{fffd}").trim_end_matches('\r');
    numbered.map(|(number, bytes)| (number, line(bytes))).filter(|(_, line)| !line.trim().is_empty()).collect()
}

fn event(line: &str) -> Option<(i64, u32, u32)> {
    let mut columns = line.split('\t').map(str::trim);
    let event = (columns.next()?.parse().ok()?, columns.next()?.parse().ok()?, columns.next()?.parse().ok()?);
    columns.next().is_none().then_some(event)
}
