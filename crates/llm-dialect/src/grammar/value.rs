//! Members of JSON objects, or the sentence that says what is wrong with them.

use std::fmt::Display;

use serde_json::Value;

use super::Fault;

pub(super) type Checked<T = ()> = Result<T, Fault>;

/// The sentence as a result.
pub(super) fn fault<T>(sentence: impl Into<String>) -> Checked<T> {
    Err(Fault(sentence.into()))
}

/// The sentence unless it holds.
pub(super) fn ensure(holds: bool, sentence: impl Display) -> Checked {
    if holds {
        Ok(())
    } else {
        fault(sentence.to_string())
    }
}

/// Puts a place in front of a fault.
pub(super) trait Within {
    fn within(self, place: impl Display) -> Self;
}

impl<T> Within for Checked<T> {
    fn within(self, place: impl Display) -> Self {
        self.map_err(|fault| fault.at(place))
    }
}

/// The data of an event: an object.
pub(super) fn parse(text: &str) -> Checked<Value> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => fault("the data is JSON, but no object"),
        Err(error) => fault(format!("the data is not JSON ({error})")),
    }
}

/// A member that must be there, be it null.
pub(super) fn member<'v>(of: &'v Value, key: &str) -> Checked<&'v Value> {
    match of.get(key) {
        Some(value) => Ok(value),
        None => fault(format!("`{key}` is missing")),
    }
}

/// A member that is there and not null.
pub(super) fn present<'v>(of: &'v Value, key: &str) -> Option<&'v Value> {
    of.get(key).filter(|value| !value.is_null())
}

fn typed<'v, T>(of: &'v Value, key: &str, what: &str, read: impl Fn(&'v Value) -> Option<T>) -> Checked<T> {
    match read(member(of, key)?) {
        Some(value) => Ok(value),
        None => fault(format!("`{key}` must be {what}")),
    }
}

pub(super) fn text<'v>(of: &'v Value, key: &str) -> Checked<&'v str> {
    typed(of, key, "a string", Value::as_str)
}

/// A string with something in it.
pub(super) fn filled<'v>(of: &'v Value, key: &str) -> Checked<&'v str> {
    match text(of, key)? {
        "" => fault(format!("`{key}` is empty")),
        text => Ok(text),
    }
}

/// A string, where it is there and not null.
pub(super) fn maybe_text<'v>(of: &'v Value, key: &str) -> Checked<Option<&'v str>> {
    match present(of, key) {
        Some(_) => text(of, key).map(Some),
        None => Ok(None),
    }
}

pub(super) fn count(of: &Value, key: &str) -> Checked<u64> {
    typed(of, key, "a whole number", Value::as_u64)
}

/// A whole number, where it is there and not null.
pub(super) fn maybe_count(of: &Value, key: &str) -> Checked<Option<u64>> {
    match present(of, key) {
        Some(_) => count(of, key).map(Some),
        None => Ok(None),
    }
}

pub(super) fn number(of: &Value, key: &str) -> Checked {
    typed(of, key, "a number", Value::as_number).map(drop)
}

pub(super) fn list<'v>(of: &'v Value, key: &str) -> Checked<&'v [Value]> {
    typed(of, key, "an array", |value| value.as_array().map(Vec::as_slice))
}

/// An array, where it is there and not null; else an empty one.
pub(super) fn maybe_list<'v>(of: &'v Value, key: &str) -> Checked<&'v [Value]> {
    match present(of, key) {
        Some(_) => list(of, key),
        None => Ok(&[]),
    }
}

pub(super) fn object<'v>(of: &'v Value, key: &str) -> Checked<&'v Value> {
    typed(of, key, "an object", |value| value.is_object().then_some(value))
}

/// A member with this very value.
pub(super) fn is(of: &Value, key: &str, wanted: impl Into<Value>) -> Checked {
    let (wanted, found) = (wanted.into(), member(of, key)?);
    ensure(
        *found == wanted,
        format_args!("`{key}` must be {wanted}, not {}", short(found)),
    )
}

/// Members that must be there, be they null.
pub(super) fn all_there(of: &Value, keys: &[&str]) -> Checked {
    keys.iter().try_for_each(|key| member(of, key).map(drop))
}

/// One of the known words.
pub(super) fn one_of<'v>(of: &'v Value, key: &str, known: &[&str]) -> Checked<&'v str> {
    let word = text(of, key)?;
    ensure(
        known.contains(&word),
        format_args!("`{key}` is `{word}`, which no client knows"),
    )?;
    Ok(word)
}

/// A value as it is told in a sentence.
pub(super) fn short(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

/// JSON in one spelling; anything else as it is, and nothing as `{}`.
pub(super) fn one_spelling(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        _ if arguments.trim().is_empty() => "{}".to_owned(),
        Ok(value) => value.to_string(),
        Err(_) => arguments.to_owned(),
    }
}

/// A count that says something.
pub(super) fn some(count: Option<u64>) -> Option<u64> {
    count.filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_names_the_member_and_what_it_must_be() {
        let of = json!({"a": 1, "b": "", "c": null});
        let said = |checked: Checked<String>| checked.unwrap_err().to_string();
        assert_eq!(said(text(&of, "a").map(str::to_owned)), "`a` must be a string");
        assert_eq!(said(filled(&of, "b").map(str::to_owned)), "`b` is empty");
        assert_eq!(said(text(&of, "d").map(str::to_owned)), "`d` is missing");
        assert_eq!(
            said(is(&of, "a", 2).map(|()| String::new())),
            "`a` must be 2, not 1"
        );
        assert_eq!(maybe_text(&of, "c"), Ok(None), "null is as good as none");
        assert_eq!(all_there(&of, &["a", "c"]), Ok(()));
    }

    #[test]
    fn arguments_have_one_spelling() {
        for (given, one) in [("", "{}"), ("{ \"a\": 1 }", "{\"a\":1}"), ("{\"a\":", "{\"a\":")] {
            assert_eq!(one_spelling(given), one);
        }
    }
}
