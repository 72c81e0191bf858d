//! Which rows are to be explained, and the movements that they count.

use std::collections::{BTreeMap, BTreeSet};

use larder_records::{
    ApplianceId, Name, Names, Time,
    views::{Day, Movement, MovementKind},
};

use crate::lake::{Lake, Part, Whose};

use super::{EvidenceError, Records};

/// The views whose rows rest on movements, and the columns that tell these apart.
pub(super) const VIEWS: [(&str, &[&str]); 9] = [
    ("movements", &["appliance", "time", "sku", "kind"]),
    ("inventory", &["appliance", "sku"]),
    ("inventory_history", &["appliance", "sku"]),
    ("food_state", &["appliance", "sku"]),
    ("behaviour", &["household", "week"]),
    ("behaviour_products", &["household", "sku"]),
    ("behaviour_pairs", &["household", "first_sku", "second_sku"]),
    ("market", &["region", "week", "level", "key"]),
    ("market_pairs", &["region", "week", "first_sku", "second_sku"]),
];

/// Which rows are to be explained: a view, and values of some of its columns.
#[derive(Debug, Clone)]
pub struct Question {
    view: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Question {
    /// The rows of `view` in which each column has its value.
    ///
    /// # Errors
    /// [`EvidenceError::View`], [`EvidenceError::Column`].
    pub fn new(view: &str, values: &[(String, String)]) -> Result<Self, EvidenceError> {
        let known = VIEWS.into_iter().find(|(known, _)| *known == view);
        let (view, columns) = known.ok_or_else(|| EvidenceError::View { view: view.to_owned() })?;
        let values = values
            .iter()
            .map(|(column, value)| match columns.iter().find(|known| *known == column) {
                Some(column) => Ok((*column, value.clone())),
                None => Err(EvidenceError::Column { view: view.to_owned(), column: column.clone(), columns }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { view, values })
    }

    /// The view asked about.
    pub(super) fn view(&self) -> &'static str {
        self.view
    }

    /// The name asked for in a column.
    pub(super) fn name(&self, column: &str) -> Option<Name> {
        self.values.get(column).map(|value| Name::of(value))
    }

    fn parsed<T: std::str::FromStr>(&self, column: &str, expected: &'static str) -> Result<Option<T>, EvidenceError> {
        let wrong = |value: &String| EvidenceError::Value { column: column.to_owned(), value: value.clone(), expected };
        self.values.get(column).map(|value| value.parse().map_err(|_| wrong(value))).transpose()
    }
}

/// The movements that rows of the question count. Reads the files that may hold them.
pub(super) fn meant(
    lake: &Lake,
    names: &mut Names,
    question: &Question,
    records: &Records,
) -> Result<Vec<Movement>, EvidenceError> {
    let time: Option<jiff::Timestamp> = question.parsed("time", "a time such as 2026-03-01T18:00:00Z")?;
    let week: Option<jiff::civil::Date> = question.parsed("week", "a date such as 2026-03-02")?;
    let kind = match question.values.get("kind").map(String::as_str) {
        None => None,
        Some(word) => Some(MovementKind::from_name(word).ok_or_else(|| EvidenceError::Value {
            column: "kind".to_owned(),
            value: word.to_owned(),
            expected: "in, out or moved",
        })?),
    };
    let skus: Vec<Name> =
        ["sku", "first_sku", "second_sku"].iter().filter_map(|column| question.name(column)).collect();
    let epoch = jiff::civil::date(1970, 1, 1);
    let week = week.map(|week| week.since(epoch).map_or(Day::MAX, |span| span.get_days()));
    let (household, region) = (question.name("household"), question.name("region"));
    let key = question.name("key");
    let level = question.values.get("level").map_or("product", String::as_str);
    let is = |wanted: Option<Name>, found: Option<Name>| wanted.is_none_or(|wanted| found == Some(wanted));
    let whose = question.values.get("appliance").map(|text| names.intern(text)).transpose()?;
    let whose = whose.map(|name| BTreeSet::from([ApplianceId(name)]));
    let at = time.map(|time| Time(time.as_microsecond()));
    let part =
        Part { appliances: whose.as_ref().map_or(Whose::All, Whose::Of), from: at, until: at.map(|at| at.plus(1)) };
    let mut movements = lake.read_part::<Movement>(&part, names)?;
    movements.retain(|m| {
        let home = records.intake.appliance_now(m.appliance);
        let product = records.intake.product_now(m.product);
        let cell = match level {
            "brand" => product.map(|product| product.brand),
            "category" => product.map(|product| product.category),
            _ => Some(m.product.0),
        };
        (skus.is_empty() || skus.contains(&m.product.0))
            && is(household, home.as_ref().map(|home| home.household.0))
            && is(region, home.as_ref().map(|home| home.region))
            && is(key, cell)
            && kind.is_none_or(|kind| m.kind == kind)
            && week.is_none_or(|week| records.week(m.appliance, m.time) == week)
    });
    Ok(movements)
}
