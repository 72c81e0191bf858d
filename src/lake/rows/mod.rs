//! The tables: which columns each has, and how its rows are written and read. `docs/lake.md` tells what each column means.

mod inputs;
mod views;

use larder_records::Time;

use super::{
    LakeError,
    columns::{Column, Reader, Writer},
};

pub(super) use inputs::{FrameRow, SightingRow, join_frames, split_frames};

/// A row of one of the lake's tables.
pub trait Row: Sized + Ord + Clone {
    /// The table's name.
    const TABLE: &'static str;
    /// Its columns, in the order in which [`Row::put`] writes and [`Row::get`] reads them.
    const COLUMNS: &'static [Column];
    /// Whether the table keeps a change data feed.
    const CHANGE_FEED: bool = true;
    /// Whether the table is divided by the month of [`Row::when`].
    const BY_MONTH: bool = false;

    /// The time that says in which month the row lies; [`Time::MIN`] for tables that are not divided.
    fn when(&self) -> Time {
        Time::MIN
    }

    /// Writes the row's cells.
    fn put(&self, cells: &mut Writer<'_>);

    /// Reads the row's cells.
    ///
    /// # Errors
    /// [`LakeError::BadCell`] where a cell holds what no row of Larder's has.
    fn get(cells: &mut Reader<'_>) -> Result<Self, LakeError>;
}

/// Every table with its columns, for information and digests.
macro_rules! tables {
    ($each:ident) => {
        $each!(
            larder_records::Reading,
            $crate::lake::rows::FrameRow,
            $crate::lake::rows::SightingRow,
            larder_records::DeclaredMovement,
            larder_records::Product,
            larder_records::Appliance,
            larder_records::Review,
            larder_records::DeadLetter,
            larder_records::views::Visit,
            larder_records::views::Movement,
            larder_records::views::Inventory,
            larder_records::views::InventoryInterval,
            larder_records::views::FoodState,
            larder_records::views::Behaviour,
            larder_records::views::ProductBehaviour,
            larder_records::views::PairBehaviour,
            larder_records::views::Market,
            larder_records::views::MarketPair,
            larder_records::views::ReviewItem
        )
    };
}
pub(super) use tables;
