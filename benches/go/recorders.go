package main

import (
	"context"
	"iter"
	"strconv"

	malti "github.com/libmalti/malti-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/trace"
)

func ours() { _ = malti.Record(request) }

// recorders keep the facts of one request, each in its way.
func recorders() iter.Seq2[string, func()] {
	return func(yield func(string, func()) bool) {
		_ = yield(libmalti, ours) && yield("empty cgo call", empty) && yield("C strings", func() {
			withStrings(request.Method, request.Endpoint, request.Consumer)
		}) && yield("OpenTelemetry span", spans()) && yield("prometheus histogram", histogram())
	}
}

// spans have the name and the attributes that the conventions ask of a server's.
func spans() func() {
	tracer := provider.Tracer("bench")
	return func() {
		_, span := tracer.Start(context.Background(), request.Method+" "+request.Endpoint,
			api.WithSpanKind(api.SpanKindServer), api.WithAttributes(
				attribute.String("http.request.method", request.Method),
				attribute.String("url.scheme", "http"),
				attribute.String("url.path", "/users/7"),
				attribute.String("http.route", request.Endpoint),
				attribute.Int("http.response.status_code", request.Status),
				attribute.String("user.id", request.Consumer),
			))
		span.End()
	}
}

// histogram is one by method, endpoint and status; it knows no consumers.
func histogram() func() {
	options := prometheus.HistogramOpts{Name: "http_request_duration_seconds"}
	kept := prometheus.NewHistogramVec(options, []string{"method", "endpoint", "status"})
	prometheus.NewRegistry().MustRegister(kept)
	return func() {
		status := strconv.Itoa(request.Status)
		kept.WithLabelValues(request.Method, request.Endpoint, status).Observe(request.Duration.Seconds())
	}
}
