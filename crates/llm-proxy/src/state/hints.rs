//! What a request's headers tell us, beside its key: read in one pass, since each look-up in a map would hash a name.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::limits::RequestClass;

/// The id that the client gives its request.
const REQUEST_ID: &str = "x-request-id";
/// How long the client will wait for the whole answer, in milliseconds.
const PATIENCE: &str = "x-request-timeout-ms";

/// What a client says of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// How long it will wait; none where it does not say so in a whole number above zero.
    pub patience: Option<Duration>,
    /// What the request is for.
    pub class: RequestClass,
}

impl Hints {
    /// Reads them, and the id that the client gives its request. Of several headers of a name the first counts.
    pub fn of(headers: &HeaderMap) -> (Self, Option<&HeaderValue>) {
        let (mut patience, mut class, mut request_id) = (None, None, None);
        for (name, value) in headers {
            let place = match name.as_str() {
                REQUEST_ID => &mut request_id,
                PATIENCE => &mut patience,
                RequestClass::HEADER => &mut class,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        let hints = Self {
            patience: patience.and_then(milliseconds),
            class: RequestClass::named(class.map(HeaderValue::as_bytes)),
        };
        (hints, request_id)
    }
}

fn milliseconds(value: &HeaderValue) -> Option<Duration> {
    let millis: u64 = value.to_str().ok()?.trim().parse().ok()?;
    (millis > 0).then_some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn only_a_whole_number_above_zero_is_a_deadline() {
        for (text, expected) in [
            ("1500", Some(1_500)),
            (" 20 ", Some(20)),
            ("0", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PATIENCE, HeaderValue::from_str(text).unwrap());
            let (hints, _) = Hints::of(&headers);
            assert_eq!(hints.patience, expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(Hints::of(&HeaderMap::new()), (Hints::default(), None));
    }

    #[test]
    fn of_several_headers_of_a_name_the_first_counts() {
        let said = [
            (RequestClass::HEADER, "subagent"),
            (PATIENCE, "20"),
            ("x-other", "1"),
            (REQUEST_ID, "first"),
            (REQUEST_ID, "second"),
            (PATIENCE, "10"),
            (RequestClass::HEADER, "main"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let expected = Hints {
            patience: Some(Duration::from_millis(20)),
            class: RequestClass::Subagent,
        };
        let first = HeaderValue::from_static("first");
        assert_eq!(Hints::of(&headers), (expected, Some(&first)));
    }
}
