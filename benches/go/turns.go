package main

import (
	"cmp"
	"log"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	recordTurns, recordCalls   = 60, 5000
	requestTurns, requestCalls = 30, 2000
	rounds                     = 15
	// segment is the calls between two deliveries: fewer than a buffer holds, so that none is dropped.
	segment = 20_000
)

var (
	threads   = []int{1, 2, 4, 8}
	permilles = []int{500, 990, 999}
)

// subject is one of those that are compared.
type subject struct {
	name string
	// call does its work once, and i chooses among what is prepared.
	call func(i int)
	// many does it so often, where it has a loop of its own.
	many func(count int)
	// settle has all that was kept leave, and gives how many that were; nil: it keeps nothing.
	settle func() int
}

func (s subject) calls(count int) {
	if s.many != nil {
		s.many(count)
		return
	}
	for i := range count {
		s.call(i)
	}
}

// settled: as many were kept as were given.
func (s subject) settled(given int) {
	if s.settle == nil {
		return
	}
	if kept := s.settle(); kept != given {
		log.Fatalf("%s kept %d of %d", s.name, kept, given)
	}
}

type times map[string][]float64

// compared are the times of a call by the clock, in turn: there and back, so that whatever else the machine
// does meets all alike; and whole is the CPU time of the process for a call, until all that it kept has left.
func compared(turns, calls int, all []subject) (clock, whole times) {
	clock, whole = times{}, times{}
	for turn := range turns + 1 {
		inTurn(turn, all, func(s subject) {
			spent, started := processNS(), time.Now()
			s.calls(calls)
			elapsed := time.Since(started)
			s.settled(calls)
			spent = processNS() - spent
			// The first turn warms up.
			if turn > 0 {
				clock[s.name] = append(clock[s.name], float64(elapsed.Nanoseconds())/float64(calls))
				whole[s.name] = append(whole[s.name], spent/float64(calls))
			}
		})
	}
	return clock, whole
}

func inTurn(turn int, all []subject, each func(subject)) {
	for i := range all {
		if turn%2 == 1 {
			i = len(all) - 1 - i
		}
		each(all[i])
	}
}

// single has the percentiles of one call by the clock, less what the clock takes.
func single(all []subject) map[string]map[int][]float64 {
	found := map[string]map[int][]float64{}
	took := make([]time.Duration, segment)
	for turn := range rounds + 1 {
		clock := percentiles(took, func(int) {})[permilles[0]]
		inTurn(turn, all, func(s subject) {
			one := percentiles(took, s.call)
			s.settled(segment)
			if turn > 0 {
				for permille, ns := range one {
					add(found, s.name, permille, ns-clock)
				}
			}
		})
	}
	return found
}

func percentiles(took []time.Duration, call func(int)) map[int]float64 {
	for i := range took {
		started := time.Now()
		call(i)
		took[i] = time.Since(started)
	}
	slices.SortFunc(took, cmp.Compare[time.Duration])
	found := map[int]float64{}
	for _, permille := range permilles {
		found[permille] = float64(took[len(took)/1000*permille].Nanoseconds())
	}
	return found
}

// atOnce has the CPU time of a call, by how many goroutines share a segment, each on a thread of its own and
// GOMAXPROCS as many.
func atOnce(all []subject) map[string]map[int][]float64 {
	found := map[string]map[int][]float64{}
	for turn := range rounds + 1 {
		for _, count := range threads {
			inTurn(turn, all, func(s subject) {
				spent := together(s, count)
				s.settled(segment + count)
				if turn > 0 {
					add(found, s.name, count, spent/segment)
				}
			})
		}
	}
	return found
}

func together(s subject, count int) float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(count))
	var ready, done sync.WaitGroup
	ready.Add(count)
	spent := make([]float64, count)
	for i := range count {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			// A thread's first call prepares others.
			s.call(i)
			ready.Done()
			ready.Wait()
			began := threadNS()
			s.calls(segment / count)
			spent[i] = threadNS() - began
		})
	}
	done.Wait()
	sum := 0.0
	for _, ns := range spent {
		sum += ns
	}
	return sum
}

func add(found map[string]map[int][]float64, name string, key int, figure float64) {
	if found[name] == nil {
		found[name] = map[int][]float64{}
	}
	found[name][key] = append(found[name][key], figure)
}
