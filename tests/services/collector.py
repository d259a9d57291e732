"""A receiver of OTLP over gRPC, out of grpcio and OpenTelemetry's own messages: a second opinion on what we send."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(TraceServiceServicer):
    """Takes all that comes."""

    def __init__(self):
        self.spans, self.metrics, self.resources, self.credentials = [], {}, [], set()
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)
        add_MetricsServiceServicer_to_server(_Metrics(self), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self):
        self._server.stop(grace=None)

    def Export(self, request, context):
        self.noted(context)
        for of_resource in request.resource_spans:
            self.resources.append(attributes(of_resource.resource))
            for of_scope in of_resource.scope_spans:
                assert of_scope.scope.name == "llm-proxy"
                self.spans.extend(of_scope.spans)
        return ExportTraceServiceResponse()

    def noted(self, context):
        self.credentials.update(value for key, value in context.invocation_metadata() if key == "x-api-key")

    def trees(self):
        """What came so far: each request's own span with its attempts, by the request's id."""
        spans = list(self.spans)
        requests = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
        return {
            attributes(own)["llm_proxy.request_id"]: (
                own,
                sorted(
                    (span for span in spans if span.parent_span_id == own.span_id and span.kind == Span.SPAN_KIND_CLIENT),
                    key=lambda span: attributes(span)["llm_proxy.attempt"],
                ),
            )
            for own in requests
        }


class _Metrics(MetricsServiceServicer):
    def __init__(self, collector):
        self._collector = collector

    def Export(self, request, context):
        self._collector.noted(context)
        for of_resource in request.resource_metrics:
            for of_scope in of_resource.scope_metrics:
                self._collector.metrics.update({metric.name: metric for metric in of_scope.metrics})
        return ExportMetricsServiceResponse()


def attributes(of):
    """The attributes of a span, an event, a resource or a point."""
    return {one.key: _plain(one.value) for one in of.attributes}


def _plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind)
