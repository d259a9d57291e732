//! Whose trace a request belongs to (W3C Trace Context).

use http::header::HeaderName;
use http::{HeaderMap, Method, Version};
use llm_dialect::path::Place;

use crate::base::trace::Parent;
use crate::config::types::Telemetry;
use crate::observe::Trace;
use crate::observe::trace::Dice;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The place of a request in a trace. The header that says the client's goes: a backend is told ours. What vendors note
/// beside it goes with it where it is not sane, as the specification wants it.
#[inline(never)]
pub(super) fn place(
    telemetry: &Telemetry,
    headers: &mut HeaderMap,
    place: Option<&Place>,
    (method, version): (&Method, Version),
) -> Trace {
    let parent = parent(headers);
    headers.remove(TRACEPARENT);
    if parent.is_none() {
        headers.remove(TRACESTATE);
    }
    let dice = Dice {
        trace: fastrand::u128(..),
        span: fastrand::u64(..),
        sampled: fastrand::f64() < telemetry.sample,
    };
    let mut trace = Trace::begin(parent, dice);
    trace.method = method.clone();
    trace.route = place.map(route);
    trace.http2 = version == Version::HTTP_2;
    trace
}

/// What the one header says. Two of them say nothing.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    Parent::read(only.as_bytes())
}

/// The path without `/v1` and without names in it.
fn route(place: &Place) -> &'static str {
    match place {
        Place::Api { api, .. } => api.path(),
        Place::Models => "/models",
        Place::Model(_) => "/models/{id}",
        Place::Root => "/",
        Place::Health(_) | Place::Hello => "/health",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SANE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn placed(parents: &[&str]) -> (Trace, HeaderMap) {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, parent.parse().unwrap());
        }
        headers.append(TRACESTATE, "a=1".parse().unwrap());
        let telemetry = Telemetry {
            sample: 0.0,
            ..Telemetry::default()
        };
        let how = (&Method::POST, Version::HTTP_11);
        (place(&telemetry, &mut headers, None, how), headers)
    }

    #[test]
    fn o08_a_sane_parent_is_continued_and_its_state_goes_on() {
        let (trace, headers) = placed(&[SANE]);
        assert_eq!(trace.id.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(trace.sampled && trace.parent.is_some());
        assert!(!headers.contains_key(TRACEPARENT) && headers.contains_key(TRACESTATE));
    }

    #[test]
    fn o08_any_other_is_restarted_without_its_state() {
        for parents in [&[][..], &["nonsense"], &[SANE, SANE]] {
            let (trace, headers) = placed(parents);
            assert_ne!(trace.id.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert!(!trace.sampled && trace.parent.is_none(), "{parents:?}");
            assert!(headers.is_empty(), "{parents:?}");
        }
    }
}
