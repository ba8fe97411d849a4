// What the Go binding costs. Figures are printed as JSON, in nanoseconds or bytes, each list a turn.
//
//   - `measure`: the binding beside other calls, and its middleware beside others
//   - `memory NAME`: heap of a record that waits
//   - `count NAME N`: N calls, for callgrind
//   - `serve BEFORE`: answers requests until standard input ends
package main

import (
	"context"
	"encoding/json"
	"log"
	"maps"
	"os"
	"runtime"
	"strconv"
	"testing"

	malti "github.com/libmalti/malti-go"
)

// The main goroutine is the first thread, which is the one that callgrind shows apart.
func init() { runtime.LockOSThread() }

type found struct {
	// Record has the times of a call, by what keeps it, and Threads its CPU times as well by how many record.
	Record  times
	Threads map[string]map[int][]float64
	// Single has the percentiles of one call, by permille.
	Single      map[string]map[int][]float64
	Allocations float64
	Routers     []measured
}

// measured are the times of a request, by what is before the router, and the CPU times of the whole process.
type measured struct {
	Router       string
	Times, Whole times
}

func main() {
	switch arguments := os.Args[1:]; {
	case len(arguments) == 1 && arguments[0] == "measure":
		measure()
	case len(arguments) == 2 && arguments[0] == "memory":
		memory(arguments[1])
	case len(arguments) == 3 && arguments[0] == "count":
		count(arguments[1], arguments[2])
	case len(arguments) == 2 && arguments[0] == "serve":
		listen(arguments[1])
	default:
		log.Fatal("usage: measure|memory NAME|count NAME N|serve BEFORE")
	}
}

func start() {
	if err := malti.Init(malti.Config{}); err != nil {
		log.Fatal(err)
	}
}

func measure() {
	start()
	keeping := recorders(spans(provider))
	// Apart: what OpenTelemetry and the collector of its garbage do later would meet others.
	record, _ := compared(recordTurns, recordCalls, pieces())
	varied, _ := compared(recordTurns, recordCalls, keeping)
	maps.Copy(record, varied)
	found := found{Record: record, Single: single(keeping), Threads: atOnce(keeping)}
	found.Allocations = testing.AllocsPerRun(recordCalls, func() { _ = malti.Record(request) })
	delivered()
	for _, router := range routers {
		clock, whole := compared(requestTurns, requestCalls, router.subjects())
		found.Routers = append(found.Routers, measured{router.name, clock, whole})
	}
	if err := malti.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	if ledger := malti.Stats(); ledger.Sent != ledger.Recorded || ledger.Filtered > 0 {
		log.Fatal("not all was delivered: ", ledger)
	}
	_ = json.NewEncoder(os.Stdout).Encode(found)
}

// memory fills the buffer of one subject, which nobody takes anything from.
func memory(name string) {
	start()
	subject := named(name, recorders(spans(hoarding())))
	// Whatever grows by doubling has done so.
	subject.calls(len(work))
	before := heap()
	subject.calls(segment - len(work))
	grown := heap() - before
	_ = json.NewEncoder(os.Stdout).Encode(float64(grown) / float64(segment-len(work)))
}

func count(name, number string) {
	calls, err := strconv.Atoi(number)
	if err != nil {
		log.Fatal(err)
	}
	start()
	subject := named(name, recorders(spans(provider)))
	subject.calls(calls)
	subject.settled(calls)
}

func named(name string, all []subject) subject {
	for _, subject := range all {
		if subject.name == name {
			return subject
		}
	}
	log.Fatal("there is no ", name)
	return subject{}
}
