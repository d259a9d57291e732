//! What requests used and cost: the sums that the admin listener tells, and the rows of the ledger.

mod usage;
