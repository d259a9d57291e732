//! The command line.

pub mod check;
pub mod init;
pub mod schema;

mod outcome;

pub use outcome::Outcome;
