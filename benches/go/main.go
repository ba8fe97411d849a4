// Measures the Go binding beside an empty cgo call and C strings, and its middleware beside others: prints
// nanoseconds a call as JSON, each list a turn.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
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

// compared are the times of several, in turn: there and back, so that whatever else the machine does
// meets all alike.
func compared(count int, all ...func()) [][]float64 {
	times := make([][]float64, len(all))
	for turn := range turns + 1 {
		for i := range all {
			if turn%2 == 1 {
				i = len(all) - 1 - i
			}
			// The first turn warms up.
			if time := took(count, all[i]); turn > 0 {
				times[i] = append(times[i], time)
			}
		}
	}
	return times
}

// exporter drops the spans: a batch costs what it costs up to there.
type exporter struct{}

func (exporter) ExportSpans(context.Context, []trace.ReadOnlySpan) error { return nil }
func (exporter) Shutdown(context.Context) error                          { return nil }

type found struct {
	Record, Empty, Strings []float64
	Allocations            float64
	Routers                []measured
}

// measured are the times of a request, by what is before the router.
type measured struct {
	Router string
	Times  map[string][]float64
}

func main() {
	if err := malti.Init(malti.Config{ServiceName: "bench", BatchInterval: time.Hour}); err != nil {
		log.Fatal(err)
	}
	times := compared(calls, ours, empty, theirs)
	found := found{times[0], times[1], times[2], testing.AllocsPerRun(calls, ours), nil}
	for _, router := range routers {
		var names []string
		var all []func()
		for name, serve := range router.subjects() {
			names, all = append(names, name), append(all, serve)
		}
		byName := map[string][]float64{}
		for i, times := range compared(requests, all...) {
			byName[names[i]] = times
		}
		found.Routers = append(found.Routers, measured{router.name, byName})
	}
	if err := malti.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if ledger := malti.Stats(); ledger.Sent != ledger.Recorded || ledger.Filtered > 0 {
		log.Fatal("not all was delivered: ", ledger)
	}
	_ = json.NewEncoder(os.Stdout).Encode(found)
}
