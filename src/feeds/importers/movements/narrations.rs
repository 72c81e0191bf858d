//! Narrations: what people did in their kitchens, told from videos.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::tz::TimeZone;
use larder_records::{
    Appliance, ApplianceId, DeclaredMovement, HouseholdId, Micros, Modality, Name, Product, ProductId, Reason, Time,
};
use serde::Deserialize;

use super::super::local_time::{civil, event_time, zone};
use super::super::{Import, ImportError, Importer};
use super::rows;

/// The file that tells narrations from other movements.
pub(super) const ACTIONS: &str = "EPIC_train_action_labels.csv";

const TAKE: u32 = 0;
const PUT: u32 = 1;
const OPEN: u32 = 2;
const CLOSE: u32 = 3;
const FRIDGE: u32 = 10;

/// Narrated actions as EPIC-KITCHENS-55 keeps them: `EPIC_train_action_labels.csv`, `EPIC_descriptions.csv` and
/// `EPIC_noun_classes.csv`. The rule, over the classes of verbs (0 take, 1 put, 2 open, 3 close) and nouns (10 fridge):
///
/// - The actions of a video are taken in the order of `start_timestamp`, then `uid`. Its fridge actions are those with
///   the noun class fridge and the verb class open or close. The k-th that opens (from 1) is opening k.
/// - A take or put whose noun is not of the class fridge is a movement where the last fridge action before it in the
///   video opens: take moves one package out (-1), put moves one in (+1). Its product is `noun`, its id `uid`, its group
///   `video_id#k`, its source `narrations`, its reason unspecified, its cents 0.
/// - The appliance is `PARTICIPANT/fridge` of the household `PARTICIPANT`.
/// - The event time is the video's date and time of day from the descriptions plus `start_timestamp`. Videos without
///   start at midnight of a day of their own: 2000-01-01 for the first of them by id, the next day for the second.
///   Dates are taken as they stand (`dd/mm/yyyy` or `yyyy-mm-dd`), also where two videos of a participant overlap by
///   them: their door readings then interleave, while a movement's group still tells its opening.
/// - The sensor `door` opens at the start of an action that opens and closes at the start of one that closes; in
///   between, an action that opens closes first, in the same instant, and one that closes a closed door is left out.
///   A door still open when the video's actions end closes at the latest `stop_timestamp`.
/// - Each product's category is the key of its noun class, with `:` turned into `-`.
///
/// All is merged in order of time, then of `uid`, a closing before an opening.
#[derive(Debug, Clone)]
pub struct Narrations {
    /// The market region of all households.
    pub region: String,
    /// IANA time zone of the descriptions.
    pub time_zone: String,
}

impl Default for Narrations {
    /// No region, times as UTC.
    fn default() -> Self {
        Self { region: String::new(), time_zone: "UTC".to_owned() }
    }
}

#[derive(Deserialize)]
struct Action {
    uid: u64,
    participant_id: String,
    video_id: String,
    start_timestamp: String,
    stop_timestamp: String,
    verb_class: u32,
    noun: String,
    noun_class: u32,
    #[serde(skip)]
    start: Micros,
    #[serde(skip)]
    stop: Micros,
}

#[derive(Deserialize)]
struct Description {
    video_id: String,
    date: String,
    time: String,
}

#[derive(Deserialize)]
struct NounClass {
    noun_id: u32,
    class_key: String,
}

/// What follows from an action; in the order of one instant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Door(i64),
    Moved { product: ProductId, quantity: i64, id: Name, group: Name },
}

/// What was told of which participant: time, action, its order within the action.
type Event = (Time, u64, u8, String, Told);

impl Importer for Narrations {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        let zone = zone(&self.time_zone).map_err(|detail| ImportError::nothing(source, detail))?;
        let videos = read_actions(&source.join(ACTIONS), import)?;
        let starts = video_starts(&source.join("EPIC_descriptions.csv"), &videos, &zone, import)?;
        let mut events: Vec<Event> = Vec::new();
        let mut products: BTreeMap<String, u32> = BTreeMap::new();
        for (video, actions) in &videos {
            tell(video, actions, starts[video], &mut events, &mut products, import)?;
        }
        events.sort_unstable();
        let first = events.first().ok_or_else(|| ImportError::nothing(source, "no fridge is opened"))?.0;
        self.write_appliances(events.iter().map(|event| event.3.as_str()).collect(), first, import)?;
        write_products(&source.join("EPIC_noun_classes.csv"), products, first, import)?;
        import.progress().total(events.len() as u64);
        let from = import.names.intern("narrations")?;
        let mut sequences: BTreeMap<String, u32> = BTreeMap::new();
        for (time, _, _, participant, told) in events {
            import.progress().advance(1);
            let appliance = format!("{participant}/fridge");
            match told {
                Told::Door(open) => {
                    let channel = import.channel(&appliance, "door", Modality::Door)?;
                    let sequence = sequences.entry(participant).or_default();
                    import.reading(channel, time, *sequence, open)??;
                    *sequence += 1;
                }
                Told::Moved { product, quantity, id, group } => {
                    let appliance = ApplianceId(import.names.intern(&appliance)?);
                    let reason = Reason::Unspecified;
                    let movement = DeclaredMovement {
                        appliance,
                        time,
                        id,
                        source: from,
                        product,
                        quantity,
                        group,
                        reason,
                        cents: 0,
                    };
                    import.declared(&movement)??;
                }
            }
        }
        Ok(())
    }
}

impl Narrations {
    fn write_appliances(
        &self,
        participants: BTreeSet<&str>,
        first: Time,
        import: &mut Import<'_>,
    ) -> Result<(), ImportError> {
        for participant in participants {
            let names = &mut import.names;
            let id = ApplianceId(names.intern(&format!("{participant}/fridge"))?);
            let known = Appliance::new(id, HouseholdId(names.intern(participant)?), names.intern("fridge")?);
            let (region, time_zone) = (names.intern(&self.region)?, names.intern(&self.time_zone)?);
            import.appliance(&Appliance { as_of: first, region, time_zone, ..known })?;
        }
        Ok(())
    }
}

/// The actions of each video, in order.
fn read_actions(path: &Path, import: &mut Import<'_>) -> Result<BTreeMap<String, Vec<Action>>, ImportError> {
    let mut videos: BTreeMap<String, Vec<Action>> = BTreeMap::new();
    rows::<Action>(path, |row| {
        let read = row.columns.and_then(|mut action| {
            let wrong = || "timestamps that are not HH:MM:SS.ss".to_owned();
            action.start = span(&action.start_timestamp).ok_or_else(wrong)?;
            action.stop = span(&action.stop_timestamp).ok_or_else(wrong)?;
            let named = [&action.participant_id, &action.video_id, &action.noun].iter().all(|text| !text.is_empty());
            if named { Ok(action) } else { Err("no participant, video or noun".to_owned()) }
        });
        match read {
            Ok(action) => videos.entry(action.video_id.clone()).or_default().push(action),
            Err(detail) => import.fault(path, Some(row.line), detail),
        }
        Ok(())
    })?;
    for actions in videos.values_mut() {
        actions.sort_by_key(|action| (action.start, action.uid));
    }
    Ok(videos)
}

/// When each video starts.
fn video_starts(
    path: &Path,
    videos: &BTreeMap<String, Vec<Action>>,
    zone: &TimeZone,
    import: &mut Import<'_>,
) -> Result<BTreeMap<String, Time>, ImportError> {
    let mut starts = BTreeMap::new();
    if path.is_file() {
        rows::<Description>(path, |row| {
            let read = row.columns.and_then(|video| {
                let text = format!("{} {}", video.date, video.time);
                let fields = if text.contains('/') { [2, 1, 0, 3, 4, 5] } else { [0, 1, 2, 3, 4, 5] };
                let local = civil(&text, &['/', '-', ' ', ':'], fields);
                let time = local.and_then(|local| event_time(local, zone, Time::MIN));
                Ok((video.video_id, time.ok_or("no date (dd/mm/yyyy or yyyy-mm-dd) and time HH:MM:SS")?))
            });
            match read {
                Ok((video, time)) => drop(starts.insert(video, time)),
                Err(detail) => import.fault(path, Some(row.line), detail),
            }
            Ok(())
        })?;
    }
    let day_2000 = Time(946_684_800 * Time::SECOND);
    let undated: Vec<&String> = videos.keys().filter(|video| !starts.contains_key(*video)).collect();
    for (day, video) in (0..).zip(undated) {
        starts.insert(video.clone(), day_2000.plus(day * Time::DAY));
    }
    Ok(starts)
}

/// Applies the rule to a video.
fn tell(
    video: &str,
    actions: &[Action],
    begins: Time,
    events: &mut Vec<Event>,
    products: &mut BTreeMap<String, u32>,
    import: &mut Import<'_>,
) -> Result<(), ImportError> {
    let (mut open, mut openings) = (false, 0);
    for action in actions {
        let mut push = |order, told| {
            events.push((begins.plus(action.start), action.uid, order, action.participant_id.clone(), told));
        };
        match (action.verb_class, action.noun_class == FRIDGE) {
            (OPEN, true) => {
                if open {
                    push(0, Told::Door(0));
                }
                push(1, Told::Door(1));
                (open, openings) = (true, openings + 1);
            }
            (CLOSE, true) => {
                if open {
                    push(0, Told::Door(0));
                }
                open = false;
            }
            (TAKE | PUT, false) if open => {
                let names = &mut import.names;
                push(
                    2,
                    Told::Moved {
                        product: ProductId(names.intern(&action.noun)?),
                        quantity: if action.verb_class == PUT { 1 } else { -1 },
                        id: names.intern(&action.uid.to_string())?,
                        group: names.intern(&format!("{video}#{openings}"))?,
                    },
                );
                products.entry(action.noun.clone()).or_insert(action.noun_class);
            }
            _ => {}
        }
    }
    if let (true, Some(last)) = (open, actions.last()) {
        let stop = actions.iter().map(|action| action.stop.max(action.start)).max().unwrap_or(last.start);
        events.push((begins.plus(stop), last.uid, 3, last.participant_id.clone(), Told::Door(0)));
    }
    Ok(())
}

fn write_products(
    path: &Path,
    products: BTreeMap<String, u32>,
    first: Time,
    import: &mut Import<'_>,
) -> Result<(), ImportError> {
    let mut classes: BTreeMap<u32, String> = BTreeMap::new();
    if path.is_file() {
        rows::<NounClass>(path, |row| {
            match row.columns {
                Ok(class) => drop(classes.insert(class.noun_id, class.class_key.replace(':', "-"))),
                Err(detail) => import.fault(path, Some(row.line), detail),
            }
            Ok(())
        })?;
    }
    for (noun, class) in products {
        let names = &mut import.names;
        let name = names.intern(&noun)?;
        let category = names.intern(classes.get(&class).map_or("", String::as_str))?;
        let brand = Name::default();
        let id = ProductId(name);
        import.product(&Product { id, as_of: first, name, category, brand, package_mg: 0, shelf_life_days: 0 })?;
    }
    Ok(())
}

/// `HH:MM:SS.ss` as a span of time.
fn span(text: &str) -> Option<Micros> {
    let mut parts = text.split(':');
    let (hours, minutes, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, share) = rest.split_once('.').unwrap_or((rest, ""));
    let number = |text: &str| text.parse::<u16>().ok().map(i64::from);
    let share = if share.is_empty() {
        0
    } else {
        number(share)? * 10_i64.checked_pow(6_u32.checked_sub(u32::try_from(share.len()).ok()?)?)?
    };
    let whole = number(hours)? * Time::HOUR + number(minutes)? * Time::MINUTE + number(seconds)? * Time::SECOND;
    parts.next().is_none().then_some(whole + share)
}
