//! Power meters: logs of what an appliance draws.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use larder_records::{Appliance, ApplianceId, HouseholdId, Modality, Time, wire};

use super::local_time::{civil, event_time, zone};
use super::{Import, ImportError, Importer, files_below, has_extension, kind, slug, stem};
use crate::feeds::recording::ChannelId;

/// Power readings as tracebase keeps them: `KIND/dev_ID_yyyy.mm.dd.csv`, a line `dd/mm/yyyy HH:MM:SS;watts;...` for
/// each reading in local time. Of the columns of watts the first is taken.
///
/// Files that differ in their date alone are one device, and each device is an appliance `HOUSEHOLD/ID` with the sensor
/// `plug`; the name before the date is its id, without `dev_`. Its kind follows from the folder's name: `fridge` (also
/// refrigerator), `freezer`, `microwave`, else the name itself.
///
/// The lines of a device keep their order, which counts them as sequence; devices are merged by time. In the hour that
/// clocks show twice in autumn a line that would lie before its predecessor belongs to the second one.
#[derive(Debug, Clone)]
pub struct Power {
    /// Whose the devices are.
    pub household: String,
    /// The market region that the household counts in.
    pub region: String,
    /// IANA time zone of the files.
    pub time_zone: String,
}

impl Default for Power {
    /// The household `tracebase` in `Europe/Berlin`, in no region.
    fn default() -> Self {
        Self { household: "tracebase".to_owned(), region: String::new(), time_zone: "Europe/Berlin".to_owned() }
    }
}

/// The readings of one device, file after file.
struct Device {
    name: String,
    kind: String,
    files: std::vec::IntoIter<PathBuf>,
    open: Option<(PathBuf, BufReader<File>, u64)>,
    latest: Time,
    sequence: u32,
}

impl Importer for Power {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        let zone = zone(&self.time_zone).map_err(|detail| ImportError::nothing(source, detail))?;
        let mut devices = devices(source)?;
        let bytes = devices.iter().flat_map(|device| device.files.as_slice()).filter_map(|path| path.metadata().ok());
        let bytes = bytes.map(|file| file.len()).sum();
        import.progress().total(bytes);
        // The next reading of each device, the earliest on top.
        let mut next = BinaryHeap::new();
        for (index, device) in devices.iter_mut().enumerate() {
            if let Some((time, milliwatts)) = device.next(&zone, import)? {
                next.push(Reverse((time, index, milliwatts)));
            }
        }
        let Some(Reverse((first, ..))) = next.peek().copied() else {
            return Err(ImportError::nothing(source, "no reading in any *.csv"));
        };
        let mut channels = Vec::with_capacity(devices.len());
        for device in &devices {
            channels.push(self.channel(device, first, import)?);
        }
        while let Some(Reverse((time, index, milliwatts))) = next.pop() {
            let device = &mut devices[index];
            // `next` yields none that a reader refuses.
            import.reading(channels[index], time, device.sequence, milliwatts)??;
            device.sequence = device.sequence.wrapping_add(1);
            if let Some((time, milliwatts)) = device.next(&zone, import)? {
                next.push(Reverse((time, index, milliwatts)));
            }
        }
        Ok(())
    }
}

impl Power {
    fn channel(&self, device: &Device, first: Time, import: &mut Import<'_>) -> Result<ChannelId, ImportError> {
        let name = format!("{}/{}", self.household, device.name);
        let names = &mut import.names;
        let id = ApplianceId(names.intern(&name)?);
        let household = HouseholdId(names.intern(&self.household)?);
        let known = Appliance::new(id, household, names.intern(&device.kind)?);
        let (region, time_zone) = (names.intern(&self.region)?, names.intern(&self.time_zone)?);
        let appliance = Appliance { as_of: first, region, time_zone, ..known };
        import.appliance(&appliance)?;
        Ok(import.channel(&name, "plug", Modality::Power)?)
    }
}

/// The devices of a folder, in the order of their names.
fn devices(source: &Path) -> Result<Vec<Device>, ImportError> {
    let mut devices: BTreeMap<String, Device> = BTreeMap::new();
    for path in files_below(source)?.into_iter().filter(|path| has_extension(path, &["csv"])) {
        let stem = stem(&path);
        let date = |text: &str| text.len() == 10 && text.split('.').all(|part| part.parse::<u16>().is_ok());
        let name = stem.rsplit_once('_').filter(|(_, last)| date(last)).map_or(stem.as_str(), |(name, _)| name);
        let name = name.strip_prefix("dev_").unwrap_or(name).to_owned();
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let folder = slug(&folder);
        let kind = match kind(&folder) {
            "other" => folder,
            known => known.to_owned(),
        };
        let new = || Device {
            name: name.clone(),
            kind,
            files: Vec::new().into_iter(),
            open: None,
            latest: Time::MIN,
            sequence: 0,
        };
        let device = devices.entry(name.clone()).or_insert_with(new);
        let mut files: Vec<PathBuf> = std::mem::take(&mut device.files).collect();
        files.push(path);
        device.files = files.into_iter();
    }
    Ok(devices.into_values().collect())
}

impl Device {
    /// The next reading that makes sense; what makes none is told.
    fn next(&mut self, zone: &TimeZone, import: &mut Import<'_>) -> Result<Option<(Time, i64)>, ImportError> {
        let mut text = Vec::new();
        loop {
            let Some((path, reader, line)) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(None) };
                let file = File::open(&path).map_err(|error| ImportError::io(&path, error))?;
                self.open = Some((path, BufReader::new(file), 0));
                continue;
            };
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(|error| ImportError::io(path, error))? == 0 {
                self.open = None;
                continue;
            }
            *line += 1;
            import.progress().advance(text.len() as u64);
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match std::str::from_utf8(text).ok().and_then(|text| reading(text, zone, self.latest)) {
                Some((time, milliwatts)) => {
                    self.latest = time;
                    return Ok(Some((time, milliwatts)));
                }
                None => import.fault(path, Some(*line), "not dd/mm/yyyy HH:MM:SS;watts within reason"),
            }
        }
    }
}

/// The time and milliwatts of a line.
fn reading(line: &str, zone: &TimeZone, latest: Time) -> Option<(Time, i64)> {
    let mut columns = line.split(';');
    let local = civil(columns.next()?, &['/', ' ', ':'], [2, 1, 0, 3, 4, 5])?;
    let watts: f64 = columns.next()?.trim().parse().ok()?;
    let milliwatts = wire::decode_value(Modality::Power, watts).ok()?;
    Some((event_time(local, zone, latest)?, milliwatts))
}
