//! The views by plain loops over all inputs.
//!
//! The rules of two looks and of five are shared with the dataflow (`between`, `bridge`: pure functions with tests of their
//! own); everything else is written here again, and differently.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use larder_operators::{
    movements::{between, declared},
    occlusion::{Item, Look, bridge},
};
use larder_records::{views::*, *};

use crate::{
    Content,
    corrected::{self, Object, Sensors, Truth},
    history::Row,
};

#[derive(Default)]
struct World {
    readings: Vec<Reading>,
    frames: Vec<FrameResult>,
    products: BTreeMap<ProductId, Product>,
    appliances: BTreeMap<ApplianceId, Appliance>,
    declared: BTreeMap<(ApplianceId, Name), DeclaredMovement>,
    corrections: Vec<Correction>,
    /// When each frame was taken in truth.
    times: BTreeMap<FrameKey, Time>,
}

/// What all views hold when these rows are the inputs.
pub fn content(rows: &[Row]) -> Content {
    let mut world = World::default();
    // sorted: the greatest row of a key comes last and stays
    for row in rows {
        match row.clone() {
            Row::Reading(row) => world.readings.push(row),
            Row::Frame(row) => world.frames.push(row),
            Row::Product(row) => drop(world.products.insert(row.id, row)),
            Row::Appliance(row) => drop(world.appliances.insert(row.id, row)),
            Row::Declared(row) => drop(world.declared.insert((row.appliance, row.id), row)),
            Row::Correction(row) => world.corrections.push(row),
        }
    }
    world.correct();
    let mut content = Content::new();
    macro_rules! put {
        ($view:literal, $rows:expr) => {
            for row in $rows {
                *content.entry(($view, format!("{row:?}"))).or_default() += 1;
            }
        };
    }
    let visits = world.visits();
    let looks = world.looks(&visits);
    let mut movements = world.movements(&looks);
    put!("visits", &visits);
    let tales: Vec<Tale> = world.tales(&movements);
    movements.extend(tales.iter().flat_map(|tale| tale.adjusted.clone()));
    put!("movements", &movements);
    for tale in &tales {
        put!("inventory_history", &tale.held);
        put!("inventory", &tale.now);
        put!("food_state", world.food(tale, &movements));
    }
    put!("behaviour", world.behaviour(&visits, &movements));
    put!("behaviour_products", world.behaviour_products(&movements, &tales));
    put!("behaviour_pairs", world.behaviour_pairs(&movements));
    put!("market", world.market(&movements, &tales));
    put!("market_pairs", world.market_pairs(&movements));
    put!("review_queue", world.review_queue(&looks, &movements));
    content
}

/// The lower median of the readings of the cells whose centres the box holds, or of the one that holds the box's centre.
fn reading(grid: &Grid, bounds: BoundingBox, frame: &FrameResult) -> Option<u16> {
    let (wide, high) =
        (f64::from(frame.width) / f64::from(grid.columns), f64::from(frame.height) / f64::from(grid.rows));
    let within = |low: u16, at: f64, high: u16| f64::from(low) <= at && at < f64::from(high);
    let along = |cells: u16, size: f64, low: u16, high: u16| -> Vec<u16> {
        let inside: Vec<u16> = (0..cells).filter(|n| within(low, (f64::from(*n) + 0.5) * size, high)).collect();
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        let holds = |n: &u16| (f64::from(*n) * size..(f64::from(*n) + 1.0) * size).contains(&middle);
        if inside.is_empty() { (0..cells).filter(holds).collect() } else { inside }
    };
    let columns = along(grid.columns, wide, bounds.left, bounds.right);
    let mut found = Vec::new();
    for row in along(grid.rows, high, bounds.top, bounds.bottom) {
        for column in &columns {
            found.extend(grid.cells.get(usize::from(row * grid.columns + column)).copied().filter(|mm| *mm > 0));
        }
    }
    found.sort();
    (!found.is_empty()).then(|| found[(found.len() - 1) / 2])
}

impl World {
    /// Makes the inputs what they should have been.
    fn correct(&mut self) {
        let standing = corrected::standing(&self.corrections);
        let sensors = Sensors::of(&standing);
        let truth = Truth::of(&standing);
        let readings: BTreeSet<Reading> = self.readings.iter().map(|raw| sensors.reading(*raw)).collect();
        self.readings = readings.into_iter().collect();
        self.times = self.frames.iter().map(|frame| (frame.key, sensors.time(frame.key))).collect();
        for made in &standing {
            match made.change {
                Change::Product { product, fields } => {
                    let none = Name::default();
                    let new = Product {
                        id: product,
                        as_of: Time::MIN,
                        name: none,
                        category: none,
                        brand: none,
                        package_mg: 0,
                        shelf_life_days: 0,
                    };
                    fields.set(self.products.entry(product).or_insert(new));
                }
                Change::Appliance { appliance, fields } => {
                    if let Some(record) = self.appliances.get_mut(&appliance) {
                        fields.set(record);
                    }
                }
                _ => {}
            }
        }
        for movement in std::mem::take(&mut self.declared).into_values() {
            if let Some(product) = truth.product(movement.product) {
                self.declared.insert((movement.appliance, movement.id), DeclaredMovement { product, ..movement });
            }
        }
        self.corrections = standing;
    }

    fn visits(&self) -> BTreeSet<Visit> {
        let doors = self.readings.iter().filter(|r| r.modality == Modality::Door);
        let mut states: Vec<_> = doors.map(|r| (r.appliance, r.sensor, r.time, r.sequence, r.value != 0)).collect();
        states.sort();
        let mut visits = BTreeSet::new();
        let mut open: Option<Visit> = None;
        for (appliance, sensor, time, _, is_open) in states {
            if open.is_some_and(|visit| (visit.appliance, visit.sensor) != (appliance, sensor)) {
                visits.extend(open.take());
            }
            match (&mut open, is_open) {
                (None, true) => open = Some(Visit { appliance, sensor, opened: time, closed: None }),
                (Some(visit), false) => {
                    visit.closed = Some(time);
                    visits.extend(open.take());
                }
                _ => {}
            }
        }
        visits.extend(open);
        visits
    }

    fn median(&self, appliance: ApplianceId, from: i64, until: i64) -> Vec<(SensorId, i64)> {
        let mut by_scale: BTreeMap<SensorId, Vec<i64>> = BTreeMap::new();
        for r in &self.readings {
            if r.appliance == appliance && r.modality == Modality::Weight && from <= r.time.0 && r.time.0 < until {
                by_scale.entry(r.sensor).or_default().push(r.value);
            }
        }
        by_scale
            .into_iter()
            .map(|(sensor, mut values)| {
                values.sort();
                (sensor, values[(values.len() - 1) / 2])
            })
            .collect()
    }

    /// Each sensor's looks in order, with the frame that they are of.
    fn looks(&self, visits: &BTreeSet<Visit>) -> Vec<Vec<(Look, &FrameResult)>> {
        let second = 1_000_000;
        let sensors: BTreeSet<_> = self.frames.iter().map(|f| (f.key.appliance, f.key.sensor)).collect();
        let mut all = Vec::new();
        for &(appliance, sensor) in &sensors {
            let mine: Vec<&Visit> = visits.iter().filter(|v| v.appliance == appliance).collect();
            let openings: BTreeSet<i64> = mine.iter().map(|v| v.opened.0).collect();
            let mut looks = Vec::new();
            for &opened in &openings {
                let closings: Vec<Option<Time>> =
                    mine.iter().filter(|v| v.opened.0 == opened).map(|v| v.closed).collect();
                let closed = if closings.contains(&None) { None } else { closings.iter().flatten().max().copied() };
                let next = openings.iter().copied().find(|o| *o > opened);
                let end = next.unwrap_or(i64::MAX).min(closed.map_or(i64::MAX, |c| c.0 + 120 * second));
                let last = |sensor: SensorId| {
                    let during = |f: &&FrameResult| {
                        (f.key.appliance, f.key.sensor) == (appliance, sensor)
                            && (f.modality == Modality::Visible || f.modality == Modality::Depth && f.grid.is_some())
                            && (opened..end).contains(&self.times[&f.key].0)
                    };
                    let order = |f: &&FrameResult| (self.times[&f.key], f.key.hash, f.key.time, f.fingerprint);
                    self.frames.iter().filter(during).max_by_key(order)
                };
                let Some(frame) = last(sensor).filter(|f| f.modality == Modality::Visible) else { continue };
                let cameras = sensors.iter().filter(|(of, _)| *of == appliance);
                let deep = cameras.filter_map(|(_, sensor)| last(*sensor)).find(|f| f.modality == Modality::Depth);
                let depth = deep.and_then(|f| f.grid.clone());
                let after = closed.map_or(vec![], |closed| {
                    let from = closed.0 + 2 * second;
                    self.median(appliance, from, next.unwrap_or(i64::MAX).min(from + 60 * second))
                });
                let next_before = next.map_or(vec![], |next| self.median(appliance, next - 60 * second, next));
                let objects = corrected::objects(frame, &self.corrections);
                let mut items: Vec<Item> = objects.iter().filter_map(|object| self.item(appliance, object)).collect();
                for item in items.iter_mut().filter(|item| item.depth_mm.is_none()) {
                    item.depth_mm = depth.as_ref().and_then(|grid| reading(grid, item.bounds, frame));
                }
                items.sort();
                let look = Look {
                    opened: Time(opened),
                    frame: frame.key,
                    width: frame.width,
                    height: frame.height,
                    items,
                    depth: depth.map(Arc::new),
                    after,
                    next_before,
                };
                looks.push((look, frame));
            }
            all.push(looks);
        }
        all
    }

    fn min_score(&self, appliance: ApplianceId) -> Ppm {
        self.appliances.get(&appliance).map_or(500_000, |a| a.min_score)
    }

    fn item(&self, appliance: ApplianceId, object: &Object) -> Option<Item> {
        let (product, score) = match object.said {
            Some(None) => return None,
            Some(Some(product)) => (Some(product), PPM),
            None => match object.candidates.first() {
                Some(best) if best.score >= self.min_score(appliance) => (Some(best.product), best.score),
                _ => (None, 0),
            },
        };
        let product = product.and_then(|product| Truth::of(&self.corrections).product(product));
        let score = if product.is_some() { score } else { 0 };
        let package_mg = product.and_then(|p| self.products.get(&p)).map_or(0, |p| p.package_mg);
        Some(Item { product, bounds: object.bounds, depth_mm: object.depth_mm, score, package_mg })
    }

    fn movements(&self, looks: &[Vec<(Look, &FrameResult)>]) -> Vec<Movement> {
        let mut movements: Vec<Movement> = self.declared.values().filter_map(declared).collect();
        for looks in looks {
            let looks: Vec<Arc<Look>> = looks.iter().map(|(look, _)| Arc::new(look.clone())).collect();
            let at = |n: usize, off: isize| n.checked_add_signed(off).and_then(|n| looks.get(n));
            let bridged: Vec<_> =
                (0..looks.len()).map(|n| bridge([-2, -1, 0, 1, 2].map(|off| at(n, off))).unwrap()).collect();
            for (n, look) in bridged.iter().enumerate() {
                movements.extend(between(n.checked_sub(1).map(|n| &bridged[n]), look));
            }
        }
        let truth = Truth::of(&self.corrections);
        for made in &self.corrections {
            let Change::Movement { movement: key, confirmed } = made.change else { continue };
            let Some(product) = truth.product(key.product) else { continue };
            let later = self.corrections.iter().rev().find_map(|made| match made.change {
                Change::Movement { movement: other, confirmed }
                    if truth.product(other.product) == Some(product)
                        && MovementKey { product, ..other } == MovementKey { product, ..key } =>
                {
                    Some(confirmed)
                }
                _ => None,
            });
            if later != Some(confirmed) {
                continue;
            }
            let meant =
                |m: &Movement| (m.appliance, m.time, m.product, m.kind) == (key.appliance, key.time, product, key.kind);
            if confirmed {
                movements.iter_mut().filter(|m| meant(m)).for_each(|m| m.confidence = PPM);
            } else {
                movements.retain(|m| !meant(m));
            }
        }
        movements
    }

    fn date(&self, appliance: ApplianceId, time: Time) -> jiff::civil::Date {
        let names = ["Asia/Kolkata", "America/New_York"];
        let zone = self.appliances.get(&appliance).map(|a| a.time_zone);
        let zone = names
            .iter()
            .find(|name| Some(Name::of(name)) == zone)
            .map_or(TimeZone::UTC, |name| TimeZone::get(name).unwrap());
        Timestamp::from_microsecond(time.0).unwrap().to_zoned(zone).date()
    }

    fn day(date: jiff::civil::Date) -> Day {
        (date - jiff::civil::date(1970, 1, 1)).get_days()
    }

    fn week(&self, appliance: ApplianceId, time: Time) -> Day {
        let date = self.date(appliance, time);
        Self::day(if date.weekday() == Weekday::Monday { date } else { date.nth_weekday(-1, Weekday::Monday).unwrap() })
    }

    fn food(&self, tale: &Tale, movements: &[Movement]) -> Option<FoodState> {
        let now = tale.now?;
        let of = now.appliance;
        let oldest_in = tale.inside.iter().min().copied().unwrap();
        let events = self.readings.iter().map(|r| (r.appliance, r.time));
        let events = events.chain(self.frames.iter().map(|f| (f.key.appliance, self.times[&f.key])));
        let events = events.chain(movements.iter().map(|m| (m.appliance, m.time)));
        let newest = events.filter(|(appliance, _)| *appliance == of).map(|(_, time)| time).max().unwrap();
        let hour = Time(newest.0 / Time::HOUR * Time::HOUR);
        let shelf = self.products.get(&now.product).map_or(0, |p| p.shelf_life_days);
        let expires = (shelf > 0).then(|| Self::day(self.date(of, oldest_in)) + shelf as i32);
        let today = Self::day(self.date(of, hour));
        let minutes_out =
            tale.absences.iter().filter(|a| a.0 >= oldest_in).map(|a| (a.1.0 - a.0.0) / Time::MINUTE).sum();
        let advice = if expires.is_some_and(|last| today > last) {
            Advice::Discard
        } else if minutes_out > 120 {
            Advice::Check
        } else if expires.is_some_and(|last| today > last - 2) {
            Advice::EatSoon
        } else {
            Advice::Keep
        };
        Some(FoodState {
            appliance: of,
            product: now.product,
            count: now.count,
            oldest_in,
            age_hours: ((hour.0 - oldest_in.0) / Time::HOUR).max(0),
            expires,
            minutes_out,
            advice,
        })
    }

    fn behaviour(&self, visits: &BTreeSet<Visit>, movements: &[Movement]) -> Vec<Behaviour> {
        let mut weeks: BTreeMap<(HouseholdId, Day), [i64; 4]> = BTreeMap::new();
        for visit in visits {
            let Some(home) = self.appliances.get(&visit.appliance) else { continue };
            let sums = weeks.entry((home.household, self.week(visit.appliance, visit.opened))).or_default();
            sums[0] += 1;
            sums[1] += visit.closed.map_or(0, |closed| (closed.0 - visit.opened.0) / 1_000_000);
        }
        for m in movements.iter().filter(|m| m.kind != MovementKind::Moved) {
            let Some(home) = self.appliances.get(&m.appliance) else { continue };
            let sums = weeks.entry((home.household, self.week(m.appliance, m.time))).or_default();
            sums[if m.kind == MovementKind::In { 2 } else { 3 }] += m.quantity;
        }
        let row = |((household, week), [openings, open_seconds, put_in, taken_out]): (_, [i64; 4])| Behaviour {
            household,
            week,
            openings,
            open_seconds,
            put_in,
            taken_out,
        };
        weeks.into_iter().map(row).collect()
    }

    fn behaviour_products(&self, movements: &[Movement], tales: &[Tale]) -> Vec<ProductBehaviour> {
        let mut rows: BTreeMap<(HouseholdId, ProductId), (i64, i64, BTreeSet<Time>, Vec<i64>)> = BTreeMap::new();
        for m in movements.iter().filter(|m| m.kind != MovementKind::Moved) {
            let Some(home) = self.appliances.get(&m.appliance) else { continue };
            let row = rows.entry((home.household, m.product)).or_default();
            if m.kind == MovementKind::In {
                row.0 += m.quantity;
                row.2.insert(m.time);
            } else {
                row.1 += m.quantity;
            }
        }
        for tale in tales {
            let Some(home) = self.appliances.get(&tale.appliance) else { continue };
            let row = rows.entry((home.household, tale.product)).or_default();
            row.3.extend(tale.stays.iter().map(|(put_in, out)| (out.0 - put_in.0) / 1_000_000));
        }
        rows.into_iter()
            .filter(|(_, row)| row.0 + row.1 > 0)
            .map(|((household, product), (put_in, taken_out, instants, stays))| ProductBehaviour {
                household,
                product,
                put_in,
                taken_out,
                stays: stays.len() as i64,
                stay_seconds: stays.iter().sum(),
                restocks: (instants.len() as i64 - 1).max(0),
                restock_seconds: instants.last().map_or(0, |last| (last.0 - instants.first().unwrap().0) / 1_000_000),
            })
            .collect()
    }

    /// The products of each go, and its first instant.
    fn goes(movements: &[Movement], kind: MovementKind) -> Vec<(ApplianceId, Time, BTreeSet<ProductId>)> {
        let mut goes: BTreeMap<(ApplianceId, Name, Option<Time>), (Time, BTreeSet<ProductId>)> = BTreeMap::new();
        let counted = |m: &&Movement| matches!(m.source, MovementSource::Counted(_));
        for m in movements.iter().filter(|m| m.kind == kind && !counted(m)) {
            let alone = (m.group == Name::default()).then_some(m.time);
            let go = goes.entry((m.appliance, m.group, alone)).or_insert((m.time, BTreeSet::new()));
            go.0 = go.0.min(m.time);
            go.1.insert(m.product);
        }
        goes.into_iter().map(|(key, (time, products))| (key.0, time, products)).collect()
    }

    fn pairs(products: &BTreeSet<ProductId>) -> Vec<(ProductId, ProductId)> {
        products.iter().flat_map(|a| products.iter().filter(move |b| a < *b).map(move |b| (*a, *b))).collect()
    }

    fn behaviour_pairs(&self, movements: &[Movement]) -> Vec<PairBehaviour> {
        let mut pairs: BTreeMap<(HouseholdId, ProductId, ProductId), i64> = BTreeMap::new();
        for (appliance, _, products) in Self::goes(movements, MovementKind::Out) {
            let Some(home) = self.appliances.get(&appliance) else { continue };
            for (first, second) in Self::pairs(&products) {
                *pairs.entry((home.household, first, second)).or_default() += 1;
            }
        }
        let row = |((household, first, second), together)| PairBehaviour { household, first, second, together };
        pairs.into_iter().map(row).collect()
    }

    fn k(&self, region: Name) -> i64 {
        self.appliances.values().filter(|a| a.region == region).map(|a| i64::from(a.min_households)).max().unwrap()
    }

    fn market(&self, movements: &[Movement], tales: &[Tale]) -> Vec<Market> {
        type Sums = ([i64; 4], BTreeSet<HouseholdId>);
        let mut cells: BTreeMap<(Name, Day, MarketLevel, Name), Sums> = BTreeMap::new();
        let mut add = |appliance: ApplianceId, product: ProductId, time: Time, sums: [i64; 4]| {
            let Some(home) = self.appliances.get(&appliance) else { return };
            let mut keys = vec![(MarketLevel::Product, product.0)];
            if let Some(record) = self.products.get(&product) {
                keys.extend([(MarketLevel::Brand, record.brand), (MarketLevel::Category, record.category)]);
            }
            for (level, key) in keys.into_iter().filter(|(_, key)| *key != Name::default()) {
                let cell = cells.entry((home.region, self.week(appliance, time), level, key)).or_default();
                cell.1.insert(home.household);
                for (sum, more) in cell.0.iter_mut().zip(sums) {
                    *sum += more;
                }
            }
        };
        for m in movements {
            match m.kind {
                MovementKind::In => add(m.appliance, m.product, m.time, [m.quantity, 0, 0, m.cents]),
                MovementKind::Out => add(m.appliance, m.product, m.time, [0; 4]),
                MovementKind::Moved => {}
            }
        }
        for tale in tales {
            let shelf = self.products.get(&tale.product).map_or(0, |p| i64::from(p.shelf_life_days));
            for &(put_in, out, wasted) in &tale.gone {
                let old = shelf > 0 && put_in.is_some_and(|put_in| out.0 - put_in.0 > shelf * Time::DAY);
                let sums = if wasted || old { [0, 0, 1, 0] } else { [0, 1, 0, 0] };
                add(tale.appliance, tale.product, out, sums);
            }
        }
        cells
            .into_iter()
            .map(|((region, week, level, key), ([put_in, used_up, wasted, cents], households))| Market {
                region,
                week,
                level,
                key,
                put_in,
                used_up,
                wasted,
                cents,
                households: households.len() as i64,
            })
            .filter(|cell| cell.households >= self.k(cell.region))
            .collect()
    }

    fn market_pairs(&self, movements: &[Movement]) -> Vec<MarketPair> {
        let mut pairs: BTreeMap<(Name, Day, ProductId, ProductId), (i64, BTreeSet<HouseholdId>)> = BTreeMap::new();
        for (appliance, time, products) in Self::goes(movements, MovementKind::In) {
            let Some(home) = self.appliances.get(&appliance) else { continue };
            for (first, second) in Self::pairs(&products) {
                let pair = pairs.entry((home.region, self.week(appliance, time), first, second)).or_default();
                pair.0 += 1;
                pair.1.insert(home.household);
            }
        }
        pairs
            .into_iter()
            .map(|((region, week, first, second), (together, households))| MarketPair {
                region,
                week,
                first,
                second,
                together,
                households: households.len() as i64,
            })
            .filter(|pair| pair.households >= self.k(pair.region))
            .collect()
    }

    fn review_queue(&self, looks: &[Vec<(Look, &FrameResult)>], movements: &[Movement]) -> BTreeSet<ReviewItem> {
        let below = |appliance: ApplianceId| self.appliances.get(&appliance).map_or(800_000, |a| a.review_below);
        let truth = Truth::of(&self.corrections);
        let mut items = BTreeSet::new();
        for (look, frame) in looks.iter().flatten() {
            let appliance = look.frame.appliance;
            for object in corrected::objects(frame, &self.corrections) {
                let Some(best) = object.candidates.first() else { continue };
                let lead = best.score - object.candidates.get(1).map_or(0, |next| next.score);
                let taken_for = (best.score >= self.min_score(appliance)).then_some(best.product);
                if object.said.is_none() && (best.score < below(appliance) || lead < 50_000) {
                    items.insert(ReviewItem {
                        appliance,
                        time: frame.key.time,
                        subject: ReviewSubject::Sighting(SightingKey { frame: frame.key, index: object.index as u16 }),
                        product: taken_for.and_then(|product| truth.product(product)),
                        confidence: best.score,
                    });
                }
            }
        }
        for m in movements {
            if m.source == MovementSource::Sensors && m.confidence < below(m.appliance) {
                items.insert(ReviewItem {
                    appliance: m.appliance,
                    time: m.time,
                    subject: ReviewSubject::Movement(m.kind),
                    product: Some(m.product),
                    confidence: m.confidence,
                });
            }
        }
        items
    }
}

/// A product in an appliance, package by package.
struct Tale {
    appliance: ApplianceId,
    product: ProductId,
    held: Vec<InventoryInterval>,
    now: Option<Inventory>,
    /// First putting in of each package that is in.
    inside: Vec<Time>,
    /// Packages in and out.
    stays: Vec<(Time, Time)>,
    /// Packages out for good: put in, out, declared wasted.
    gone: Vec<(Option<Time>, Time, bool)>,
    /// Out and in again, once for each pair of movements.
    absences: Vec<(Time, Time)>,
    /// What counts say beyond the movements.
    adjusted: Vec<Movement>,
}

impl World {
    fn tales(&self, movements: &[Movement]) -> Vec<Tale> {
        let truth = Truth::of(&self.corrections);
        let mut counts: BTreeMap<(ApplianceId, ProductId), BTreeMap<Time, (i64, Name)>> = BTreeMap::new();
        for made in &self.corrections {
            if let Change::Count { appliance, product, at, count } = made.change
                && let Some(product) = truth.product(product)
            {
                counts.entry((appliance, product)).or_default().insert(at, (count, made.id));
            }
        }
        let mut of: BTreeSet<_> =
            movements.iter().filter(|m| m.kind != MovementKind::Moved).map(|m| (m.appliance, m.product)).collect();
        of.extend(counts.keys());
        of.into_iter()
            .map(|(appliance, product)| {
                let meant = |m: &&Movement| (m.appliance, m.product) == (appliance, product);
                let mine = movements.iter().filter(meant).filter(|m| m.kind != MovementKind::Moved);
                let counts = counts.remove(&(appliance, product)).unwrap_or_default();
                tale(appliance, product, mine.cloned().collect(), &counts)
            })
            .collect()
    }
}

fn tale(
    appliance: ApplianceId,
    product: ProductId,
    mut movements: Vec<Movement>,
    counts: &BTreeMap<Time, (i64, Name)>,
) -> Tale {
    let mut adjusted = Vec::new();
    for (&time, &(count, id)) in counts {
        let before: i64 = movements.iter().filter(|m| m.time <= time).map(|m| m.signed()).sum();
        let kind = if count > before { MovementKind::In } else { MovementKind::Out };
        if count != before {
            adjusted.push(Movement {
                appliance,
                time,
                group: Name::default(),
                product,
                kind,
                quantity: (count - before).abs(),
                confidence: PPM,
                source: MovementSource::Counted(id),
                reason: Reason::Unspecified,
                cents: 0,
                weight_delta_mg: None,
                before: None,
                after: None,
            });
            movements.extend(adjusted.last().cloned());
        }
    }
    let counted = |m: &Movement| matches!(m.source, MovementSource::Counted(_));
    movements.sort_by_key(|m| (m.time, counted(m), m.kind, m.quantity, m.reason, m.confidence));
    let movements: Vec<&Movement> = movements.iter().collect();
    let instants: BTreeSet<Time> = movements.iter().map(|m| m.time).collect();
    let level = |time: Time| movements.iter().filter(|m| m.time <= time).map(|m| m.signed()).sum::<i64>();
    let mut held: Vec<InventoryInterval> = Vec::new();
    for &from in &instants {
        let count = level(from);
        let last = held.last().map_or(0, |interval| interval.count);
        if count != last {
            if let Some(last) = held.last_mut() {
                last.until = Some(from);
            }
            held.push(InventoryInterval { appliance, product, from, until: None, count });
        }
    }
    let now = held.last().filter(|last| last.count > 0).map(|last| {
        let none = instants.iter().rev().find(|time| level(**time) <= 0);
        let certain = none.max(counts.keys().next_back());
        let since = movements.iter().filter(|m| certain.is_none_or(|certain| m.time > *certain));
        let confidence = since.map(|m| m.confidence).min().unwrap_or(PPM);
        Inventory { appliance, product, count: last.count, since: last.from, confidence }
    });
    held.retain(|interval| interval.count != 0);

    // (first put in, out) of what may come back, and what is in, one by one
    let mut away: Vec<(Option<Time>, Time, usize)> = Vec::new();
    let (mut inside, mut plain): (Vec<Time>, Vec<Time>) = (vec![], vec![]);
    let (mut stays, mut gone, mut absences) = (vec![], vec![], BTreeSet::new());
    for (n, m) in movements.iter().enumerate() {
        for _ in 0..m.quantity {
            if m.kind == MovementKind::In {
                plain.push(m.time);
                let back = away.iter().position(|(_, out, _)| m.time.0 - out.0 <= Time::DAY);
                match back.map(|back| away.remove(back)) {
                    Some((put_in, out, of)) => {
                        absences.insert((of, n, put_in, out, m.time));
                        inside.push(put_in.unwrap_or(m.time));
                    }
                    None => inside.push(m.time),
                }
            } else {
                if !plain.is_empty() {
                    stays.push((plain.remove(0), m.time));
                }
                let oldest = (0..inside.len()).min_by_key(|n| inside[*n]);
                let put_in = oldest.map(|n| inside.remove(n));
                match m.reason {
                    Reason::Used => gone.push((put_in, m.time, false)),
                    Reason::Wasted => gone.push((put_in, m.time, true)),
                    Reason::Unspecified | Reason::Bought => away.push((put_in, m.time, n)),
                }
            }
        }
    }
    gone.extend(away.into_iter().map(|(put_in, out, _)| (put_in, out, false)));
    let absences = absences.into_iter().map(|(.., out, back)| (out, back)).collect();
    Tale { appliance, product, held, now, inside, stays, gone, absences, adjusted }
}
