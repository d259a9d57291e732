//! Edits of a raw JSON body, as data: the bytes around an edit are never written anew.
//!
//! Key order, number spelling and unknown fields survive, which keeps a backend's prompt cache warm. The body is
//! shared, not copied, so each attempt can apply its own list to what the client sent.

use bytes::Bytes;

use crate::envelope::Envelope;
use crate::scan::{self, Member, Span};

/// One change of a top-level member. Values are raw JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Gives the member this value, whether it was there or not.
    Set {
        /// The key.
        name: &'a str,
        /// The new value.
        value: Bytes,
    },
    /// Gives the member this value if it was not there.
    Default {
        /// The key.
        name: &'a str,
        /// The value for want of one.
        value: Bytes,
    },
    /// Takes the member away.
    Remove {
        /// The key.
        name: &'a str,
    },
    /// Sets a key of an object one level down. A value that is no object gives way to a new one.
    SetNested {
        /// The top-level key.
        name: &'a str,
        /// The key within its object.
        key: &'a str,
        /// The new value.
        value: Bytes,
    },
    /// Replaces spans inside the member's value, as it stands in this very body. Without effect where the member is not
    /// there, or where an edit before it has given it another value.
    Splice {
        /// The key.
        name: &'a str,
        /// What is replaced, from front to back. What lies outside the value, or before the end of the one before, is
        /// left out.
        splices: Vec<Splice>,
    },
}

/// A span of a body, and the bytes that come in its place; an empty span is a place where they are put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// What goes.
    pub span: Span,
    /// What comes.
    pub value: Bytes,
}

impl Splice {
    /// Puts bytes in at an offset of the body.
    pub fn at(offset: usize, value: impl Into<Bytes>) -> Self {
        let span = Span {
            start: offset,
            end: offset,
        };
        Self {
            span,
            value: value.into(),
        }
    }
}

/// A body in parts, to be sent one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// Slices of the original and new values; none is empty.
    pub parts: Vec<Bytes>,
    /// The sum of their lengths, in bytes.
    pub len: usize,
}

impl Spliced {
    fn new(parts: Vec<Bytes>) -> Self {
        let len = parts.iter().map(Bytes::len).sum();
        Self { parts, len }
    }

    /// The body in one piece: a copy unless there is only one part.
    pub fn join(mut self) -> Bytes {
        match self.parts.len() {
            1 => self.parts.pop().unwrap_or_default(),
            _ => self.parts.concat().into(),
        }
    }
}

/// The body with the edits applied in their order. `envelope` is the one read from `body`.
///
/// A new member goes before the closing brace; a removed one takes a comma with it. If a key is there
/// more than once, an edit of it leaves one. The same list applied to the result changes nothing, but for splices, whose
/// offsets are those of the original.
pub fn apply(body: &Bytes, envelope: &Envelope, edits: &[Edit<'_>]) -> Spliced {
    splice(body, envelope.members(), envelope.close(), edits)
}

/// The body with the bytes of `span` replaced, for bodies that are not JSON.
pub fn replace(body: &Bytes, span: Span, value: Bytes) -> Spliced {
    let mut parts = Parts::new(body);
    parts.original(0, span.start);
    parts.new_bytes(value);
    parts.original(span.end, body.len());
    parts.finish()
}

/// `text` as a JSON string, with its quotes.
pub fn json_string(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}

fn splice(body: &Bytes, members: &[Member], close: usize, edits: &[Edit<'_>]) -> Spliced {
    let mut draft = Draft {
        body,
        members,
        fates: vec![Fate::Keep; members.len()],
        added: Vec::new(),
    };
    for edit in edits {
        draft.edit(edit);
    }
    draft.render(close)
}

/// What becomes of a member of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Change(Bytes),
    Splice(Vec<Splice>),
    Drop,
}

/// The original's members with their fates, and what is added behind them.
struct Draft<'a> {
    body: &'a Bytes,
    members: &'a [Member],
    fates: Vec<Fate>,
    added: Vec<(&'a str, Bytes)>,
}

impl<'a> Draft<'a> {
    fn edit(&mut self, edit: &Edit<'a>) {
        match edit {
            Edit::Set { name, value } => self.set(name, value),
            Edit::Default { name, value } if self.value(name).is_none() => self.set(name, value),
            Edit::Default { .. } => {}
            Edit::Remove { name } => self.remove(name),
            Edit::SetNested { name, key, value } => {
                let value = nested(self.value(name), key, value);
                self.set(name, &value);
            }
            Edit::Splice { name, splices } => self.splice(name, splices),
        }
    }

    /// The value as it stands after the edits so far.
    fn value(&self, name: &str) -> Option<Bytes> {
        let added = self
            .added
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.clone());
        added.or_else(|| {
            let mut named = self.members.iter().zip(&self.fates).rev();
            named.find_map(|(member, fate)| match fate {
                Fate::Drop => None,
                _ if !member.is_named(self.body, name) => None,
                Fate::Keep => Some(self.body.slice_ref(member.value.of(self.body))),
                Fate::Change(value) => Some(value.clone()),
                Fate::Splice(splices) => {
                    let mut parts = Parts::new(self.body);
                    parts.spliced(member.value, splices.clone());
                    Some(parts.finish().join())
                }
            })
        })
    }

    /// The value that counts is the last one, as in [`Self::value`].
    fn splice(&mut self, name: &str, splices: &[Splice]) {
        let mut named = self.members.iter().zip(&mut self.fates).rev();
        let found = named.find(|(member, _)| member.is_named(self.body, name));
        if let Some((_, fate)) = found
            && *fate == Fate::Keep
        {
            *fate = Fate::Splice(splices.to_vec());
        }
    }

    /// The first member of that name takes the value, even one removed before, so that its place stays the
    /// same however often the edits are applied. Further ones of that name go.
    fn set(&mut self, name: &'a str, value: &Bytes) {
        let mut found = false;
        for (member, fate) in self.members.iter().zip(&mut self.fates) {
            if member.is_named(self.body, name) {
                *fate = match member.value.of(self.body) {
                    _ if found => Fate::Drop,
                    same if same == value => Fate::Keep,
                    _ => Fate::Change(value.clone()),
                };
                found = true;
            }
        }
        if found {
            return;
        }
        match self.added.iter_mut().find(|(key, _)| *key == name) {
            Some((_, current)) => *current = value.clone(),
            None => self.added.push((name, value.clone())),
        }
    }

    fn remove(&mut self, name: &str) {
        self.added.retain(|(key, _)| *key != name);
        for (member, fate) in self.members.iter().zip(&mut self.fates) {
            if member.is_named(self.body, name) {
                *fate = Fate::Drop;
            }
        }
    }

    /// A member goes together with what stands between it and the one before it; the first to stay
    /// follows the opening brace as the first one did.
    fn render(self, close: usize) -> Spliced {
        let mut parts = Parts::new(self.body);
        parts.original(0, self.members.first().map_or(close, |member| member.key.start));
        let (mut behind, mut empty) = (None, true);
        for (member, fate) in self.members.iter().zip(self.fates) {
            let gap = behind.replace(member.value.end).unwrap_or(member.key.start);
            if fate == Fate::Drop {
                continue;
            }
            parts.original(if empty { member.key.start } else { gap }, member.value.start);
            empty = false;
            match fate {
                Fate::Change(value) => parts.new_bytes(value),
                Fate::Splice(splices) => parts.spliced(member.value, splices),
                _ => parts.original(member.value.start, member.value.end),
            }
        }
        for (name, value) in self.added {
            parts.new_bytes(introduction(name, !empty));
            parts.new_bytes(value);
            empty = false;
        }
        parts.original(behind.unwrap_or(close), self.body.len());
        parts.finish()
    }
}

/// What stands before the value of an added member.
fn introduction(name: &str, comma: bool) -> Bytes {
    let name = serde_json::Value::from(name);
    format!("{}{name}:", if comma { "," } else { "" }).into()
}

/// `current` with one key set, or a new object of that key alone when `current` is no object.
fn nested(current: Option<Bytes>, key: &str, value: &Bytes) -> Bytes {
    let current = current.unwrap_or_default();
    let set = [Edit::Set {
        name: key,
        value: value.clone(),
    }];
    match scan::object(&current, scan::DEEPEST) {
        Ok(Some(object)) => splice(&current, &object.members, object.close, &set).join(),
        _ => [b"{", &introduction(key, false)[..], value, b"}"].concat().into(),
    }
}

/// Collects parts; neighbouring slices of the original grow together.
struct Parts<'a> {
    body: &'a Bytes,
    done: Vec<Bytes>,
    /// The slice of the original that may still grow.
    open: Span,
}

impl<'a> Parts<'a> {
    fn new(body: &'a Bytes) -> Self {
        Self {
            body,
            // What is before a change, the change, and what is behind it.
            done: Vec::with_capacity(3),
            open: Span { start: 0, end: 0 },
        }
    }

    fn original(&mut self, start: usize, end: usize) {
        if self.open.end == start {
            self.open.end = end;
            return;
        }
        self.flush();
        self.open = Span { start, end };
    }

    /// A value of the original, some spans of it replaced.
    fn spliced(&mut self, value: Span, splices: Vec<Splice>) {
        let mut at = value.start;
        for Splice { span, value: new } in splices {
            if at <= span.start && span.start <= span.end && span.end <= value.end {
                self.original(at, span.start);
                self.new_bytes(new);
                at = span.end;
            }
        }
        self.original(at, value.end);
    }

    fn new_bytes(&mut self, bytes: Bytes) {
        self.flush();
        self.push(bytes);
    }

    fn flush(&mut self) {
        let slice = self.body.slice_ref(self.open.of(self.body));
        self.push(slice);
        self.open.start = self.open.end;
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.done.push(bytes);
        }
    }

    fn finish(mut self) -> Spliced {
        self.flush();
        Spliced::new(self.done)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::{Edit, Splice, Spliced, apply, json_string, replace};
    use crate::envelope::Envelope;
    use crate::scan::Span;

    fn applied(body: &str, edits: &[Edit<'_>]) -> String {
        let spliced = splice(&Bytes::copy_from_slice(body.as_bytes()), edits);
        String::from_utf8(spliced.join().to_vec()).unwrap()
    }

    fn splice(body: &Bytes, edits: &[Edit<'_>]) -> Spliced {
        apply(body, &Envelope::read(body, 128).unwrap(), edits)
    }

    fn set(name: &'static str, value: &'static str) -> Edit<'static> {
        Edit::Set {
            name,
            value: Bytes::from_static(value.as_bytes()),
        }
    }

    fn default(name: &'static str, value: &'static str) -> Edit<'static> {
        Edit::Default {
            name,
            value: Bytes::from_static(value.as_bytes()),
        }
    }

    fn usage() -> Edit<'static> {
        Edit::SetNested {
            name: "stream_options",
            key: "include_usage",
            value: Bytes::from_static(b"true"),
        }
    }

    #[test]
    fn each_edit_changes_its_own_bytes_alone() {
        let remove = |name| Edit::Remove { name };
        for (body, edit, want) in [
            (
                r#"{ "model" : "a" , "x":1.0e2 }"#,
                set("model", "\"b\""),
                r#"{ "model" : "b" , "x":1.0e2 }"#,
            ),
            (
                r#"{"\u006dodel":"a"}"#,
                set("model", "\"b\""),
                r#"{"\u006dodel":"b"}"#,
            ),
            (r#"{"x":1}"#, set("y", "2"), r#"{"x":1,"y":2}"#),
            (" { \"x\": 1\n}\n", set("y", "2"), " { \"x\": 1,\"y\":2\n}\n"),
            ("{ }", set("y", "2"), r#"{ "y":2}"#),
            ("{}", set("a\"b", "2"), r#"{"a\"b":2}"#),
            (r#"{"x":1}"#, default("x", "2"), r#"{"x":1}"#),
            (r#"{"x":null}"#, default("x", "2"), r#"{"x":null}"#),
            ("{}", default("x", "2"), r#"{"x":2}"#),
            (r#"{ "a":1, "b":2, "c":3 }"#, remove("a"), r#"{ "b":2, "c":3 }"#),
            (r#"{ "a":1, "b":2, "c":3 }"#, remove("b"), r#"{ "a":1, "c":3 }"#),
            (r#"{ "a":1, "b":2, "c":3 }"#, remove("c"), r#"{ "a":1, "b":2 }"#),
            (r#"{ "a":1 }"#, remove("a"), "{  }"),
            (r#"{"a":1}"#, remove("b"), r#"{"a":1}"#),
            (r#"{"x":1,"y":2,"x":3}"#, remove("x"), r#"{"y":2}"#),
            (r#"{"x":1,"y":2,"x":3}"#, set("x", "4"), r#"{"x":4,"y":2}"#),
            ("{}", usage(), r#"{"stream_options":{"include_usage":true}}"#),
            (
                r#"{"stream_options":null}"#,
                usage(),
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{}}"#,
                usage(),
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{ "z":1e5 }}"#,
                usage(),
                r#"{"stream_options":{ "z":1e5,"include_usage":true }}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":false, "z":0}}"#,
                usage(),
                r#"{"stream_options":{"include_usage":true, "z":0}}"#,
            ),
        ] {
            assert_eq!(
                applied(body, std::slice::from_ref(&edit)),
                want,
                "{edit:?} of {body}"
            );
        }
    }

    #[test]
    fn edits_build_on_one_another() {
        let body = r#"{"a":1,"b":2}"#;
        for (edits, want) in [
            (vec![set("a", "3"), set("a", "4")], r#"{"a":4,"b":2}"#),
            (
                vec![Edit::Remove { name: "a" }, set("a", "4")],
                r#"{"a":4,"b":2}"#,
            ),
            (
                vec![
                    Edit::Remove { name: "a" },
                    Edit::Remove { name: "b" },
                    set("c", "3"),
                ],
                r#"{"c":3}"#,
            ),
            (vec![set("c", "3"), Edit::Remove { name: "c" }], body),
            (
                vec![set("c", "3"), default("c", "4"), set("d", "5")],
                r#"{"a":1,"b":2,"c":3,"d":5}"#,
            ),
            (
                vec![Edit::Remove { name: "a" }, default("a", "9")],
                r#"{"a":9,"b":2}"#,
            ),
            (
                vec![set("stream_options", r#"{"z":1}"#), usage()],
                r#"{"a":1,"b":2,"stream_options":{"z":1,"include_usage":true}}"#,
            ),
        ] {
            assert_eq!(applied(body, &edits), want, "{edits:?}");
        }
    }

    #[test]
    fn without_a_change_the_original_is_sent_as_it_is() {
        let body = Bytes::from_static(br#" {"model":"a","stream_options":{"include_usage":true}} "#);
        for edits in [
            vec![],
            vec![set("model", "\"a\"")],
            vec![default("model", "1"), usage()],
        ] {
            let spliced = splice(&body, &edits);
            assert_eq!(spliced.parts.len(), 1);
            assert_eq!(
                spliced.parts[0].as_ptr(),
                body.as_ptr(),
                "the same memory, not a copy"
            );
            assert_eq!(spliced.len, body.len());
        }
    }

    #[test]
    fn the_parts_share_the_memory_of_the_original() {
        let body = Bytes::from(format!(r#"{{"model":"a","messages":"{}"}}"#, "x".repeat(1000)));
        let spliced = splice(&body, &[set("model", "\"gpt\"")]);
        assert_eq!(spliced.parts.len(), 3);
        assert_eq!(spliced.parts[2].as_ptr(), body[12..].as_ptr());
        assert_eq!(spliced.len, body.len() + 2);
    }

    #[test]
    fn a_value_is_spliced_where_it_stands() {
        let body = r#"{"model":"a", "list" : [1, 2] ,"x":1e2}"#;
        let cut = |start, end, value: &'static str| Splice {
            span: Span { start, end },
            value: Bytes::from_static(value.as_bytes()),
        };
        let splice = |splices| Edit::Splice {
            name: "list",
            splices,
        };
        let put = || splice(vec![Splice::at(24, "0,"), Splice::at(28, ",3")]);
        for (why, edits, want) in [
            (
                "front and back",
                vec![put()],
                r#"{"model":"a", "list" : [0,1, 2,3] ,"x":1e2}"#,
            ),
            (
                "beside others",
                vec![set("model", "\"b\""), put(), Edit::Remove { name: "x" }],
                r#"{"model":"b", "list" : [0,1, 2,3]}"#,
            ),
            (
                "instead",
                vec![splice(vec![cut(24, 28, "7")])],
                r#"{"model":"a", "list" : [7] ,"x":1e2}"#,
            ),
            (
                "what is set later wins",
                vec![put(), set("list", "0")],
                r#"{"model":"a", "list" : 0 ,"x":1e2}"#,
            ),
            (
                "what was set before, too",
                vec![set("list", "0"), put()],
                r#"{"model":"a", "list" : 0 ,"x":1e2}"#,
            ),
            (
                "it is there already",
                vec![put(), default("list", "0")],
                r#"{"model":"a", "list" : [0,1, 2,3] ,"x":1e2}"#,
            ),
            (
                "spans out of place",
                vec![splice(vec![
                    cut(3, 4, "no"),
                    cut(25, 27, "-"),
                    cut(26, 28, "no"),
                    cut(28, 99, "no"),
                ])],
                r#"{"model":"a", "list" : [1-2] ,"x":1e2}"#,
            ),
        ] {
            assert_eq!(applied(body, &edits), want, "{why}");
        }
        let elsewhere = Edit::Splice {
            name: "y",
            splices: vec![Splice::at(24, "0,")],
        };
        assert_eq!(applied(body, &[elsewhere]), body, "no member, no splice");
    }

    #[test]
    fn a_spliced_object_can_be_added_to() {
        let splice = Edit::Splice {
            name: "stream_options",
            splices: vec![Splice::at(19, r#""z":0"#)],
        };
        assert_eq!(
            applied(r#"{"stream_options":{}}"#, &[splice, usage()]),
            r#"{"stream_options":{"z":0,"include_usage":true}}"#
        );
    }

    #[test]
    fn a_span_of_any_body_can_be_replaced() {
        let body = Bytes::from_static(b"one two three");
        let spliced = replace(&body, Span { start: 4, end: 7 }, Bytes::from_static(b"2"));
        assert_eq!(spliced.len, 11);
        assert_eq!(spliced.join(), "one 2 three");
        let none = replace(&body, Span { start: 0, end: 3 }, Bytes::new());
        assert_eq!(none.join(), " two three");
    }

    #[test]
    fn a_text_becomes_a_json_string() {
        assert_eq!(json_string("a\"\n\u{1}é"), r#""a\"\n\u0001é""#);
    }

    /// Few names, so that edits meet members and one another.
    const NAMES: [&str; 5] = ["a", "b", "stream_options", "model", "x\"y"];

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[ -~é]{0,6}".prop_map(Value::from),
            prop::collection::btree_map("[kl]", any::<bool>(), 0..3).prop_map(|map| json!(map)),
        ]
    }

    fn name() -> impl Strategy<Value = &'static str> {
        prop::sample::select(&NAMES[..])
    }

    fn edit() -> impl Strategy<Value = Edit<'static>> {
        let raw = || value().prop_map(|value| Bytes::from(value.to_string()));
        prop_oneof![
            (name(), raw()).prop_map(|(name, value)| Edit::Set { name, value }),
            (name(), raw()).prop_map(|(name, value)| Edit::Default { name, value }),
            name().prop_map(|name| Edit::Remove { name }),
            (name(), prop::sample::select(&["k", "m"][..]), raw())
                .prop_map(|(name, key, value)| Edit::SetNested { name, key, value }),
        ]
    }

    /// An object with the given members, written compactly or with space everywhere.
    fn written(members: &Map<String, Value>, airy: bool) -> Bytes {
        let (open, colon, comma, close) = if airy {
            (" { ", " : ", " ,\n", "\t}\n")
        } else {
            ("{", ":", ",", "}")
        };
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{}{colon}{value}", json!(key)))
            .collect();
        format!("{open}{}{close}", members.join(comma)).into()
    }

    fn expected(mut object: Map<String, Value>, edits: &[Edit<'_>]) -> Value {
        let parse = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).unwrap();
        for edit in edits {
            match edit {
                Edit::Set { name, value } => drop(object.insert((*name).into(), parse(value))),
                Edit::Default { name, value } => drop(object.entry(*name).or_insert_with(|| parse(value))),
                Edit::Remove { name } => drop(object.remove(*name)),
                Edit::SetNested { name, key, value } => {
                    let slot = object.entry(*name).or_insert(Value::Null);
                    if !slot.is_object() {
                        *slot = json!({});
                    }
                    slot[*key] = parse(value);
                }
                Edit::Splice { .. } => {}
            }
        }
        object.into()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_result_means_what_a_value_edited_alike_means(
            members in prop::collection::btree_map(name().prop_map(String::from), value(), 0..5),
            edits in prop::collection::vec(edit(), 0..5),
            airy: bool,
        ) {
            let members: Map<String, Value> = members.into_iter().collect();
            let body = written(&members, airy);
            let spliced = splice(&body, &edits);
            prop_assert!(spliced.parts.iter().all(|part| !part.is_empty()));
            let len = spliced.len;
            let once = spliced.join();
            prop_assert_eq!(once.len(), len);
            prop_assert_eq!(serde_json::from_slice::<Value>(&once).unwrap(), expected(members, &edits));
            prop_assert_eq!(splice(&once, &edits).join(), once, "applied twice is applied once");
        }

        #[test]
        fn members_that_no_edit_names_keep_their_bytes(
            members in prop::collection::btree_map("[p-t]{1,2}", value(), 0..5),
            edits in prop::collection::vec(edit(), 0..5),
            airy: bool,
        ) {
            let body = written(&members.into_iter().collect(), airy);
            let after = splice(&body, &edits).join();
            let last = Envelope::read(&body, 9).unwrap().members().last().map_or(0, |member| member.value.end);
            prop_assert_eq!(&after[..last], &body[..last]);
        }
    }
}
