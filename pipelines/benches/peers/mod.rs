//! The same views of the same data by others, beside which the bench's own times stand.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    process::Command,
};

use larder_records::{
    Time,
    views::{Inventory, Market},
};

/// What the views add up to: rows and sums of their columns, by which others can be seen to have computed the same.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Sums {
    pub inventory: [i64; 3],
    pub market: [i64; 5],
}

impl Sums {
    pub fn add_inventory(&mut self, row: &Inventory, visit: impl Fn(Time) -> i64, diff: isize) {
        let row = [1, row.count, visit(row.since)];
        self.inventory.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * diff as i64);
    }

    pub fn add_market(&mut self, row: &Market, diff: isize) {
        let row = [1, row.put_in, row.used_up, row.wasted, row.households];
        self.market.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * diff as i64);
    }
}

/// Who there is.
pub const NAMES: [&str; 2] = ["duckdb", "pathway"];

/// A folder of what `views.py` reads.
pub struct Peers {
    names: Vec<&'static str>,
    folder: PathBuf,
    sightings: BufWriter<File>,
    changes: BufWriter<File>,
}

impl Peers {
    /// Those of `names`. `products` are id, brand and category, `appliances` id, household and region.
    pub fn new(
        names: &[&'static str],
        start: i64,
        step: i64,
        visits: u64,
        products: impl Iterator<Item = [u64; 3]>,
        appliances: impl Iterator<Item = [u64; 3]>,
    ) -> Self {
        let folder = std::env::temp_dir().join(format!("larder-peers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let facts = format!("{{\"start\": {start}, \"step\": {step}, \"visits\": {visits}}}");
        std::fs::write(folder.join("facts.json"), facts).unwrap();
        let table = |name: &str, columns: &str| {
            let mut file = BufWriter::new(File::create(folder.join(name)).unwrap());
            writeln!(file, "{columns}").unwrap();
            file
        };
        let mut file = table("products.csv", "product,brand,category");
        products.for_each(|[id, brand, category]| writeln!(file, "{id},{brand},{category}").unwrap());
        let mut file = table("appliances.csv", "appliance,household,region");
        appliances.for_each(|[id, household, region]| writeln!(file, "{id},{household},{region}").unwrap());
        let sightings = table("sightings.csv", "appliance,visit,place,product");
        let changes = table("changes.csv", "kind,appliance,visit,place,product,category");
        Self { names: names.to_vec(), folder, sightings, changes }
    }

    pub fn sighting(&mut self, appliance: u64, visit: u64, place: u16, product: u64) {
        writeln!(self.sightings, "{appliance},{visit},{place},{product}").unwrap();
    }

    pub fn relabel(&mut self, appliance: u64, visit: u64, place: u16, product: u64) {
        writeln!(self.changes, "relabel,{appliance},{visit},{place},{product},0").unwrap();
    }

    pub fn category(&mut self, product: u64, category: u64) {
        writeln!(self.changes, "category,0,0,0,{product},{category}").unwrap();
    }

    /// Has the others compute, and prints how long they took beside `ours`: the milliseconds of a relabel and of a category, p50.
    pub fn compare(mut self, before: Sums, after: Sums, ours: [f64; 2]) {
        self.sightings.flush().unwrap();
        self.changes.flush().unwrap();
        let python = std::env::var("LARDER_PEERS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/views.py");
        let output = match Command::new(&python).arg(script).arg(&self.folder).args(&self.names).output() {
            Ok(output) => output,
            Err(error) => return println!("no peers: {python} cannot be run ({error}); set LARDER_PEERS_PYTHON"),
        };
        std::fs::remove_dir_all(&self.folder).unwrap();
        let Ok(found) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            return println!("no peers: {}", String::from_utf8_lossy(&output.stderr));
        };
        let expected = |sums: Sums| serde_json::json!([sums.inventory, sums.market]);
        println!("{:<48} {:>12} {:>12}", "", "relabel", "category");
        let line = |name: &str, times: [f64; 2]| println!("{name:<48} {:>9.1} ms {:>9.1} ms", times[0], times[1]);
        line("Larder, all 11 views kept, p50", ours);
        for name in self.names {
            let of = &found[name];
            if let Some(missing) = of["missing"].as_str() {
                println!("{name}: skipped, {missing}");
                continue;
            }
            assert_eq!(
                (&of["before"], &of["after"]),
                (&expected(before), &expected(after)),
                "{name} computed other views"
            );
            let seconds = |field: &str| {
                let mut times: Vec<f64> = of[field].as_array().unwrap().iter().filter_map(|t| t.as_f64()).collect();
                times.sort_by(f64::total_cmp);
                times[(times.len() - 1) / 2]
            };
            let version = of["version"].as_str().unwrap();
            let (what, times) = if name == NAMES[0] {
                let seconds = of["seconds"].as_f64().unwrap();
                ("inventory and market anew, all cores", [seconds; 2])
            } else {
                println!("pathway took {:.1} s to load", of["load"].as_f64().unwrap());
                ("inventory and market kept, p50", [seconds("relabel"), seconds("category")])
            };
            let times = times.map(|seconds| seconds * 1e3);
            line(&format!("{name} {version}, {what}"), times);
            println!("{:<48} {:>11.0}x {:>11.0}x", "", times[0] / ours[0], times[1] / ours[1]);
        }
    }
}
