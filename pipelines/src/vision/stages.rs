//! Where the time goes.

/// A stage of vision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From bytes to pixels, the hash of the bytes included.
    Decode,
    /// Evening out the lighting.
    Normalise,
    /// Finding boxes.
    Detect,
    /// Descriptors and statistics of boxes.
    Describe,
    /// Candidates from the catalogue.
    Match,
    /// Local features of what that leaves open.
    Verify,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 6] = [Self::Decode, Self::Normalise, Self::Detect, Self::Describe, Self::Match, Self::Verify];
}

/// Is told which stage runs. `()` ignores it and costs nothing.
pub trait StageTimer {
    /// `stage` begins, and the one before it ends. A stage may come more than once in a frame.
    fn begin(&mut self, stage: Stage);
    /// The frame is done.
    fn end(&mut self) {}
}

impl StageTimer for () {
    fn begin(&mut self, _stage: Stage) {}
}
