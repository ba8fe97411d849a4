package main

import (
	"context"
	"fmt"
	"log"
	"strconv"
	"sync/atomic"
	"time"

	malti "github.com/libmalti/malti-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// request is what is recorded again and again beside bare calls of cgo.
var request = malti.Request{
	Method: "GET", Endpoint: "/users/{user_id}", Status: 200, Duration: 12 * time.Microsecond, Consumer: "mobile-app",
}

// work are calls as those of `benches/workload.h`: methods of 3-6 bytes, endpoints of about 30, consumers of about
// 12. They are few, so that they are as near in memory as those of a request that has just been answered.
var work = func() (all [64]malti.Request) {
	random := uint32(42)
	for i := range all {
		random = random*1664525 + 1013904223
		thing := []string{"users", "orders", "invoices"}[i%3]
		all[i] = malti.Request{
			Method:   []string{"GET", "POST", "PUT", "DELETE", "PATCH"}[i%5],
			Endpoint: fmt.Sprintf("/api/v1/%s/{id}/items/%d", thing, random>>19),
			Status:   []int{200, 201, 204, 302, 422, 500}[i%6],
			Duration: time.Duration(random>>8) * time.Microsecond,
			Consumer: fmt.Sprintf("customer-%d", random>>20),
		}
	}
	return all
}()

// recorders keep the facts of a request, each in its way.
func recorders(spans subject) []subject {
	ours := subject{name: libmalti, settle: delivered, call: func(i int) { _ = malti.Record(work[i%len(work)]) }}
	return []subject{ours, spans, histogram()}
}

// pieces are what a call of record consists of, and others beside it.
func pieces() []subject {
	timed := request
	timed.Time = time.Now()
	return []subject{
		{name: "empty cgo call", call: func(int) { empty() }},
		{name: "C strings", call: withStrings, settle: delivered},
		{name: "arguments", call: arguments},
		{name: "from C, time given", many: inC(timed.Time), settle: delivered},
		{name: "from C", many: inC(time.Time{}), settle: delivered},
		{name: "Record, time given", call: func(int) { _ = malti.Record(timed) }, settle: delivered},
		{name: "Record", call: func(int) { _ = malti.Record(request) }, settle: delivered},
	}
}

// delivered delivers what the library keeps: how many more since the last time.
func delivered() int {
	if err := malti.Flush(context.Background()); err != nil {
		log.Fatal(err)
	}
	now := int(malti.Stats().Sent)
	defer func() { sent = now }()
	return now - sent
}

var sent int

// provider's batches go nowhere. Its own queue of 2,048 would lose most of a segment.
var provider = trace.NewTracerProvider(trace.WithBatcher(exporter{}, trace.WithMaxQueueSize(1<<16)))

// hoarding is a provider that keeps what it is given.
func hoarding() *trace.TracerProvider {
	return trace.NewTracerProvider(trace.WithBatcher(exporter{}, trace.WithMaxQueueSize(1<<16),
		trace.WithMaxExportBatchSize(1<<16), trace.WithBatchTimeout(time.Hour)))
}

// exporter drops the spans: a batch costs what it costs up to there.
type exporter struct{}

var exported atomic.Int64

func (exporter) ExportSpans(_ context.Context, spans []trace.ReadOnlySpan) error {
	exported.Add(int64(len(spans)))
	return nil
}

func (exporter) Shutdown(context.Context) error { return nil }

// flushed has a provider export its spans: how many more since the last time.
func flushed(provider *trace.TracerProvider) func() int {
	return func() int {
		if err := provider.ForceFlush(context.Background()); err != nil {
			log.Fatal(err)
		}
		return int(exported.Swap(0))
	}
}

// spans have the name and the attributes that the conventions ask of a server's.
func spans(provider *trace.TracerProvider) subject {
	tracer := provider.Tracer("bench")
	return subject{name: "OpenTelemetry span", settle: flushed(provider), call: func(i int) {
		request := &work[i%len(work)]
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
	}}
}

// histogram is one by method, endpoint and status; it knows no consumers.
func histogram() subject {
	options := prometheus.HistogramOpts{Name: "http_request_duration_seconds"}
	kept := prometheus.NewHistogramVec(options, []string{"method", "endpoint", "status"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(kept)
	before := 0
	return subject{name: "prometheus histogram", call: func(i int) {
		request := &work[i%len(work)]
		status := strconv.Itoa(request.Status)
		kept.WithLabelValues(request.Method, request.Endpoint, status).Observe(request.Duration.Seconds())
	}, settle: func() int {
		families, err := registry.Gather()
		if err != nil {
			log.Fatal(err)
		}
		now := 0
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				now += int(metric.GetHistogram().GetSampleCount())
			}
		}
		defer func() { before = now }()
		return now - before
	}}
}
