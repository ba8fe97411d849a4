// What the Go binding costs. `measure` sets it beside other calls and its middleware beside others, and prints
// nanoseconds a call as JSON, each list a turn. `serve` answers requests until standard input ends.
package main

import (
	"context"
	"encoding/json"
	"iter"
	"log"
	"os"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

const (
	turns    = 30
	calls    = 5000
	requests = 2000
)

var request = malti.Request{
	Method: "GET", Endpoint: "/users/{user_id}", Status: 200, Duration: 12 * time.Microsecond, Consumer: "mobile-app",
}

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

func byName(count int, subjects iter.Seq2[string, func()]) map[string][]float64 {
	var names []string
	var all []func()
	for name, call := range subjects {
		names, all = append(names, name), append(all, call)
	}
	found := map[string][]float64{}
	for i, times := range compared(count, all...) {
		found[names[i]] = times
	}
	return found
}

type found struct {
	// Record has the times of a call, by what keeps it.
	Record      map[string][]float64
	Allocations float64
	Routers     []measured
}

// measured are the times of a request, by what is before the router.
type measured struct {
	Router string
	Times  map[string][]float64
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		listen(os.Args[2])
	} else {
		measure()
	}
}

func measure() {
	if err := malti.Init(malti.Config{ServiceName: "bench", BatchInterval: time.Hour}); err != nil {
		log.Fatal(err)
	}
	found := found{Record: byName(calls, recorders()), Allocations: testing.AllocsPerRun(calls, ours)}
	for _, router := range routers {
		found.Routers = append(found.Routers, measured{router.name, byName(requests, router.subjects())})
	}
	if err := malti.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if ledger := malti.Stats(); ledger.Sent != ledger.Recorded || ledger.Filtered > 0 {
		log.Fatal("not all was delivered: ", ledger)
	}
	_ = json.NewEncoder(os.Stdout).Encode(found)
}
