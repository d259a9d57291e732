//! HTTP/1.1 towards backends, from the client's end: one request, one answer, one after the other on a connection.
//!
//! Nothing here is a task, a channel or a wake-up: whoever waits for the answer polls the socket itself. hyper's own
//! client needs all three between its halves, which came to a tenth of what a small request costs. What is read is held
//! to the letter: where a backend's bytes could be read in two ways, the answer is an error or the connection serves
//! nobody else, so no answer can ever run into another's.

mod connection;
mod head;
mod sending;

#[cfg(test)]
mod tests;

pub(super) use connection::{Broken, Connection};
