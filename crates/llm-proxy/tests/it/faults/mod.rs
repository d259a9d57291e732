//! Faults before the commit point: the table F of the rule book, each case in all dialects, as JSON and as a stream.
//!
//! Both sides speak the same dialect here.

mod bench;
mod bodies;
mod caller;
mod detection;
mod keys;
mod outbound;
mod policy;
mod status;
mod transport;
mod tunnels;
