//! A year of many kitchens, made: one package is replaced by another at each visit.

use larder::{eyes::Eyes, lake::Lake};
use larder_records::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub const PRODUCTS: usize = 1_000;
pub const SHELF: usize = 8;
pub const START: i64 = 1_735_689_600_000_000;
pub const YEAR: i64 = 365 * Time::DAY;

/// The names of all there is.
pub struct World {
    pub names: Names,
    pub appliances: Vec<ApplianceId>,
    pub products: Vec<ProductId>,
    pub categories: Vec<Name>,
    pub regions: Vec<Name>,
}

impl World {
    pub fn new(appliances: usize) -> Self {
        let mut names = Names::default();
        let mut many = |what: &str, count: usize| -> Vec<Name> {
            (0..count).map(|n| names.intern(&format!("{what}-{n}")).unwrap()).collect()
        };
        let (homes, products) = (many("fridge", appliances), many("product", PRODUCTS));
        let (categories, regions) = (many("category", 50), many("region", 20));
        for name in ["camera", "door", "fridge"] {
            names.intern(name).unwrap();
        }
        Self {
            appliances: homes.into_iter().map(ApplianceId).collect(),
            products: products.into_iter().map(ProductId).collect(),
            categories,
            regions,
            names,
        }
    }
}

pub fn bounds(place: u16) -> BoundingBox {
    BoundingBox { left: place * 80, top: 100, right: place * 80 + 70, bottom: 300 }
}

pub fn door(appliance: ApplianceId, time: Time, value: i64) -> Reading {
    Reading { appliance, sensor: SensorId::of("door"), modality: Modality::Door, time, sequence: 0, value }
}

/// Fills the tables of what came in with a year: one package is replaced by another at each visit.
pub fn fill(lake: &Lake, world: &World, visits: usize, eyes: &Eyes) -> Vec<FrameKey> {
    let names = &world.names;
    let mut keys = Vec::new();
    let (mut readings, mut frames) = (Vec::new(), Vec::new());
    for (n, &appliance) in world.appliances.iter().enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(n as u64);
        let mut shelf: [usize; SHELF] = std::array::from_fn(|_| random.random_range(0..PRODUCTS));
        for visit in 0..visits {
            shelf[random.random_range(0..SHELF)] = random.random_range(0..PRODUCTS);
            let opened = Time(START + YEAR / visits as i64 * visit as i64);
            readings.extend([door(appliance, opened, 1), door(appliance, opened.plus(20 * Time::SECOND), 0)]);
            let key = FrameKey {
                appliance,
                sensor: SensorId::of("camera"),
                time: opened.plus(21 * Time::SECOND),
                hash: Digest((n * visits + visit) as u128),
            };
            let sightings = shelf.iter().zip(0..).map(|(&seen, place)| Sighting {
                bounds: bounds(place),
                detection: PPM,
                candidates: vec![
                    Candidate { product: world.products[seen], score: 900_000 },
                    Candidate { product: world.products[(seen + 1) % PRODUCTS], score: 300_000 },
                ],
                classes: vec![],
                embedding: vec![],
                depth_mm: None,
                heat_ck: None,
            });
            frames.push(FrameResult {
                key,
                modality: Modality::Visible,
                fingerprint: eyes.fingerprint(appliance),
                width: 640,
                height: 480,
                sightings: sightings.collect(),
                grid: None,
            });
            keys.push(key);
        }
    }
    lake.append_frames(names, 0, &frames).unwrap();
    let products = world.products.iter().enumerate().map(|(n, &id)| Product {
        id,
        as_of: Time(START),
        name: id.0,
        category: world.categories[n / 20],
        brand: Name::default(),
        package_mg: 500_000,
        shelf_life_days: 10,
    });
    lake.apply(names, 0, products.map(|product| (product, 1)).collect()).unwrap();
    let homes = world.appliances.iter().enumerate().map(|(n, &id)| {
        let mut home = Appliance::new(id, HouseholdId(id.0), Name::of("fridge"));
        home.region = world.regions[n % 20];
        (home, 1)
    });
    lake.apply(names, 0, homes.collect()).unwrap();
    lake.append(names, 0, &readings).unwrap();
    keys
}
