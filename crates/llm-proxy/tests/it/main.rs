//! The proxy from outside: the real binary, real sockets, simulated backends that are strict about their protocol.
//!
//! Tests are named by the ids of the reliability rule book. After each, [`Proxy::finish`] asserts what must hold
//! after every request: nothing left in flight, no secret in any output, one access line a request, errors in the
//! caller's dialect.
#![cfg(test)]
#![expect(
    unreachable_pub,
    reason = "nobody but this binary sees them, and `pub` reads better"
)]

mod support;

mod admin;
mod affinity;
mod basics;
mod canary;
mod cancel;
mod cli;
mod contract;
mod convert;
mod cooldown;
mod costs;
mod deadline;
#[cfg(test)]
mod docs;
mod faults;
mod fit;
mod guards;
mod hostile;
mod identity;
mod ledger;
mod life;
mod limits;
mod logs;
mod metrics;
mod names;
mod page;
mod prompts;
mod records;
mod streams;
mod telemetry;
mod top;
mod upgrade;
mod upstream_h2;
