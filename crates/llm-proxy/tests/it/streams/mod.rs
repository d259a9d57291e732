//! Streams (rule book, 6.2): what is hidden before the commit point, what is said after it, and the bytes themselves.

mod commit;
mod broken;
mod bytes;
mod flow;
mod sizes;
