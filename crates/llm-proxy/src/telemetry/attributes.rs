//! Attributes in the making.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::proto::{AnyValue, KeyValue, List, Value};

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

    pub(super) fn truth(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.put(key, Value::Truth(value))
    }

    pub(super) fn whole(&mut self, key: &'static str, value: impl TryInto<i64>) -> &mut Self {
        self.put(key, Value::Whole(value.try_into().unwrap_or(i64::MAX)))
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
        self.put(key, Value::Real(value))
    }

    pub(super) fn texts(&mut self, key: &'static str, values: impl Iterator<Item = String>) -> &mut Self {
        let values = values.map(|value| AnyValue {
            value: Some(Value::Text(value.into())),
        });
        let values = values.collect();
        self.put(key, Value::List(List { values }))
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
