//! JSON text whose keys stand in the order in which they were said.
//!
//! Providers write `type` or `id` first, and readers are tuned to that; a sorted map would make the
//! simulated traffic unlike the real one. Values go straight to text, there is no tree.

use serde_json::Value;

/// One JSON value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Json(String);

/// What can stand as a value.
pub(crate) trait Put {
    fn put(&self, out: &mut String);
}

/// An object: `object! {"id": id, "usage": NULL}`.
macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::json::Json::object()$(.with($key, &$value))*
    };
}
pub(crate) use object;

/// JSON's null.
pub(crate) const NULL: Option<&str> = None;
/// JSON's empty list.
pub(crate) const NONE: [&str; 0] = [];

impl Json {
    pub(crate) fn object() -> Self {
        Self(String::from("{}"))
    }

    /// The object with one more member at its end.
    pub(crate) fn with(mut self, key: &str, value: impl Put) -> Self {
        self.0.pop();
        if self.0.len() > 1 {
            self.0.push(',');
        }
        key.put(&mut self.0);
        self.0.push(':');
        value.put(&mut self.0);
        self.0.push('}');
        self
    }

    /// The same, where the value may be absent: then so is the key.
    pub(crate) fn with_some(self, key: &str, value: Option<impl Put>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl Put for str {
    fn put(&self, out: &mut String) {
        out.push_str(&Value::from(self).to_string());
    }
}

impl Put for String {
    fn put(&self, out: &mut String) {
        self.as_str().put(out);
    }
}

impl Put for Json {
    fn put(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

impl Put for Value {
    fn put(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

impl Put for bool {
    fn put(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl Put for u64 {
    fn put(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

impl Put for usize {
    fn put(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

impl<P: Put + ?Sized> Put for &P {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
}

impl<P: Put> Put for Option<P> {
    fn put(&self, out: &mut String) {
        match self {
            Some(value) => value.put(out),
            None => out.push_str("null"),
        }
    }
}

impl<P: Put> Put for [P] {
    fn put(&self, out: &mut String) {
        out.push('[');
        for (i, value) in self.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            value.put(out);
        }
        out.push(']');
    }
}

impl<P: Put> Put for Vec<P> {
    fn put(&self, out: &mut String) {
        self.as_slice().put(out);
    }
}

impl<P: Put, const N: usize> Put for [P; N] {
    fn put(&self, out: &mut String) {
        self.as_slice().put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_strings_are_escaped() {
        let json = object! {"z": "a\"\n", "a": [1_u64, 2], "n": NULL, "e": NONE, "o": object! {"b": true}}
            .with_some("gone", None::<u64>)
            .with_some("there", Some(7_usize));
        assert_eq!(
            json.as_str(),
            r#"{"z":"a\"\n","a":[1,2],"n":null,"e":[],"o":{"b":true},"there":7}"#
        );
    }
}
