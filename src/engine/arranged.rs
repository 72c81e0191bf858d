//! How many rows the arrangements of the dataflow hold, as differential tells in its log.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use differential_dataflow::logging::{BatchEvent, DifferentialEvent, DifferentialEventBuilder, DropEvent, MergeEvent};
use larder_pipelines::Sessions;
use timely::{
    logging::{TimelyEvent, TimelyEventBuilder},
    worker::Worker,
};

/// Updates that each arrangement holds, over all workers of this process.
pub(super) struct Arranged {
    /// What an arrangement is called, by the number of its operator: the same on every worker.
    names: HashMap<usize, String>,
    updates: Mutex<HashMap<usize, i64>>,
}

impl Arranged {
    /// Of workers that all run [`larder_pipelines::views`] and nothing before it.
    pub(super) fn new() -> Self {
        Self { names: names(), updates: Mutex::default() }
    }

    /// Listens to what `worker` says of arrangements. To be called before it builds the dataflow.
    pub(super) fn listen(self: &Arc<Self>, worker: &Worker) {
        let Some(mut log) = worker.log_register() else { return };
        let arranged = self.clone();
        log.insert::<DifferentialEventBuilder, _>("differential/arrange", move |_, events| {
            let Some(events) = events else { return };
            let mut held = arranged.updates.lock().unwrap_or_else(PoisonError::into_inner);
            for (operator, more) in events.iter().filter_map(|(_, event)| change(event)) {
                *held.entry(operator).or_default() += more;
            }
        });
    }

    /// The updates held by arrangement; those of one name together.
    pub(super) fn updates(&self) -> BTreeMap<String, u64> {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (operator, updates) in &*self.updates.lock().unwrap_or_else(PoisonError::into_inner) {
            let name = self.names.get(operator).map_or("other", String::as_str);
            *all.entry(name.to_owned()).or_default() += u64::try_from(*updates).unwrap_or_default();
        }
        all
    }
}

/// How many updates more the arrangement of which operator holds after an event.
fn change(event: &DifferentialEvent) -> Option<(usize, i64)> {
    let updates = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    match event {
        DifferentialEvent::Batch(BatchEvent { operator, length }) => Some((*operator, updates(*length))),
        DifferentialEvent::Merge(MergeEvent { operator, length1, length2, complete: Some(after), .. }) => {
            Some((*operator, updates(*after) - updates(*length1) - updates(*length2)))
        }
        DifferentialEvent::Drop(DropEvent { operator, length }) => Some((*operator, -updates(*length))),
        _ => None,
    }
}

/// The names of all operators, by a dataflow that is built and ended at once.
fn names() -> HashMap<usize, String> {
    timely::execute_directly(|worker| {
        let names = Rc::new(RefCell::new(HashMap::new()));
        let into = names.clone();
        if let Some(mut log) = worker.log_register() {
            log.insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                for (_, event) in events.iter().flatten() {
                    if let TimelyEvent::Operates(operates) = event {
                        let name = operates.name.strip_prefix("Arrange: ").unwrap_or(&operates.name);
                        into.borrow_mut().insert(operates.id, name.to_owned());
                    }
                }
            });
        }
        let mut sessions = Sessions::default();
        worker.dataflow::<u64, _, _>(|scope| drop(larder_pipelines::views(sessions.inputs(scope))));
        drop(sessions);
        worker.step();
        names.take()
    })
}

#[cfg(test)]
mod tests {
    use larder_pipelines::Intake;
    use larder_records::{ApplianceId, Modality, Reading, SensorId, Time};

    use crate::engine::workers::Workers;

    #[test]
    fn arrangements_hold_what_was_sent_whatever_the_workers_and_nothing_that_was_taken_back() {
        for count in [1, 3] {
            let mut workers = Workers::start(&count.into()).unwrap();
            let mut intake = Intake::default();
            for n in 0..1_000 {
                let (appliance, sensor) = (ApplianceId::of(&format!("fridge-{}", n % 7)), SensorId::of("door"));
                let time = Time(1_700_000_000_000_000 + n * Time::MINUTE);
                intake.reading(&Reading {
                    appliance,
                    sensor,
                    modality: Modality::Door,
                    time,
                    sequence: 0,
                    value: n % 2,
                });
            }
            workers.send(intake.take_batch()).unwrap();
            workers.finish_epochs().unwrap();
            let held = workers.arranged();
            let most = held.values().max().copied().unwrap_or_default();
            assert!((490..=5_000).contains(&most), "{count} workers: {held:?}");
            assert!(held.contains_key("Moved") && held.contains_key("Facts"), "{held:?}");
            assert!(!held.contains_key("other"), "{held:?}");
        }
    }
}
