//! Receipts: what households bought, line by line.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use larder_records::{
    Appliance, ApplianceId, DeclaredMovement, HouseholdId, Modality, Product, ProductId, Reason, Time,
};
use serde::Deserialize;

use super::super::local_time::{civil, event_time, zone};
use super::super::{Import, ImportError, Importer};
use super::rows;

/// The file that tells receipts from other movements.
pub(super) const TRANSACTIONS: &str = "transactions.csv";

/// Receipts as the Complete Journey data keep them: `transactions.csv`, `products.csv`, `demographics.csv`.
///
/// - Each line of the transactions puts `quantity` packages into the appliance `HOUSEHOLD/pantry` at
///   `transaction_timestamp`, bought: its id is the number of its line in the file (the first below the head is 2), its
///   group the basket, its cents `sales_value * 100` rounded to the nearest, half away from zero. Lines of no packages
///   are reported and left out. Lines keep their order, which is that of time.
/// - Each product that a line names is a product: its SKU is `product_id`, its name `product_type` and `package_size`
///   joined by a space, its category `department`, `product_category` and `product_type` joined by `/`, each with `/`
///   turned into `-` and left out where empty; all of that in lower case, the brand as it stands. A product that
///   `products.csv` lacks is reported and left out.
/// - The weight of a package is read off sizes of the form `[N/|N PK/]W UNIT`, `W CT/` taken as a mere remark: `N` times
///   `W` ounces (`OZ`, 28.349523125 g), pounds (`LB`, 453.59237 g), grams (`G`) or kilograms (`KG`); any other size,
///   volumes and counts among them, weighs 0, which means unknown.
/// - The household's region is the column [`region_from`](Self::region_from) of the demographics where that is asked
///   for and there, else [`region`](Self::region).
#[derive(Debug, Clone)]
pub struct Receipts {
    /// The market region of households of which nothing else is known.
    pub region: String,
    /// The column of `demographics.csv` that stands for a region, such as `income`.
    pub region_from: Option<String>,
    /// IANA time zone of the shops.
    pub time_zone: String,
}

impl Default for Receipts {
    /// All in the region `us`, times as UTC.
    fn default() -> Self {
        Self { region: "us".to_owned(), region_from: None, time_zone: "UTC".to_owned() }
    }
}

#[derive(Deserialize)]
struct Line {
    household_id: String,
    basket_id: String,
    product_id: String,
    quantity: f64,
    sales_value: f64,
    transaction_timestamp: String,
}

#[derive(Deserialize)]
struct ProductLine {
    product_id: String,
    department: String,
    brand: String,
    product_category: String,
    product_type: String,
    package_size: String,
}

impl Importer for Receipts {
    fn read(&self, source: &Path, import: &mut Import<'_>) -> Result<(), ImportError> {
        let zone = zone(&self.time_zone).map_err(|detail| ImportError::nothing(source, detail))?;
        let time = |text: &str| event_time(civil(text, &['-', ' ', ':', 'T'], [0, 1, 2, 3, 4, 5])?, &zone, Time::MIN);
        let path = source.join(TRANSACTIONS);
        let bytes = path.metadata().map_err(|error| ImportError::io(&path, error))?.len();
        import.progress().total(2 * bytes);
        let mut first = None;
        let (mut households, mut known) = (Vec::new(), HashSet::new());
        let mut products = BTreeSet::new();
        rows::<Line>(&path, |row| {
            import.progress().advance(row.bytes);
            if let Ok(line) = row.columns {
                first = first.or_else(|| time(&line.transaction_timestamp));
                products.insert(line.product_id);
                if known.insert(line.household_id.clone()) {
                    households.push(line.household_id);
                }
            }
            Ok(())
        })?;
        let first = first.ok_or_else(|| ImportError::nothing(&path, "no line that can be read"))?;
        let appliances = self.appliances(source, &households, first, import)?;
        write_products(&source.join("products.csv"), products, first, import)?;
        rows::<Line>(&path, |row| {
            import.progress().advance(row.bytes);
            let line = match row.columns {
                Ok(line) => line,
                Err(detail) => {
                    import.fault(&path, Some(row.line), detail);
                    return Ok(());
                }
            };
            let amounts = (whole(line.quantity), whole((line.sales_value * 100.0).round()));
            let (Some(time), (Some(quantity), Some(cents))) = (time(&line.transaction_timestamp), amounts) else {
                import.fault(&path, Some(row.line), "a time, quantity or value that makes no sense");
                return Ok(());
            };
            let names = &mut import.names;
            let movement = DeclaredMovement {
                appliance: appliances[&line.household_id],
                time,
                id: names.intern(&row.line.to_string())?,
                source: names.intern("receipts")?,
                product: ProductId(names.intern(&line.product_id)?),
                quantity,
                group: names.intern(&line.basket_id)?,
                reason: Reason::Bought,
                cents,
            };
            if let Err(refused) = import.declared(&movement)? {
                import.fault(&path, Some(row.line), refused.to_string());
            }
            Ok(())
        })
    }
}

impl Receipts {
    /// Writes each household's pantry.
    fn appliances(
        &self,
        source: &Path,
        households: &[String],
        first: Time,
        import: &mut Import<'_>,
    ) -> Result<BTreeMap<String, ApplianceId>, ImportError> {
        let mut regions: BTreeMap<String, String> = BTreeMap::new();
        if let Some(column) = &self.region_from {
            let path = source.join("demographics.csv");
            rows::<BTreeMap<String, String>>(&path, |row| {
                match row.columns.ok().and_then(|mut row| Some((row.remove("household_id")?, row.remove(column)?))) {
                    Some((household, region)) => drop(regions.insert(household, region)),
                    None => import.fault(&path, Some(row.line), format!("no household_id, or no {column}")),
                }
                Ok(())
            })?;
        }
        let mut appliances = BTreeMap::new();
        for household in households {
            let region = regions.get(household).filter(|region| !region.is_empty()).unwrap_or(&self.region);
            let names = &mut import.names;
            let id = ApplianceId(names.intern(&format!("{household}/pantry"))?);
            let known = Appliance::new(id, HouseholdId(names.intern(household)?), names.intern("pantry")?);
            let (region, time_zone) = (names.intern(region)?, names.intern(&self.time_zone)?);
            let appliance = Appliance { as_of: first, region, time_zone, ..known };
            import.appliance(&appliance)?;
            appliances.insert(household.clone(), id);
        }
        Ok(appliances)
    }
}

/// Writes those of `wanted` that the file describes, and tells of the rest.
fn write_products(
    path: &Path,
    mut wanted: BTreeSet<String>,
    first: Time,
    import: &mut Import<'_>,
) -> Result<(), ImportError> {
    rows::<ProductLine>(path, |row| {
        let line = match row.columns {
            Ok(line) => line,
            Err(detail) => {
                import.fault(path, Some(row.line), detail);
                return Ok(());
            }
        };
        if !wanted.remove(&line.product_id) {
            return Ok(());
        }
        let parts = [&line.department, &line.product_category, &line.product_type];
        let category: Vec<String> =
            parts.iter().filter(|part| !part.is_empty()).map(|part| part.to_lowercase().replace('/', "-")).collect();
        let name = format!("{} {}", line.product_type, line.package_size).trim().to_lowercase();
        let names = &mut import.names;
        let product = Product {
            id: ProductId(names.intern(&line.product_id)?),
            as_of: first,
            name: names.intern(&name)?,
            category: names.intern(&category.join("/"))?,
            brand: names.intern(&line.brand)?,
            package_mg: package_milligrams(&line.package_size),
            shelf_life_days: 0,
        };
        import.product(&product)?;
        Ok(())
    })?;
    for product in wanted {
        import.fault(path, None, format!("no product {product}, which was bought"));
    }
    Ok(())
}

/// A number that an integer holds exactly.
fn whole(number: f64) -> Option<i64> {
    // Up to 2^53 every whole number has one; NaN fails the comparison.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// The weight of a package from its size; 0 where that does not say.
fn package_milligrams(size: &str) -> i64 {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    let (before, last) = size.rsplit_once('/').unwrap_or(("", size));
    let count = match before.trim() {
        "" => Some(1.0),
        before => match before.strip_suffix("CT") {
            Some(pieces) => number(pieces).map(|_| 1.0),
            None => number(before.strip_suffix("PK").unwrap_or(before)),
        },
    };
    let units = [("OZ", 28_349.523_125), ("LB", 453_592.37), ("KG", 1_000_000.0), ("G", 1000.0)];
    let last = last.trim();
    let weight = units.iter().find_map(|(unit, milligrams)| Some(number(last.strip_suffix(unit)?)? * milligrams));
    let milligrams = count.zip(weight).map_or(0.0, |(count, weight)| (count * weight).round());
    whole(milligrams).filter(|mg| larder_records::wire::check_value(Modality::Weight, *mg).is_ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_state_a_weight_are_understood_and_no_others() {
        let cases = [
            ("9.5 OZ", 269_320),
            ("12 PK/12 OZ", 4_082_331),
            ("10/6.75 OZ", 1_913_593),
            ("10 CT/15 OZ", 425_243),
            ("2 LB", 907_185),
            (".5 KG", 500_000),
            ("250 G", 250_000),
            ("2 L", 0),
            ("1 GAL", 0),
            ("13 FL OZ", 0),
            ("6-4 OZ", 0),
            ("12 CT", 0),
            ("NaN OZ", 0),
            ("-3 OZ", 0),
            ("1e300 OZ", 0),
            ("OZ", 0),
            ("", 0),
        ];
        for (size, milligrams) in cases {
            assert_eq!(package_milligrams(size), milligrams, "{size}");
        }
    }
}
