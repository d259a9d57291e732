//! The metrics of OpenTelemetry's conventions for generative AI, counted from the records on their way out: nothing is
//! counted for them where nobody wants them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use llm_dialect::Dialect;

use super::attributes::Attributes;
use super::names::{operation, provider};
use super::numbers::Span;
use super::proto::{Data, Histogram, HistogramPoint, Metric, Temporality};
use crate::observe::finished::Finished;
use crate::observe::meters::OTHER;

/// A metric of the conventions.
#[derive(Debug)]
struct Family {
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    bounds: &'static [f64],
}

/// The bounds that the conventions want of durations, in seconds.
const DURATIONS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Those of first tokens, in seconds.
const FIRST_TOKENS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Those of tokens.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// All of them; a series knows its own by its place here.
const FAMILIES: [Family; 4] = [
    Family {
        name: "gen_ai.client.token.usage",
        unit: "{token}",
        about: "Number of input and output tokens used.",
        bounds: TOKENS,
    },
    Family {
        name: "gen_ai.client.operation.duration",
        unit: "s",
        about: "How long attempts at backends took.",
        bounds: DURATIONS,
    },
    Family {
        name: "gen_ai.server.request.duration",
        unit: "s",
        about: "How long requests of clients took, to their last byte.",
        bounds: DURATIONS,
    },
    Family {
        name: "gen_ai.server.time_to_first_token",
        unit: "s",
        about: "From the arrival of a request to the first byte of its answer.",
        bounds: FIRST_TOKENS,
    },
];
const USED: usize = 0;
const ATTEMPT: usize = 1;
const REQUEST: usize = 2;
const FIRST: usize = 3;

/// What is kept apart. Every part is a name of the config or one of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    family: usize,
    operation: &'static str,
    provider: &'static str,
    alias: Arc<str>,
    /// Who was asked last; none where nobody was.
    backend: Option<Arc<str>>,
    /// The kind of tokens, or of the error.
    kind: Option<&'static str>,
}

#[derive(Debug)]
struct Series {
    counts: Vec<u64>,
    sum: f64,
}

/// The histograms of all requests so far.
#[derive(Debug, Default)]
pub(super) struct Generation(HashMap<Labels, Series>);

impl Generation {
    /// A request is over.
    pub(super) fn note(&mut self, finished: &Finished) {
        let record = &finished.record;
        let Some(api) = record.api else { return };
        let alias = record.alias.as_ref();
        let last = record.attempts.last().map(|last| &last.backend);
        let whole = Labels {
            family: REQUEST,
            operation: operation(api),
            provider: last.map_or_else(|| of_dialect(record.dialect), |last| provider(&last.server)),
            alias: alias.map_or_else(|| Arc::from(OTHER), |alias| Arc::clone(&alias.name)),
            backend: last.map(|last| Arc::clone(&last.name)),
            kind: finished.class,
        };
        for (kind, tokens) in [("input", record.usage.input), ("output", record.usage.output)] {
            if let Some(tokens) = tokens {
                let labels = Labels {
                    family: USED,
                    kind: Some(kind),
                    ..whole.clone()
                };
                self.add(labels, of(tokens));
            }
        }
        if let Some(first_byte) = record.first_byte.filter(|_| finished.class.is_none()) {
            let labels = Labels {
                family: FIRST,
                ..whole.clone()
            };
            self.add(labels, first_byte.as_secs_f64());
        }
        self.attempts(finished, &whole);
        self.add(whole, finished.elapsed.as_secs_f64());
    }

    fn attempts(&mut self, finished: &Finished, whole: &Labels) {
        let mut left = finished.record.attempts.len();
        for attempt in &finished.record.attempts {
            left -= 1;
            // The answer of the last one lasts as long as the request; what broke in it is the request's error.
            let (took, class) = match attempt.class {
                None if left == 0 => (finished.elapsed.saturating_sub(attempt.after), finished.class),
                class => (attempt.took, class.map(crate::base::Class::name)),
            };
            let labels = Labels {
                family: ATTEMPT,
                operation: operation(attempt.api),
                provider: provider(&attempt.backend.server),
                alias: Arc::clone(&whole.alias),
                backend: Some(Arc::clone(&attempt.backend.name)),
                kind: class,
            };
            self.add(labels, Duration::as_secs_f64(&took));
        }
    }

    fn add(&mut self, labels: Labels, value: f64) {
        let bounds = FAMILIES
            .get(labels.family)
            .map_or(&[][..], |family| family.bounds);
        let series = self.0.entry(labels).or_insert_with(|| Series {
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        });
        let at = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = series.counts.get_mut(at) {
            *count += 1;
        }
        series.sum += value;
    }

    /// Forgets the series of names that the config has no longer.
    pub(super) fn retain(&mut self, is_alias: impl Fn(&str) -> bool, is_backend: impl Fn(&str) -> bool) {
        self.0.retain(|labels, _| {
            let alias = &*labels.alias == OTHER || is_alias(&labels.alias);
            alias && labels.backend.as_deref().is_none_or(&is_backend)
        });
    }

    /// All as OTLP's metrics.
    pub(super) fn metrics(&self, span: Span) -> Vec<Metric> {
        let families = FAMILIES.iter().enumerate();
        families
            .filter_map(|(n, family)| self.metric(n, family, span))
            .collect()
    }

    fn metric(&self, n: usize, family: &Family, span: Span) -> Option<Metric> {
        let own = self.0.iter().filter(|(labels, _)| labels.family == n);
        let points: Vec<HistogramPoint> = own
            .map(|(labels, series)| point(labels, series, family, span))
            .collect();
        (!points.is_empty()).then(|| Metric {
            name: family.name.to_owned(),
            description: family.about.to_owned(),
            unit: family.unit.to_owned(),
            data: Some(Data::Histogram(Histogram {
                data_points: points,
                aggregation_temporality: Temporality::Cumulative.into(),
            })),
        })
    }
}

fn point(labels: &Labels, series: &Series, family: &Family, span: Span) -> HistogramPoint {
    let mut attributes = Attributes::default();
    attributes
        .text("gen_ai.operation.name", labels.operation)
        .text("gen_ai.provider.name", labels.provider)
        .name("gen_ai.request.model", &labels.alias)
        .maybe_name("llm_proxy.backend", labels.backend.as_deref());
    let kind = if labels.family == USED {
        "gen_ai.token.type"
    } else {
        "error.type"
    };
    attributes.maybe_text(kind, labels.kind);
    HistogramPoint {
        start_time_unix_nano: span.since,
        time_unix_nano: span.now,
        count: series.counts.iter().sum(),
        sum: Some(series.sum),
        bucket_counts: series.counts.clone(),
        explicit_bounds: family.bounds.to_vec(),
        attributes: attributes.0,
    }
}

/// Whose dialect a request speaks that no backend was asked for.
fn of_dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "anthropic",
        Dialect::Chat | Dialect::Responses => "openai",
    }
}

#[expect(clippy::cast_precision_loss, reason = "no request has so many tokens")]
fn of(tokens: u64) -> f64 {
    tokens as f64
}
