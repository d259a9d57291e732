//! Conversion over real sockets: every client dialect on every backend dialect, whose simulated backends are strict about
//! what they are sent, and whose clients' grammar judges what comes back.

mod counts;
mod faults;
mod fits;
mod memory;
mod pair;
mod quirks;
mod reasoning;
mod ways;
