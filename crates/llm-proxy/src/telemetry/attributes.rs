//! Attributes of what is sent now and then, in the making.

use std::time::SystemTime;

use bytes::Bytes;

use super::proto::{AnyValue, KeyValue, Value};

/// Attributes of one thing.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<KeyValue>);

impl Attributes {
    /// A text of our own, or one that was made for this.
    pub(super) fn text(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> &mut Self {
        self.put(key, Value::Text(value.into()))
    }

    /// A text that is somebody else's: copied.
    pub(super) fn name(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.text(key, Bytes::copy_from_slice(value.as_bytes()))
    }

    pub(super) fn maybe_name(&mut self, key: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.name(key, value);
        }
        self
    }

    pub(super) fn maybe_text(&mut self, key: &'static str, value: Option<&'static str>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    pub(super) fn whole(&mut self, key: &'static str, value: impl TryInto<i64>) -> &mut Self {
        self.put(key, Value::Whole(value.try_into().unwrap_or(i64::MAX)))
    }

    fn put(&mut self, key: impl Into<Bytes>, value: Value) -> &mut Self {
        self.0.push(KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
        });
        self
    }
}

/// A point in time as OTLP writes it: nanoseconds since 1970.
pub(super) fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
