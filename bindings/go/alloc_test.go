//go:build cgo && !race

package malti_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

func TestARecordAllocatesNothing(t *testing.T) {
	config := settings()
	config.URL = "file:/dev/null"
	check(t, malti.Init(config))
	defer malti.Shutdown(within(t, patience))
	request := get
	request.Context, request.Duration, request.Time = "plan=pro", time.Second, time.Now()
	if count := testing.AllocsPerRun(5000, func() { _ = malti.Record(request) }); count != 0 {
		t.Errorf("%v allocations a record", count)
	}
	if count := testing.AllocsPerRun(1000, func() { _ = malti.NormalizeRoute("go", "GET /users/{id}") }); count != 0 {
		t.Errorf("%v allocations a known route", count)
	}
	source := malti.Source{Method: "GET", Path: "/", Header: http.Header{}}
	ctx := t.Context()
	// The exchange itself, and the watch for a client that leaves.
	if count := testing.AllocsPerRun(1000, func() { malti.Begin(ctx, source).End(200, true, nil) }); count > 6 {
		t.Errorf("%v allocations a request", count)
	}
}

// server can what the writer of an HTTP/1 server can, and does nothing.
type server struct {
	ofServer
	http.Hijacker
	io.ReaderFrom
}

func (server) Write(body []byte) (int, error) { return len(body), nil }

func TestAllocatesLittleForARequest(t *testing.T) {
	config := settings()
	config.URL = "file:/dev/null"
	check(t, malti.Init(config))
	defer malti.Shutdown(within(t, patience))
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) })
	w, r := &server{}, httptest.NewRequest("GET", "/users/7", nil)
	count := func(handler http.Handler) float64 {
		return testing.AllocsPerRun(1000, func() {
			ctx, cancel := context.WithCancel(context.Background())
			handler.ServeHTTP(w, r.WithContext(ctx))
			cancel()
		})
	}
	// The exchange, its request and its writer, and the watch for a client that leaves.
	if more := count(malti.Middleware(bare)) - count(bare); more > 9 {
		t.Errorf("%v allocations a request", more)
	}
}
