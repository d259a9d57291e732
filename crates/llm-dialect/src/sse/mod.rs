//! Server-sent events: bytes to events and back, without I/O.
//!
//! The rules are those of the WHATWG HTML standard, section "Server-sent events".

mod decode;
mod encode;

pub use decode::{Decoder, RawEvent, TooLarge};
pub(crate) use encode::on_one_line;
pub use encode::{comment, event};
