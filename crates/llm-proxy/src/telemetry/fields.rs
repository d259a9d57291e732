//! Messages of Protocol Buffers written as they are filled, field by field at the end of one buffer.
//!
//! Spans are made of every request, and have some forty attributes each: as a tree of messages they would cost more than
//! the request itself. What is sent now and then (`proto.rs`) may stay a tree.

use std::time::Duration;

use prost::encoding::{WireType, encoded_len_varint};

/// The number of a field in its message.
pub(super) type Number = u32;

/// `KeyValue`: its key and its value.
const KEY: Number = 1;
const VALUE: Number = 2;
/// The kinds of `AnyValue`.
const TEXT: Number = 1;
const TRUTH: Number = 2;
const WHOLE: Number = 3;
const REAL: Number = 4;
const LIST: Number = 5;
/// `ArrayValue`: its values.
const VALUES: Number = 1;

/// The seven bits of a number that a byte holds, and the one that says: there are more.
const LOW: u64 = 0x7f;
const MORE: u8 = 0x80;

/// Fields of a message in the making.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// A buffer that has so much room at first, in bytes.
    pub(super) fn with_room(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }

    /// How long they are so far, in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What has been written from there on.
    pub(super) fn from(&self, start: usize) -> &[u8] {
        self.0.get(start..).unwrap_or_default()
    }

    /// Forgets what has been written from there on.
    pub(super) fn back_to(&mut self, start: usize) {
        self.0.truncate(start);
    }

    /// All of it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A field that holds bytes.
    pub(super) fn bytes(&mut self, number: Number, value: &[u8]) {
        self.head(number, value.len());
        self.0.extend_from_slice(value);
    }

    /// A field that holds a text.
    pub(super) fn text(&mut self, number: Number, value: &str) {
        self.bytes(number, value.as_bytes());
    }

    /// A field that holds these texts, one behind the other.
    pub(super) fn joined(&mut self, number: Number, pieces: &[&str]) {
        self.head(number, length(pieces));
        for piece in pieces {
            self.0.extend_from_slice(piece.as_bytes());
        }
    }

    /// A whole number, or the number of a choice.
    pub(super) fn whole(&mut self, number: Number, value: u64) {
        self.key(number, WireType::Varint);
        self.varint(value);
    }

    /// A number that always takes four bytes.
    pub(super) fn fixed32(&mut self, number: Number, value: u32) {
        self.key(number, WireType::ThirtyTwoBit);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A number that always takes eight bytes.
    pub(super) fn fixed64(&mut self, number: Number, value: u64) {
        self.key(number, WireType::SixtyFourBit);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A message within this one. Its length comes first, and is known last: it is put behind it, and then before it.
    pub(super) fn message(&mut self, number: Number, write: impl FnOnce(&mut Self)) {
        self.key(number, WireType::LengthDelimited);
        let start = self.0.len();
        write(self);
        let end = self.0.len();
        self.varint((end - start) as u64);
        let added = self.0.len() - end;
        if let Some(both) = self.0.get_mut(start..) {
            both.rotate_right(added);
        }
    }

    /// What a field begins with.
    #[inline]
    fn key(&mut self, number: Number, kind: WireType) {
        self.varint(u64::from((number << 3) | kind as u32));
    }

    /// What a field of so many bytes begins with: mostly two bytes.
    #[inline]
    fn head(&mut self, number: Number, length: usize) {
        let key = (number << 3) | WireType::LengthDelimited as u32;
        match (u8::try_from(key), u8::try_from(length)) {
            (Ok(key), Ok(length)) if key < MORE && length < MORE => self.0.extend_from_slice(&[key, length]),
            _ => {
                self.varint(u64::from(key));
                self.varint(length as u64);
            }
        }
    }

    /// A number, seven bits in a byte, the lowest first. Nearly all have one byte.
    #[inline]
    fn varint(&mut self, mut number: u64) {
        while number > LOW {
            self.0.push((number & LOW) as u8 | MORE);
            number >>= 7;
        }
        self.0.push((number & LOW) as u8);
    }

    /// Attributes, which are that field.
    pub(super) fn attributes(&mut self, number: Number) -> Attributes<'_> {
        Attributes { fields: self, number }
    }
}

/// How long a field of so many bytes is, as long as its number is below sixteen.
fn field(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn length(pieces: &[&str]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}

/// Attributes of something in the making.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    fields: &'a mut Fields,
    number: Number,
}

impl Attributes<'_> {
    /// A key, and what its value takes, in bytes.
    fn key(&mut self, key: &str, value: usize) -> &mut Fields {
        let own = field(key.len()) + field(value);
        let fields = &mut *self.fields;
        fields.0.reserve(own + 4);
        fields.head(self.number, own);
        fields.text(KEY, key);
        fields.head(VALUE, value);
        fields
    }

    /// These texts, one behind the other.
    pub(super) fn joined(&mut self, key: &'static str, pieces: &[&str]) -> &mut Self {
        self.key(key, field(length(pieces))).joined(TEXT, pieces);
        self
    }

    pub(super) fn text(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key, field(value.len())).text(TEXT, value);
        self
    }

    pub(super) fn maybe_text(&mut self, key: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    pub(super) fn truth(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.key(key, 2).whole(TRUTH, u64::from(value));
        self
    }

    pub(super) fn whole(&mut self, key: &'static str, value: impl TryInto<i64>) -> &mut Self {
        let value = value.try_into().unwrap_or(i64::MAX).cast_unsigned();
        self.key(key, 1 + encoded_len_varint(value)).whole(WHOLE, value);
        self
    }

    pub(super) fn maybe_whole(&mut self, key: &'static str, value: Option<impl TryInto<i64>>) -> &mut Self {
        if let Some(value) = value {
            self.whole(key, value);
        }
        self
    }

    pub(super) fn seconds(&mut self, key: &'static str, value: Duration) -> &mut Self {
        self.real(key, value.as_secs_f64())
    }

    pub(super) fn real(&mut self, key: &'static str, value: f64) -> &mut Self {
        self.key(key, 1 + size_of::<f64>()).fixed64(REAL, value.to_bits());
        self
    }

    /// A list of texts.
    pub(super) fn texts<'t>(
        &mut self,
        key: &'static str,
        values: impl Iterator<Item = &'t str>,
    ) -> &mut Self {
        self.fields.message(self.number, |pair| {
            pair.text(KEY, key);
            pair.message(VALUE, |any| {
                any.message(LIST, |list| {
                    for value in values {
                        list.message(VALUES, |any| any.text(TEXT, value));
                    }
                });
            });
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    use super::*;

    /// What `write` writes, read as the attributes of a resource.
    fn read(write: impl FnOnce(&mut Attributes<'_>)) -> Vec<KeyValue> {
        let mut fields = Fields::default();
        write(&mut fields.attributes(1));
        let bytes = fields.into_bytes();
        let resource = Resource::decode(&*bytes).unwrap();
        assert_eq!(resource.encode_to_vec(), bytes, "in the shortest form");
        resource.attributes
    }

    fn pair(key: &'static str, value: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    #[test]
    fn attributes_are_those_of_the_protocol_however_long_they_are() {
        for length in [0, 1, 90, 110, 120, 127, 128, 200, 20_000] {
            let long = "x".repeat(length);
            let read = read(|attributes| {
                attributes
                    .text("text", &long)
                    .joined("joined", &["/v1", &long])
                    .texts("texts", ["", &long].into_iter());
            });
            let list = [String::new(), long.clone()].map(|text| AnyValue {
                value: Some(Value::StringValue(text)),
            });
            let expected = [
                pair("text", Value::StringValue(long.clone())),
                pair("joined", Value::StringValue(format!("/v1{long}"))),
                pair("texts", Value::ArrayValue(ArrayValue { values: list.into() })),
            ];
            assert_eq!(read, expected, "{length}");
        }
    }

    #[test]
    fn numbers_of_all_sizes_are_those_of_the_protocol() {
        for number in [0, 1, 127, 128, 16_384, i64::MAX as u64, u64::MAX] {
            let read = read(|attributes| {
                attributes
                    .whole("whole", number)
                    .maybe_whole("none", None::<u64>)
                    .seconds("seconds", Duration::from_millis(1_500))
                    .truth("truth", true)
                    .maybe_text("none", None);
            });
            let expected = [
                pair(
                    "whole",
                    Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)),
                ),
                pair("seconds", Value::DoubleValue(1.5)),
                pair("truth", Value::BoolValue(true)),
            ];
            assert_eq!(read, expected, "{number}");
        }
    }

    #[test]
    fn the_length_of_a_message_stands_before_it() {
        for length in [0, 1, 127, 128, 16_383, 16_384] {
            let mut fields = Fields::default();
            fields.whole(7, 5);
            fields.message(1, |inner| inner.0.resize(inner.len() + length, b'x'));
            let mut expected = vec![7 << 3, 5, (1 << 3) | 2];
            prost::encoding::encode_varint(length as u64, &mut expected);
            expected.resize(expected.len() + length, b'x');
            assert_eq!(fields.into_bytes(), expected);
        }
    }
}
