//! What each commit changed in the views, to Kafka topics.
//!
//! The topics follow the lake, never the other way round: an epoch is sent once it is committed, read from the change feeds of the
//! tables, in one Kafka transaction that ends with a record that names it. Whoever starts reads that record and goes on behind it, so
//! that a crash costs no epoch and sends none twice.

use std::collections::BTreeMap;

use larder_records::wire::v1;
use serde_json::{Map, Value, json};

use crate::{
    engine::EngineError,
    feeds::kafka::{Connection, KafkaError, Publisher, last_value},
    lake::{JsonChange, Lake},
};

/// The header of every record that names the epoch.
const EPOCH_HEADER: &str = "epoch";
/// The partition in which each epoch's last record lies.
const END_PARTITION: i32 = 0;
/// The key of that record; nothing in a kitchen is called so.
const END_KEY: &str = "#epoch";

/// The topics that follow a lake.
pub struct Changes {
    publisher: Publisher,
    topic: String,
    /// What is to be done with foods.
    actions: Option<String>,
    /// The newest epoch that the topics hold.
    sent: Option<u64>,
}

impl Changes {
    /// Finds out how far the topics are. Whoever sent to `topic` before can do so no longer.
    ///
    /// # Errors
    /// [`KafkaError`] where a property is refused, no broker answers, or a topic is not there.
    pub fn open(connection: &Connection, topic: String, actions: Option<String>) -> Result<Self, KafkaError> {
        let mut publisher = Publisher::transactional(connection, &format!("larder-{topic}"))?;
        for topic in [Some(&topic), actions.as_ref()].into_iter().flatten() {
            publisher.partitions(topic)?;
        }
        let is_end = |key: Option<&[u8]>| key == Some(END_KEY.as_bytes());
        let end = last_value(connection, &topic, END_PARTITION, is_end)?;
        let end = end.and_then(|value| serde_json::from_slice::<Value>(&value).ok());
        let sent = end.and_then(|end| end["epoch"].as_u64());
        Ok(Self { publisher, topic, actions, sent })
    }

    /// Sends the epochs of `lake` that the topics do not hold yet.
    ///
    /// # Errors
    /// [`EngineError`] where the lake cannot be read, or brokers do not take what is sent.
    pub fn follow(&mut self, lake: &Lake) -> Result<(), EngineError> {
        for (epoch, commits) in lake.epochs_after(self.sent)? {
            self.publisher.in_transaction(|| self.send(lake, epoch, &commits))?;
            self.sent = Some(epoch);
        }
        Ok(())
    }

    fn send(&self, lake: &Lake, epoch: u64, commits: &[(&'static str, u64)]) -> Result<(), EngineError> {
        let mut many = 0_u64;
        for (view, version) in commits {
            let changes = lake.told_changes(view, *version)?;
            many += changes.len() as u64;
            if let Some(topic) = self.actions.as_ref().filter(|_| *view == "food_state") {
                for action in actions(&changes) {
                    let key = text(&action, "appliance").to_owned();
                    self.put(topic, None, &key, epoch, &Value::Object(action))?;
                }
            }
            for (inserted, row) in changes {
                let key = owner(&row).to_owned();
                let change = if inserted { "insert" } else { "delete" };
                let value = json!({"view": view, "epoch": epoch, "change": change, "row": row});
                self.put(&self.topic, None, &key, epoch, &value)?;
            }
        }
        let end = json!({"epoch": epoch, "changes": many});
        self.put(&self.topic, Some(END_PARTITION), END_KEY, epoch, &end)
    }

    fn put(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: &str,
        epoch: u64,
        value: &Value,
    ) -> Result<(), EngineError> {
        let epoch = v1::kafka_record::Header {
            name: EPOCH_HEADER.to_owned(),
            value: Some(epoch.to_string().into_bytes().into()),
        };
        let record = v1::KafkaRecord {
            key: Some(key.as_bytes().to_vec().into()),
            value: Some(value.to_string().into_bytes().into()),
            headers: vec![epoch],
            ..v1::KafkaRecord::default()
        };
        Ok(self.publisher.send(topic, partition, &record)?)
    }
}

/// Whose a row is: the appliance's, the household's or the region's. All of one owner go to one partition, in order.
fn owner(row: &Map<String, Value>) -> &str {
    let owners = ["appliance", "household", "region"].map(|column| text(row, column));
    owners.into_iter().find(|owner| !owner.is_empty()).unwrap_or_default()
}

fn text<'a>(row: &'a Map<String, Value>, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// Foods for which something else is to be done than before, of the changes of `food_state`: the row as it is now, or as it was where
/// the food is gone, and in `was` what was to be done.
fn actions(changes: &[JsonChange]) -> Vec<Map<String, Value>> {
    // of each food the row that went, and the row that came
    let mut foods = BTreeMap::<_, [Option<&Map<String, Value>>; 2]>::new();
    for (inserted, row) in changes {
        let food = (text(row, "appliance"), text(row, "sku"));
        foods.entry(food).or_default()[usize::from(*inserted)] = Some(row);
    }
    let advice = |row: Option<&Map<String, Value>>| row.map_or("keep", |row| text(row, "advice")).to_owned();
    foods
        .into_values()
        .filter(|[before, after]| advice(*before) != advice(*after))
        .filter_map(|[before, after]| {
            let mut action = after.or(before)?.clone();
            if after.is_none() {
                action.insert("advice".to_owned(), "gone".into());
            }
            action.insert("was".to_owned(), advice(before).into());
            Some(action)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn food(sku: &str, advice: &str, hours: i64) -> Map<String, Value> {
        let row = json!({"appliance": "fridge-1", "sku": sku, "advice": advice, "age_hours": hours});
        row.as_object().unwrap().clone()
    }

    #[test]
    fn an_action_is_told_once_it_changes_and_not_with_every_hour() {
        let changes = [
            (false, food("milk", "eat_soon", 4)),
            (false, food("eggs", "keep", 4)),
            (false, food("fish", "discard", 9)),
            (false, food("rice", "keep", 9)),
            (true, food("milk", "eat_soon", 5)),
            (true, food("eggs", "check", 5)),
            (true, food("ham", "keep", 0)),
        ];
        let told: Vec<_> = actions(&changes)
            .iter()
            .map(|action| ["sku", "was", "advice"].map(|column| text(action, column).to_owned()))
            .collect();
        assert_eq!(told, [["eggs", "keep", "check"], ["fish", "discard", "gone"]]);
    }

    #[test]
    fn a_row_goes_where_all_of_its_owner_s_go() {
        let row = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(owner(&row(json!({"appliance": "a", "sku": "s"}))), "a");
        assert_eq!(owner(&row(json!({"household": "h", "week": "2026-01-05"}))), "h");
        assert_eq!(owner(&row(json!({"week": "2026-01-05"}))), "");
    }
}
