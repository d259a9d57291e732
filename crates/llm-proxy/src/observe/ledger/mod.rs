//! What requests used and cost: in sums by day, and, where the config names a ledger, a row for each in a database.

mod sums;

pub use sums::{By, Named, Sum, Sums, Whose, total};
