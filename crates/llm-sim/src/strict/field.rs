//! A place in a JSON body, and what can be wrong there.

use serde_json::Value;

use crate::api::Envelope;
use crate::fault::Fault;

/// A value with the path that leads to it.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    path: String,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    path: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Missing,
    /// The type that it should have had.
    Type(&'static str),
    Value(String),
}

pub(super) type Checked<T = ()> = Result<T, Wrong>;

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// The member of this name; an explicit null is as good as none, as with both providers.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self {
            value,
            path: self.below(key),
        })
    }

    pub(super) fn need(&self, key: &str) -> Checked<Self> {
        self.get(key).ok_or_else(|| Wrong {
            path: self.below(key),
            what: What::Missing,
        })
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(super) fn object(&self) -> Checked {
        if self.value.is_object() {
            Ok(())
        } else {
            Err(self.expected("object"))
        }
    }

    pub(super) fn text(&self) -> Checked<&'a str> {
        self.value.as_str().ok_or_else(|| self.expected("string"))
    }

    /// A string with something in it.
    pub(super) fn filled(&self) -> Checked<&'a str> {
        match self.text()? {
            "" => Err(self.wrong("should have at least 1 character")),
            text => Ok(text),
        }
    }

    pub(super) fn items(&self) -> Checked<Vec<Self>> {
        let list = self.value.as_array().ok_or_else(|| self.expected("array"))?;
        let at = |(i, value)| Self {
            value,
            path: self.below(&usize::to_string(&i)),
        };
        Ok(list.iter().enumerate().map(at).collect())
    }

    /// Items of which there must be one: with none, `complaint` is what is wrong.
    pub(super) fn some_items(&self, complaint: &str) -> Checked<Vec<Self>> {
        let items = self.items()?;
        if items.is_empty() {
            return Err(self.wrong(complaint));
        }
        Ok(items)
    }

    /// One of these strings.
    pub(super) fn one_of(&self, known: &[&str]) -> Checked<&'a str> {
        let text = self.text()?;
        if known.contains(&text) {
            return Ok(text);
        }
        Err(self.wrong(format!("'{text}' is none of {}", known.join(", "))))
    }

    /// Members that are booleans where they are present.
    pub(super) fn bools(&self, keys: &[&str]) -> Checked {
        self.each(keys, |at| {
            if at.value.is_boolean() {
                Ok(())
            } else {
                Err(at.expected("boolean"))
            }
        })
    }

    /// Members that are strings where they are present.
    pub(super) fn texts(&self, keys: &[&str]) -> Checked {
        self.each(keys, |at| at.text().map(drop))
    }

    /// Members that are whole numbers of at least `least` where they are present.
    pub(super) fn counts(&self, keys: &[&str], least: u64) -> Checked {
        self.each(keys, |at| match at.value.as_u64() {
            Some(n) if n >= least => Ok(()),
            Some(_) => Err(at.wrong(format!("should be greater than or equal to {least}"))),
            None => Err(at.expected("integer")),
        })
    }

    /// Members that are numbers between these two where they are present.
    pub(super) fn range(&self, keys: &[&str], least: f64, most: f64) -> Checked {
        self.each(keys, |at| match at.value.as_f64() {
            Some(n) if (least..=most).contains(&n) => Ok(()),
            Some(_) => Err(at.wrong(format!("should be between {least} and {most}"))),
            None => Err(at.expected("number")),
        })
    }

    /// Members that the dialect does not know and that another one does.
    pub(super) fn forbid(&self, keys: &[&str]) -> Checked {
        match keys.iter().find(|key| self.value.get(**key).is_some()) {
            Some(key) => Err(Wrong {
                path: self.below(key),
                what: What::Value("Extra inputs are not permitted".into()),
            }),
            None => Ok(()),
        }
    }

    fn each(&self, keys: &[&str], check: impl Fn(&Self) -> Checked) -> Checked {
        keys.iter()
            .filter_map(|key| self.get(key))
            .try_for_each(|at| check(&at))
    }

    pub(super) fn expected(&self, kind: &'static str) -> Wrong {
        Wrong {
            path: self.path.clone(),
            what: What::Type(kind),
        }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong {
            path: self.path.clone(),
            what: What::Value(why.into()),
        }
    }
}

impl Wrong {
    /// The provider's error for it.
    pub(super) fn fault(&self, envelope: Envelope) -> Fault {
        match envelope {
            Envelope::OpenAi => self.openai(),
            Envelope::Anthropic => Fault::new(400, self.anthropic()),
        }
    }

    fn openai(&self) -> Fault {
        let path = brackets(&self.path);
        let (code, message) = match &self.what {
            What::Missing => (
                "missing_required_parameter",
                format!("Missing required parameter: '{path}'."),
            ),
            What::Type(kind) => (
                "invalid_type",
                format!("Invalid type for '{path}': expected {kind}."),
            ),
            What::Value(why) => ("invalid_value", format!("Invalid value for '{path}': {why}.")),
        };
        Fault::new(400, message).code(code).param(path)
    }

    fn anthropic(&self) -> String {
        match &self.what {
            What::Missing => format!("{}: Field required", self.path),
            What::Type(kind) => format!("{}: Input should be a valid {kind}", self.path),
            What::Value(why) => format!("{}: {why}", self.path),
        }
    }
}

/// `messages.0.content` as OpenAI writes it: `messages[0].content`.
fn brackets(path: &str) -> String {
    let mut out = String::new();
    for word in path.split('.') {
        if word.bytes().all(|b| b.is_ascii_digit()) && !out.is_empty() {
            out.extend(["[", word, "]"]);
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(word);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_is_told_in_each_providers_words() {
        let body = json!({"messages": [{"content": 1}]});
        let message = At::root(&body)
            .need("messages")
            .unwrap()
            .items()
            .unwrap()
            .remove(0);
        let kind = message.need("content").unwrap().text().unwrap_err();
        let missing = message.need("role").unwrap_err();
        assert_eq!(
            kind.fault(Envelope::OpenAi).message,
            "Invalid type for 'messages[0].content': expected string."
        );
        assert_eq!(
            kind.fault(Envelope::Anthropic).message,
            "messages.0.content: Input should be a valid string"
        );
        assert_eq!(
            missing.fault(Envelope::OpenAi).param.as_deref(),
            Some("messages[0].role")
        );
        assert_eq!(
            missing.fault(Envelope::Anthropic).message,
            "messages.0.role: Field required"
        );
    }
}
