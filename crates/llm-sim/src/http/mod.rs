//! As much of HTTP/1.1 as a backend needs, written so that every byte on the wire is ours to choose.
//!
//! A library would repair, merge or refuse exactly the faults that this crate exists to make. Parsing is
//! pure ([`head`], [`chunked`]); [`line`] is the socket. There is no pipelining and no HTTP/2.

pub(crate) mod chunked;
pub(crate) mod head;
pub(crate) mod line;
