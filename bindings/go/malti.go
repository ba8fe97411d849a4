// Package malti records the requests that a service answers, for Malti, in the background.
//
// [Init] starts the process-wide client, [Middleware] records what an [http.Handler] answers, and
// [Shutdown] delivers the rest:
//
//	if err := malti.Init(malti.Config{}); err != nil { // by MALTI_* variables
//		return err
//	}
//	server := &http.Server{Handler: malti.Middleware(mux)}
//	// …
//	defer malti.Shutdown(ctx)
//
// Telemetry never fails a request and never waits for the network: a record is copied into memory, by
// one cgo call. Every function may be called from any goroutine. The library is linked by
// cgo; with CGO_ENABLED=0 everything compiles and nothing is recorded ([ErrNoCgo]).
package malti

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// How often Flush looks: at first, and at most.
const (
	lookAtFirst = time.Millisecond
	lookAtMost  = 20 * time.Millisecond
)

// watch is what requests look at first.
type watch struct {
	recording bool
	// headers are the names that the rules read.
	headers []string
}

// watching is nil until somebody starts the client.
var watching atomic.Pointer[watch]

var life struct {
	sync.Mutex
	// owners is how many calls of Init are to be paired with one of Shutdown.
	owners int
	// automatic: one of them was the first request's.
	automatic bool
}

// Init starts the client: by config, then the environment, then the defaults. It does no network I/O, and
// returns at once, unless a [Shutdown] whose context was cancelled still delivers: then it waits for the
// end of that one's time. Another call with the same settings shares the client.
//
// Nil also where the settings switch it off, or hold no API key (which is logged): then nothing is
// recorded. [ErrInvalidValue], [ErrAlreadyInitialized], [ErrNoCgo], [ErrIncompatible]. Without Init
// the first request starts the client by the environment alone. Each call that returned nil is to be
// paired with one of [Shutdown].
func Init(config Config) error {
	life.Lock()
	defer life.Unlock()
	if err := start(&config); err != nil {
		return err
	}
	if life.automatic && life.owners > 1 {
		// The first request's share is the host's from now on.
		life.automatic = false
		life.owners--
		coreShutdown(0)
	}
	return nil
}

// start takes one share of the client. The lock is held.
func start(config *Config) error {
	lines.begin(config.Logger)
	status, message := coreInit(config.settings())
	switch status {
	case statusOK, statusAlreadyRunning:
		life.owners++
		watching.Store(&watch{recording: true, headers: headersRead()})
	case statusDisabled:
		watching.Store(&watch{})
	}
	err := explained(errorOf(status), message)
	if err != nil && life.owners == 0 {
		lines.end()
	} else {
		lines.pull()
	}
	return err
}

// begun says whether requests are recorded, and starts the client if nobody has.
func begun() *watch {
	if w := watching.Load(); w != nil {
		return w
	}
	return startByEnvironment()
}

func startByEnvironment() *watch {
	life.Lock()
	defer life.Unlock()
	if w := watching.Load(); w != nil {
		return w
	}
	err := start(&Config{})
	switch {
	case err == nil:
		life.automatic = life.owners > 0
	case errors.Is(err, ErrAlreadyInitialized):
		// Another part of the process, in C perhaps, came first: its client serves us too.
		watching.Store(&watch{recording: true, headers: headersRead()})
		lines.once("the client that runs is used as it is: " + err.Error())
	default:
		watching.Store(&watch{})
		if !errors.Is(err, ErrNoCgo) {
			lines.once("nothing is recorded: " + err.Error())
		}
	}
	return watching.Load()
}

// Flush waits until everything recorded before the call is delivered or counted, or ctx is done. It
// tries at once, also while the client pauses after a fault, and keeps no thread waiting.
//
// [ErrTimedOut] and ctx's own error: delivery goes on. [ErrRejected], [ErrNoThread]. Nothing is lost by
// any of them. Nil without a client.
func Flush(ctx context.Context) error {
	defer lines.pull()
	status, ticket := coreFlushBegin()
	if status != statusOK {
		return delivered(status)
	}
	wait := lookAtFirst
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if status := coreFlushDone(ticket); status != statusTimedOut {
			return delivered(status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrTimedOut, context.Cause(ctx))
		case <-timer.C:
			wait = min(2*wait, lookAtMost)
			timer.Reset(wait)
		}
	}
}

// delivered is nil also where there is no client to deliver anything.
func delivered(status int32) error {
	if status == statusNotRunning {
		return nil
	}
	return errorOf(status)
}

// Shutdown delivers what it can until ctx's deadline (without one, for ShutdownTimeout) and stops the
// client; the call that belongs to an earlier Init of several only flushes. It returns by the deadline,
// or when ctx is cancelled (delivery then uses what is left of its time), and gives up at once where the
// server refuses connections. Init may follow.
//
// [ErrTimedOut]: stopped all the same, but some records were not confirmed: they are counted, and one
// log line gives the ledger. Nil without a client. Call it after [http.Server.Shutdown] has returned.
func Shutdown(ctx context.Context) error {
	ms, isLast := release(ctx)
	if ms < 0 {
		return nil
	}
	done := make(chan int32, 1)
	go func() { done <- coreShutdown(uint32(ms)) }()
	var err error
	select {
	case status := <-done:
		err = delivered(status)
	case <-ctx.Done():
		// Its own time is up about now.
		select {
		case status := <-done:
			err = delivered(status)
		case <-time.After(lookAtMost):
			err = fmt.Errorf("%w: %w", ErrTimedOut, context.Cause(ctx))
		}
	}
	if isLast {
		lines.end()
	} else {
		lines.pull()
	}
	return err
}

// release gives one share back: how long its end may take, negative if there was none.
func release(ctx context.Context) (ms int64, isLast bool) {
	life.Lock()
	defer life.Unlock()
	if life.owners == 0 {
		return -1, false
	}
	life.owners--
	if isLast = life.owners == 0; isLast {
		life.automatic = false
		watching.Store(&watch{})
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(max(time.Until(deadline).Milliseconds(), 0), math.MaxInt32), isLast
	}
	seconds, _ := strconv.ParseFloat(coreSetting("shutdown_timeout"), 64)
	return int64(seconds * 1000), isLast
}

// Version is that of the library, such as "0.1.0"; "" without cgo.
func Version() string { return coreVersion() }
