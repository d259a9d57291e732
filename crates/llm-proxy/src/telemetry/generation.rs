//! The metrics of OpenTelemetry's conventions for generative AI, counted from the records on their way out: nothing is
//! counted for them where nobody wants them.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
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

/// Whose series these are. Every part is a name of the config or one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Whose<N> {
    operation: &'static str,
    provider: &'static str,
    alias: N,
    /// Who was asked last; none where nobody was.
    backend: Option<N>,
}

/// Looking for series costs no allocation.
impl Equivalent<Whose<Arc<str>>> for Whose<&str> {
    fn equivalent(&self, kept: &Whose<Arc<str>>) -> bool {
        let texts = (self.operation, self.provider, self.alias, self.backend);
        texts
            == (
                kept.operation,
                kept.provider,
                &kept.alias,
                kept.backend.as_deref(),
            )
    }
}

impl Whose<&str> {
    /// The same, to keep.
    fn owned(self) -> Whose<Arc<str>> {
        Whose {
            operation: self.operation,
            provider: self.provider,
            alias: Arc::from(self.alias),
            backend: self.backend.map(Arc::from),
        }
    }
}

#[derive(Debug)]
struct Series {
    /// The kind of tokens, or of the error.
    kind: Option<&'static str>,
    counts: Vec<u64>,
    sum: f64,
}

/// By family; a handful of kinds in each.
type Families = [Vec<Series>; FAMILIES.len()];

/// The histograms of all requests so far.
#[derive(Debug, Default)]
pub(super) struct Generation(IndexMap<Whose<Arc<str>>, Families, RandomState>);

impl Generation {
    /// A request is over.
    pub(super) fn note(&mut self, finished: &Finished) {
        let record = &*finished.record;
        let Some(api) = record.api else { return };
        let last = record.attempts.last().map(|last| &last.backend);
        let whose = Whose {
            operation: operation(api),
            provider: last.map_or_else(|| of_dialect(record.dialect), |last| provider(&last.server)),
            alias: record.alias.as_ref().map_or(OTHER, |alias| &alias.name),
            backend: last.map(|last| &*last.name),
        };
        self.at(whose, |own| {
            for (kind, tokens) in [("input", record.usage.input), ("output", record.usage.output)] {
                if let Some(tokens) = tokens {
                    add(own, USED, Some(kind), of(tokens));
                }
            }
            if let Some(first_byte) = record.first_byte.filter(|_| finished.class.is_none()) {
                add(own, FIRST, None, first_byte.as_secs_f64());
            }
            add(own, REQUEST, finished.class, finished.elapsed.as_secs_f64());
        });
        self.attempts(finished, whose.alias);
    }

    fn attempts(&mut self, finished: &Finished, alias: &str) {
        let mut left = finished.record.attempts.len();
        for attempt in &finished.record.attempts {
            left -= 1;
            // The answer of the last one lasts as long as the request; what broke in it is the request's error.
            let (took, class) = match attempt.class {
                None if left == 0 => (finished.elapsed.saturating_sub(attempt.after), finished.class),
                class => (attempt.took, class.map(crate::base::Class::name)),
            };
            let whose = Whose {
                operation: operation(attempt.api),
                provider: provider(&attempt.backend.server),
                alias,
                backend: Some(&*attempt.backend.name),
            };
            self.at(whose, |own| add(own, ATTEMPT, class, took.as_secs_f64()));
        }
    }

    /// Notes something in the series of these, which begin here if there are none.
    fn at(&mut self, whose: Whose<&str>, note: impl FnOnce(&mut Families)) {
        match self.0.get_mut(&whose) {
            Some(own) => note(own),
            None => note(self.0.entry(whose.owned()).or_default()),
        }
    }

    /// Forgets the series of names that the config has no longer.
    pub(super) fn retain(&mut self, is_alias: impl Fn(&str) -> bool, is_backend: impl Fn(&str) -> bool) {
        self.0.retain(|whose, _| {
            let alias = &*whose.alias == OTHER || is_alias(&whose.alias);
            alias && whose.backend.as_deref().is_none_or(&is_backend)
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
        let own = self.0.iter().flat_map(|(whose, series)| {
            let series = series.get(n).into_iter().flatten();
            series.map(move |series| (whose, series))
        });
        let points: Vec<HistogramPoint> = own
            .map(|(whose, series)| point((n, whose), series, family, span))
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

/// Adds to the series of that family and kind, which begins here if there is none.
fn add(own: &mut Families, family: usize, kind: Option<&'static str>, value: f64) {
    let (Some(own), Some(Family { bounds, .. })) = (own.get_mut(family), FAMILIES.get(family)) else {
        return;
    };
    let known = own.iter().position(|series| series.kind == kind);
    let at = known.unwrap_or_else(|| {
        own.push(Series {
            kind,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        });
        own.len() - 1
    });
    let Some(series) = own.get_mut(at) else { return };
    let bound = bounds.partition_point(|bound| *bound < value);
    if let Some(count) = series.counts.get_mut(bound) {
        *count += 1;
    }
    series.sum += value;
}

fn point(
    (n, whose): (usize, &Whose<Arc<str>>),
    series: &Series,
    family: &Family,
    span: Span,
) -> HistogramPoint {
    let mut attributes = Attributes::default();
    attributes
        .text("gen_ai.operation.name", whose.operation)
        .text("gen_ai.provider.name", whose.provider)
        .name("gen_ai.request.model", &whose.alias)
        .maybe_name("llm_proxy.backend", whose.backend.as_deref());
    let kind = if n == USED {
        "gen_ai.token.type"
    } else {
        "error.type"
    };
    attributes.maybe_text(kind, series.kind);
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
