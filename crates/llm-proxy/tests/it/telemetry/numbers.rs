//! Metrics over OTLP: the conventions' own, and those of `/metrics` under their names.

use llm_sim::Answer;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric};
use serde_json::{Value as Json, json};

use super::super::support::collector::object;
use super::super::support::{Client, until};
use super::Scene;

const CUMULATIVE: i32 = 2;

fn histogram(metric: Metric) -> Vec<(Json, HistogramDataPoint)> {
    let Some(Data::Histogram(histogram)) = metric.data else {
        panic!("no histogram: {metric:?}");
    };
    assert_eq!(histogram.aggregation_temporality, CUMULATIVE);
    let points = histogram.data_points.into_iter();
    points
        .map(|point| {
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            assert!(point.start_time_unix_nano < point.time_unix_nano);
            (object(&point.attributes), point)
        })
        .collect()
}

/// The points of a metric as `labels value`, as Prometheus' page writes them.
fn numbers(metric: &Metric) -> Vec<(Json, f64)> {
    let points = match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => {
            assert!(
                sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE,
                "{}",
                metric.name
            );
            &sum.data_points
        }
        other => panic!("{other:?}"),
    };
    let value = |value: Value| match value {
        Value::AsDouble(number) => number,
        Value::AsInt(number) => f64::from(u32::try_from(number).unwrap()),
    };
    points
        .iter()
        .map(|point| (object(&point.attributes), value(point.value.unwrap())))
        .collect()
}

async fn told(scene: &Scene, name: &str) -> Metric {
    until(&format!("the metric {name}"), async || {
        scene.collector.metric(name)
    })
    .await
}

#[tokio::test]
async fn o09_the_conventions_histograms_tell_tokens_durations_and_first_tokens() {
    let scene = Scene::with(", metrics: 1s, sample: 0", "").await;
    scene.first.next(Answer::status(429).header("retry-after", "7"));
    scene.first.next(Answer::status(429).header("retry-after", "7"));
    scene.keyed.chat("m", true).await.expect(200);
    let tokens = histogram(told(&scene, "gen_ai.client.token.usage").await);
    for (kind, count) in [("input", 30.0), ("output", 12.0)] {
        let (labels, point) = tokens
            .iter()
            .find(|(labels, _)| labels["gen_ai.token.type"] == kind)
            .unwrap();
        assert_eq!(
            labels,
            &json!({
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m",
                "llm_proxy.backend": "a", "gen_ai.token.type": kind
            })
        );
        assert_eq!((point.count, point.sum), (1, Some(count)));
        let bucket = point.explicit_bounds.partition_point(|bound| *bound < count);
        assert_eq!(point.bucket_counts[bucket], 1, "{kind}");
    }
    let attempts = histogram(told(&scene, "gen_ai.client.operation.duration").await);
    let count = |backend: &str, error: Json| {
        let own = attempts
            .iter()
            .find(|(labels, _)| labels["llm_proxy.backend"] == backend && labels["error.type"] == error);
        own.map(|(_, point)| point.count)
    };
    assert_eq!(
        (count("o", json!("rate")), count("a", Json::Null)),
        (Some(2), Some(1))
    );
    let metric = told(&scene, "gen_ai.server.request.duration").await;
    assert_eq!(metric.unit, "s");
    let whole = histogram(metric);
    assert_eq!((whole.len(), whole[0].1.count), (1, 1));
    let first = histogram(told(&scene, "gen_ai.server.time_to_first_token").await);
    assert!(first[0].1.sum.unwrap() <= whole[0].1.sum.unwrap());
    assert_eq!(scene.collector.spans().0.len(), 0, "numbers need no sample");
    scene.finish().await;
}

#[tokio::test]
async fn o09_the_numbers_of_the_page_are_told_under_the_same_names() {
    let scene = Scene::with(", metrics: 1s", "").await;
    scene.keyed.chat("m", false).await.expect(200);
    scene.keyed.messages("nowhere", false).await.expect(404);
    scene.proxy.recorded(2).await;
    let requests = until("both requests", async || {
        let metric = scene.collector.metric("llm_proxy_requests_total")?;
        Some(numbers(&metric)).filter(|numbers| numbers.len() == 2)
    })
    .await;
    for (dialect, alias, status) in [("chat", "m", "200"), ("messages", "other", "404")] {
        let labels = json!({"dialect": dialect, "alias": alias, "status": status});
        assert!(requests.contains(&(labels, 1.0)), "{requests:?}");
    }
    let first = histogram(told(&scene, "llm_proxy_first_byte_seconds").await);
    let of_o = first.iter().find(|(labels, _)| labels["backend"] == "o").unwrap();
    assert_eq!(of_o.1.count, 1);
    let page = Client::plain(scene.proxy.admin()).get("/metrics").await.text();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        // Those without a sample are not told.
        let has_samples = page.lines().any(|line| {
            let sample = line.split([' ', '{']).next().unwrap();
            sample == name || sample == format!("{name}_count")
        });
        let metric = scene.collector.metric(name);
        assert_eq!(metric.is_some(), has_samples, "{name}");
        let Some(data) = metric.and_then(|metric| metric.data) else {
            continue;
        };
        let expected = match data {
            Data::Gauge(_) => "gauge",
            Data::Sum(_) => "counter",
            _ => "histogram",
        };
        assert_eq!(kind, expected, "{name}");
    }
    scene.finish().await;
}
