//! What a command has to say, so that it can be tested without a process.

/// The texts of a command and its exit code (contract, section 1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// 0 fine, 1 a failure of the moment, 2 bad config or usage.
    pub code: u8,
}

impl Outcome {
    /// Success with this output.
    pub fn fine(out: String) -> Self {
        Self {
            out,
            ..Self::default()
        }
    }

    /// A failure with this on standard error.
    pub fn failed(err: String, code: u8) -> Self {
        Self {
            out: String::new(),
            err,
            code,
        }
    }
}
