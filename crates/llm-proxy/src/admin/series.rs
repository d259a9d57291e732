//! `GET /api/series`: the last quarter of an hour, a list for each number.

use serde_json::{Map, Value, json};

use crate::base::clock;
use crate::observe::series::{Point, SMOOTHED, STEP};
use crate::state::Live;

/// A number of a point, with its name.
type Counted = (&'static str, fn(&Point) -> u32);

/// The lists, the oldest point first; the last point has not ended.
pub(super) fn series(live: &Live) -> Value {
    let (points, ended) = live.access.series().points();
    let mut out = Map::new();
    out.insert("ended".to_owned(), json!(ended));
    out.insert("step_seconds".to_owned(), json!(STEP.as_secs()));
    let smoothed = STEP.as_secs() * SMOOTHED as u64;
    out.insert("first_byte_over_seconds".to_owned(), json!(smoothed));
    out.insert("now".to_owned(), json!(clock::unix_seconds()));
    let places = live.places.view().now;
    let now = json!({"in_flight": live.access.in_flight().count(), "waiting": places.waiting});
    out.insert("current".to_owned(), now);
    let counts: [Counted; 8] = [
        ("requests", |point| point.requests),
        ("errors", |point| point.errors),
        ("refused", |point| point.refused),
        ("rescued", |point| point.rescued),
        ("input_tokens", |point| point.input_tokens),
        ("output_tokens", |point| point.output_tokens),
        ("in_flight", |point| point.in_flight),
        ("waiting", |point| point.waiting),
    ];
    for (name, count) in counts {
        let list: Vec<u32> = points.iter().map(count).collect();
        out.insert(name.to_owned(), json!(list));
    }
    for (at, name) in ["p50_ms", "p90_ms", "p99_ms"].into_iter().enumerate() {
        let one = |point: &Point| point.first_byte.and_then(|all| all.get(at).copied());
        let list: Vec<Option<f64>> = points.iter().map(|point| one(point).map(rounded)).collect();
        out.insert(name.to_owned(), json!(list));
    }
    Value::Object(out)
}

/// To a hundredth: more would only make the answer longer.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}
