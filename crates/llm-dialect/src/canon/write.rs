//! Writes JSON text piece by piece: keys in the order in which they are given, values as they are spelled.
//!
//! Encoders know what they write, so there is no tree in between and nothing can fail.

use super::text::JsonStr;

/// Writes an object; `fill` adds its members.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, first: true });
    out.push(b'}');
}

/// Writes an array; `fill` adds its items.
pub fn array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, first: true });
    out.push(b']');
}

/// Writes a text with its quotes.
pub fn text(out: &mut Vec<u8>, text: &JsonStr<'_>) {
    out.push(b'"');
    out.extend_from_slice(text.spelling().as_bytes());
    out.push(b'"');
}

/// An object in the making.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    /// Writes a key; the value must follow. Keys are names of ours: nothing in them needs an escape.
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A member that is a plain text.
    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        self.text(key, &JsonStr::of(value))
    }

    /// A member that is a text in its spelling.
    pub fn text(&mut self, key: &str, value: &JsonStr<'_>) -> &mut Self {
        text(self.key(key), value);
        self
    }

    /// A member that is raw JSON.
    pub fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key).extend_from_slice(value.as_bytes());
        self
    }

    /// A member that is a whole number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        number(self.key(key), value);
        self
    }

    /// A member that is true or false.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// A member that is null.
    pub fn null(&mut self, key: &str) -> &mut Self {
        self.raw(key, "null")
    }

    /// A member that is an object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        object(self.key(key), fill);
        self
    }

    /// A member that is an array.
    pub fn array(&mut self, key: &str, fill: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        array(self.key(key), fill);
        self
    }

    /// Members already written: `"a":1,"b":2`. Nothing for an empty text.
    pub fn members(&mut self, written: &str) -> &mut Self {
        if !written.is_empty() {
            if !std::mem::take(&mut self.first) {
                self.out.push(b',');
            }
            self.out.extend_from_slice(written.as_bytes());
        }
        self
    }
}

/// An array in the making.
#[derive(Debug)]
pub struct Array<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Array<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }

    /// An item that is an object.
    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        object(self.next(), fill);
        self
    }

    /// An item that is a text in its spelling.
    pub fn text(&mut self, value: &JsonStr<'_>) -> &mut Self {
        text(self.next(), value);
        self
    }

    /// An item that is raw JSON.
    pub fn raw(&mut self, value: &str) -> &mut Self {
        self.next().extend_from_slice(value.as_bytes());
        self
    }
}

/// Writes a whole number.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let from = out.len();
    loop {
        out.push(b'0' + u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(from..) {
        digits.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_the_order_in_which_they_are_given() {
        let mut out = Vec::new();
        object(&mut out, |all| {
            all.str("b", "x\"y").number("a", 1203).null("n").bool("t", true);
            all.array("list", |list| {
                list.raw("1.50")
                    .object(|_| ())
                    .text(&JsonStr::spelled_so(r"\u003c"));
            });
            all.members("").members(r#""k":1,"l":2"#).object("o", |inner| {
                inner.number("zero", 0);
            });
        });
        let expected =
            r#"{"b":"x\"y","a":1203,"n":null,"t":true,"list":[1.50,{},"\u003c"],"k":1,"l":2,"o":{"zero":0}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
