//! HTTP/1.1 towards clients, from the server's end: one request, one answer, one after the other on a connection.
//!
//! One task drives all of it: it reads, polls the request's future and then the answer's body, and watches meanwhile
//! whether the client is still there. hyper's server does the same with channels between its halves, and settles
//! quietly what may be read in two ways; here a head is read once, and to the letter.

mod answer;
mod body;
mod connection;
mod head;

#[cfg(test)]
mod tests;

pub(super) use connection::{Bounds, serve};
