//! What a conversion could not carry.

use std::borrow::Cow;

/// Most names that are told; further ones are counted in.
const MOST: usize = 24;
/// The most of a name that is told, in bytes: what an unknown field is called is the client's to choose.
const LONGEST: usize = 128;

/// Names of fields that a conversion left out or changed, for `x-llm-proxy-warnings`.
///
/// A name is a path in the client's dialect without positions (`tools.strict`, `messages.content.citations`), so
/// that a long conversation does not repeat itself. Each is told once, in the order of the first meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    names: Vec<Cow<'static, str>>,
}

impl Losses {
    /// Notes that something was left out or changed.
    pub fn note(&mut self, name: impl Into<Cow<'static, str>>) {
        let mut name = name.into();
        if name.len() > LONGEST {
            let shown = name.get(..name.floor_char_boundary(LONGEST)).unwrap_or_default();
            name = Cow::Owned(format!("{shown}..."));
        }
        if self.names.len() < MOST && !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Takes in those of another step.
    pub fn extend(&mut self, other: Self) {
        for name in other.names {
            self.note(name);
        }
    }
}

/// Why a request is not converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a sound request of its own dialect.
    Invalid {
        /// The offending field, where one can be named (`messages[0].content`).
        param: Option<String>,
        /// A sentence for the client.
        message: String,
    },
    /// It asks for something that the target cannot express and that would change the answer.
    Unsupported {
        /// The field.
        param: String,
        /// A sentence for the client.
        message: String,
    },
}

impl Refusal {
    /// An unsound request.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            param: Some(param.into()),
            message: message.into(),
        }
    }

    /// A request that the target cannot express.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unsupported {
            param: param.into(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_and_a_long_name_are_cut() {
        let mut losses = Losses::default();
        losses.note("é".repeat(1_000_000));
        for n in 0..100 {
            losses.note(format!("x{n}"));
        }
        let names: Vec<&str> = losses.names().collect();
        assert_eq!(names.len(), MOST);
        assert_eq!(names[0], format!("{}...", "é".repeat(LONGEST / 2)));
        let one_byte_off = format!("x{}", "é".repeat(LONGEST));
        let mut losses = Losses::default();
        losses.note(one_byte_off);
        assert_eq!(losses.names().next().unwrap().len(), LONGEST - 1 + "...".len());
    }
}
