//! Which corrections hold.

use std::collections::{BTreeSet, HashMap};

use larder_records::{Change, Correction, Name, Time};

use super::Refusal;

/// All corrections, by id.
#[derive(Debug, Default)]
pub(super) struct Standing {
    by_id: HashMap<Name, Entry>,
}

/// What is known under one id. Two corrections of one id are one that was corrected: the later holds.
#[derive(Debug, Default)]
struct Entry {
    made: BTreeSet<Correction>,
    /// Undone, or restored, by corrections of that order.
    undone: BTreeSet<(Time, Name, bool)>,
}

impl Entry {
    /// The change that holds. Undos and restores are none: nothing undoes them.
    fn holds(&self) -> Option<&Correction> {
        let undone = self.undone.last().is_some_and(|(.., undone)| *undone);
        self.made.last().filter(|made| !undone && undo(made).is_none())
    }
}

/// What the correction undoes (true) or restores, where it does that.
fn undo(correction: &Correction) -> Option<(Name, bool)> {
    match correction.change {
        Change::Undo { correction } => Some((correction, true)),
        Change::Restore { correction } => Some((correction, false)),
        _ => None,
    }
}

/// What held, and what holds instead.
pub(super) type Transition = (Option<Correction>, Option<Correction>);

impl Standing {
    /// Takes in a correction, and tells what holds instead of what; none where it was there before.
    pub(super) fn take(&mut self, correction: &Correction) -> Option<Vec<Transition>> {
        let entry = self.by_id.entry(correction.id).or_default();
        let was = entry.made.last().cloned();
        let held = entry.holds().cloned();
        if !entry.made.insert(correction.clone()) {
            return None;
        }
        let is = entry.made.last().cloned();
        let mut transitions = vec![(held, entry.holds().cloned())];
        if was != is {
            for (undo, gone) in [(was, true), (is, false)] {
                let Some(undo_by) = undo else { continue };
                let Some((about, undone)) = self::undo(&undo_by) else { continue };
                let row = (undo_by.time, undo_by.id, undone);
                let entry = self.by_id.entry(about).or_default();
                let held = entry.holds().cloned();
                if gone {
                    entry.undone.remove(&row);
                } else {
                    entry.undone.insert(row);
                }
                transitions.push((held, entry.holds().cloned()));
            }
        }
        transitions.retain(|(was, is)| was != is);
        Some(transitions)
    }

    /// Whether there is a correction of that id.
    pub(super) fn knows(&self, id: Name) -> bool {
        self.by_id.get(&id).is_some_and(|entry| !entry.made.is_empty())
    }

    /// The correction that holds under that id.
    pub(super) fn get(&self, id: Name) -> Option<&Correction> {
        self.by_id.get(&id)?.holds()
    }

    /// Why the correction of that id cannot be undone.
    pub(super) fn no_undo(&self, id: Name) -> Option<Refusal> {
        self.no_change(id).or_else(|| self.get(id).is_none().then_some(Refusal::Already("undone")))
    }

    /// Why the correction of that id cannot be restored.
    pub(super) fn no_restore(&self, id: Name) -> Option<Refusal> {
        self.no_change(id).or_else(|| self.get(id).is_some().then_some(Refusal::Already("in force")))
    }

    fn no_change(&self, id: Name) -> Option<Refusal> {
        let Some(made) = self.by_id.get(&id).and_then(|entry| entry.made.last()) else {
            return Some(Refusal::UnknownCorrection);
        };
        undo(made).map(|_| Refusal::OfAnUndo)
    }
}
