//! HTTP/1.1 as both ends of it read and write it: what has come and what goes out as bytes, where content ends, and
//! headers. What a head means is told by each end for itself: `server::http1` for clients, `upstream::http1` for
//! backends.

mod chunks;
mod content;
mod fields;
mod input;
mod outbox;

pub(crate) use content::{Content, Garbled};
pub(crate) use fields::{digits, headers, options, slice};
pub(crate) use input::Input;
pub(crate) use outbox::{Outbox, SHORT};
