//! Why bytes are no JSON text, in a sentence for whoever sent them.

use std::fmt;

use super::MOST_MEMBERS;

/// Why bytes are not an acceptable JSON text. Offsets count bytes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Not UTF-8 from that offset on.
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// A byte order mark stands in front.
    Bom,
    /// The grammar does not allow what stands there.
    Syntax {
        /// Offset of the offending byte, or the length of the input when it ended too early.
        at: usize,
        /// What is wrong, as a clause.
        what: &'static str,
    },
    /// Arrays and objects are nested deeper than allowed.
    TooDeep {
        /// The deepest nesting allowed.
        max: usize,
    },
    /// The object has more members than [`MOST_MEMBERS`].
    TooManyMembers,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => write!(f, "The JSON is not valid UTF-8 at byte {at}."),
            Self::Bom => f.write_str("The JSON must not begin with a byte order mark."),
            Self::Syntax { at, what } => write!(f, "The JSON is not valid at byte {at}: {what}."),
            Self::TooDeep { max } => write!(f, "The JSON is nested deeper than {max} levels."),
            Self::TooManyMembers => {
                write!(f, "The JSON object has more than {MOST_MEMBERS} members.")
            }
        }
    }
}

impl std::error::Error for ScanError {}
