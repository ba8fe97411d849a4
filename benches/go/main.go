// Measures the Go binding beside an empty cgo call, C strings and otelhttp: prints nanoseconds a call,
// in pairs (ours, theirs, theirs, ours), as JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

const (
	turns    = 30
	calls    = 5000
	requests = 2000
)

var request = malti.Request{
	Method: "GET", Endpoint: "/users/{user_id}", Status: 200, Duration: 12 * time.Microsecond, Consumer: "mobile-app",
}

func ours() { _ = malti.Record(request) }

func theirs() { withStrings(request.Method, request.Endpoint, request.Consumer) }

// took is the time of one call, and delivers afterwards what it recorded.
func took(count int, call func()) float64 {
	started := time.Now()
	for range count {
		call()
	}
	elapsed := time.Since(started)
	if err := malti.Flush(context.Background()); err != nil {
		log.Fatal(err)
	}
	return float64(elapsed.Nanoseconds()) / float64(count)
}

// pairs are the times of two, in turn.
func pairs(count int, a, b func()) (first, second []float64) {
	took(count, a)
	took(count, b)
	for range turns / 2 {
		first, second = append(first, took(count, a)), append(second, took(count, b))
		last := took(count, b)
		first, second = append(first, took(count, a)), append(second, last)
	}
	return first, second
}

// writer takes an answer and keeps nothing of it.
type writer struct{ header http.Header }

func (w writer) Header() http.Header            { return w.header }
func (w writer) Write(body []byte) (int, error) { return len(body), nil }
func (w writer) WriteHeader(int)                {}

func serve(handler http.Handler) func() {
	w := writer{http.Header{}}
	r := httptest.NewRequest("GET", "/users/7?x=1", nil)
	r.Header.Set("X-Consumer-Id", "mobile-app")
	return func() { handler.ServeHTTP(w, r) }
}

// exporter drops the spans: a batch costs what it costs up to there.
type exporter struct{}

func (exporter) ExportSpans(context.Context, []trace.ReadOnlySpan) error { return nil }
func (exporter) Shutdown(context.Context) error                          { return nil }

func main() {
	if err := malti.Init(malti.Config{ServiceName: "bench", BatchInterval: time.Hour}); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{user_id}", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) })
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter{}))
	other := otelhttp.NewHandler(mux, "bench", otelhttp.WithTracerProvider(provider))

	found := map[string][]float64{}
	found["record"], found["empty"] = pairs(calls, ours, empty)
	found["again"], found["strings"] = pairs(calls, ours, theirs)
	found["allocations"] = []float64{testing.AllocsPerRun(calls, ours)}
	bare := serve(mux)
	// Both above the same mux alone, measured beside each.
	a, without := pairs(requests, serve(malti.Middleware(mux)), bare)
	b, alone := pairs(requests, serve(other), bare)
	for i := range a {
		found["middleware"] = append(found["middleware"], a[i]-without[i])
		found["otelhttp"] = append(found["otelhttp"], b[i]-alone[i])
	}
	if err := malti.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if ledger := malti.Stats(); ledger.Sent != ledger.Recorded {
		log.Fatal("not all was delivered: ", ledger)
	}
	_ = json.NewEncoder(os.Stdout).Encode(found)
}
