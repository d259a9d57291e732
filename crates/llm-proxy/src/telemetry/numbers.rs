//! The numbers of `/metrics` as OTLP's metrics, under the same names.

use super::attributes::Attributes;
use super::proto::{Data, Gauge, Histogram, HistogramPoint, Metric, Number, NumberPoint, Sum, Temporality};
use crate::admin::families::{Family, Kind};
use crate::admin::metrics::{self, Numbers};
use crate::observe::meters::Seen;

/// From when until when something was counted, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) since: u64,
    pub(super) now: u64,
}

/// Metrics in the making.
#[derive(Debug)]
pub(super) struct Page {
    span: Span,
    family: Option<&'static Family>,
    metrics: Vec<Metric>,
}

impl Page {
    pub(super) fn new(span: Span) -> Self {
        Self {
            span,
            family: None,
            metrics: Vec::new(),
        }
    }

    /// Those that have a number.
    pub(super) fn metrics(mut self) -> Vec<Metric> {
        self.metrics
            .retain(|metric| metric.data.as_ref().is_some_and(has_points));
        self.metrics
    }

    fn attributes(&self, values: &[&str]) -> Attributes {
        let mut attributes = Attributes::default();
        let labels = self.family.map_or(&[][..], |family| family.labels);
        for (label, value) in labels.iter().zip(values) {
            attributes.name(label, value);
        }
        attributes
    }
}

fn has_points(data: &Data) -> bool {
    match data {
        Data::Gauge(gauge) => !gauge.data_points.is_empty(),
        Data::Sum(sum) => !sum.data_points.is_empty(),
        Data::Histogram(histogram) => !histogram.data_points.is_empty(),
    }
}

impl Numbers for Page {
    fn family(&mut self, family: &'static Family) {
        self.family = Some(family);
        let cumulative = Temporality::Cumulative.into();
        let data = match family.kind {
            Kind::Gauge => Data::Gauge(Gauge::default()),
            Kind::Counter => Data::Sum(Sum {
                aggregation_temporality: cumulative,
                is_monotonic: true,
                ..Sum::default()
            }),
            Kind::Histogram => Data::Histogram(Histogram {
                aggregation_temporality: cumulative,
                ..Histogram::default()
            }),
        };
        self.metrics.push(Metric {
            name: family.name.to_owned(),
            description: format!("{}.", family.help),
            unit: String::new(),
            data: Some(data),
        });
    }

    fn sample(&mut self, values: &[&str], value: impl Into<metrics::Number>) {
        let attributes = self.attributes(values).0;
        let value = match value.into() {
            metrics::Number::Whole(number) => Number::Whole(i64::try_from(number).unwrap_or(i64::MAX)),
            metrics::Number::Real(number) => Number::Real(number),
            metrics::Number::Money(cost) => Number::Real(cost.dollars()),
        };
        let Span { since, now } = self.span;
        let point = |since| NumberPoint {
            start_time_unix_nano: since,
            time_unix_nano: now,
            attributes,
            value: Some(value),
        };
        match self.metrics.last_mut().and_then(|metric| metric.data.as_mut()) {
            // What a gauge shows has no beginning.
            Some(Data::Gauge(gauge)) => gauge.data_points.push(point(0)),
            Some(Data::Sum(sum)) => sum.data_points.push(point(since)),
            _ => {}
        }
    }

    fn histogram(&mut self, values: &[&str], seen: &Seen) {
        let attributes = self.attributes(values).0;
        let mut below = 0;
        let mut counts: Vec<u64> = Vec::with_capacity(seen.buckets.len() + 1);
        // Prometheus counts from the beginning, OTLP from the bound before.
        for count in seen.buckets.iter().map(|(_, count)| *count).chain([seen.count]) {
            counts.push(count.saturating_sub(below));
            below = count;
        }
        let point = HistogramPoint {
            start_time_unix_nano: self.span.since,
            time_unix_nano: self.span.now,
            count: seen.count,
            sum: Some(seen.sum),
            bucket_counts: counts,
            explicit_bounds: seen.buckets.iter().map(|(bound, _)| *bound).collect(),
            attributes,
        };
        if let Some(Data::Histogram(histogram)) =
            self.metrics.last_mut().and_then(|metric| metric.data.as_mut())
        {
            histogram.data_points.push(point);
        }
    }
}
