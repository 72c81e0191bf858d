//! Several commits at once: each waits for the disk more than it computes.

use std::{panic, thread};

use crate::lake::LakeError;

/// Commits to tables, none of which must come before another.
#[derive(Default)]
pub(super) struct Commits<'a>(Vec<Box<dyn FnOnce() -> Result<(), LakeError> + Send + 'a>>);

impl<'a> Commits<'a> {
    /// Adds one that brings, or takes, so many rows. One of no rows only makes its table where it is missing: that is done now.
    ///
    /// # Errors
    /// Those of `commit`, where it is done now.
    pub(super) fn add(
        &mut self,
        rows: usize,
        commit: impl FnOnce() -> Result<(), LakeError> + Send + 'a,
    ) -> Result<(), LakeError> {
        if rows == 0 {
            return commit();
        }
        self.0.push(Box::new(commit));
        Ok(())
    }

    /// Does them all, each in a thread of its own.
    ///
    /// # Errors
    /// That of one that failed; all others were tried nevertheless.
    pub(super) fn at_once(mut self) -> Result<(), LakeError> {
        // this thread has nothing else to do
        let Some(own) = self.0.pop() else { return Ok(()) };
        thread::scope(|scope| {
            let others: Vec<_> = self.0.into_iter().map(|commit| scope.spawn(commit)).collect();
            let own = own();
            let done: Vec<_> = others.into_iter().map(|other| other.join()).collect();
            let done = done.into_iter().map(|done| done.unwrap_or_else(|panic| panic::resume_unwind(panic)));
            done.chain([own]).collect()
        })
    }
}
