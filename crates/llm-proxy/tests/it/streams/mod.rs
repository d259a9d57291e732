//! Streams (rule book, 6.2): what is hidden before the commit point, what is said after it, and the bytes themselves.

mod broken;
mod bytes;
mod commit;
mod early;
mod flow;
mod hedge;
mod pace;
mod sizes;
mod stalled;
