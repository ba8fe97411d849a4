//go:build cgo

package malti_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

var get = malti.Request{Method: "GET", Endpoint: "/users/{id}", Status: 200, Consumer: "alice"}

func TestVersion(t *testing.T) {
	manifest, err := os.ReadFile(filepath.Join(root, "Cargo.toml"))
	check(t, err)
	version := regexp.MustCompile(`(?m)^version = "(.*)"`).FindSubmatch(manifest)[1]
	if malti.Version() != string(version) {
		t.Errorf("%s, but Cargo.toml says %s", malti.Version(), version)
	}
}

func TestTheZeroConfigIsTheEnvironment(t *testing.T) {
	t.Setenv("MALTI_URL", received)
	t.Setenv("MALTI_API_KEY", "key")
	t.Setenv("MALTI_CLEAN_MODE", "false")
	got := recording(t, malti.Config{}, 1, func() {
		check(t, malti.Record(malti.Request{Method: "get", Status: 404}))
	})
	same(t, got, "GET / 404 anonymous")
	// What the program says comes before it.
	t.Setenv("MALTI_API_KEY", "no\nkey")
	config := settings()
	config.CleanMode = malti.Ptr(true)
	recording(t, config, 1, func() {
		check(t, malti.Record(malti.Request{Method: "get", Status: 404}))
		check(t, malti.Record(get))
	})
}

func TestDisabled(t *testing.T) {
	for name, config := range map[string]malti.Config{
		"switched off": {Enabled: malti.Ptr(false), APIKey: "key"},
		"no key":       {URL: received, Log: "off"},
	} {
		check(t, malti.Init(config))
		check(t, malti.Record(get))
		if ledger := malti.Stats(); ledger.State != "disabled" || ledger.Recorded != 0 {
			t.Errorf("%s: %+v", name, ledger)
		}
		check(t, malti.Flush(within(t, patience)))
		check(t, malti.Shutdown(within(t, patience)))
	}
}

func TestErrorsOfInit(t *testing.T) {
	config := settings()
	config.BatchSize = -5
	err := malti.Init(config)
	wants(t, err, malti.ErrInvalidValue)
	for _, word := range []string{"batch_size", "-5", "10000"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("no %q in %q", word, err)
		}
	}
	config = settings()
	config.Node = "a\x00b"
	wants(t, malti.Init(config), malti.ErrInvalidValue)
	config = settings()
	config.CAFile = filepath.Join(t.TempDir(), "none")
	wants(t, malti.Init(config), malti.ErrInvalidValue)

	check(t, malti.Init(settings()))
	config = settings()
	config.BatchInterval = 1500 * time.Millisecond
	err = malti.Init(config)
	wants(t, err, malti.ErrAlreadyInitialized)
	if !strings.Contains(err.Error(), "batch_interval") {
		t.Error(err)
	}
	check(t, malti.Shutdown(within(t, patience)))
	wants(t, malti.Record(get), malti.ErrNotRunning)
	check(t, malti.Flush(within(t, patience)))
	check(t, malti.Shutdown(within(t, patience)))
}

func TestErrorsOfRecord(t *testing.T) {
	check(t, malti.Init(settings()))
	defer malti.Shutdown(within(t, patience))
	for _, wrong := range []malti.Request{
		{Status: 200}, {Method: "GET"}, {Method: "GET", Status: 1000}, {Method: "GET", Status: -1},
		{Method: "GET", Status: 200 + 1<<32}, {Method: "GET", Status: math.MinInt},
		{Method: "GET", Status: 200, Time: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Method: "GET", Status: 200, Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		wants(t, malti.Record(wrong), malti.ErrInvalidArgument)
	}
	check(t, malti.Record(malti.Request{Method: "GET", Status: 200, Duration: -time.Second}))
	if ledger := malti.Stats(); ledger.Invalid != 8 || ledger.Recorded != 1 {
		t.Errorf("%+v", ledger)
	}
}

// Each owner gives one share back, and the last one stops the client.
func TestOwners(t *testing.T) {
	for range 2 {
		check(t, malti.Init(settings()))
	}
	check(t, malti.Shutdown(within(t, patience)))
	check(t, malti.Record(get))
	check(t, malti.Shutdown(within(t, patience)))
	wants(t, malti.Record(get), malti.ErrNotRunning)
	if ledger := malti.Stats(); ledger.Sent != 1 || ledger.State != "stopped" {
		t.Errorf("%+v", ledger)
	}
}

func TestFlush(t *testing.T) {
	check(t, malti.Init(settings()))
	defer malti.Shutdown(within(t, patience))
	check(t, malti.Record(get))
	check(t, malti.Flush(context.Background()))
	if ledger := malti.Stats(); ledger.Sent != 1 || ledger.Batches != 1 || ledger.LastHTTPStatus != 200 || ledger.LastSuccessUnixMilli == 0 {
		t.Errorf("%+v", ledger)
	}
}

// hanging is the address of a server that takes connections and never answers.
func hanging(t *testing.T) (address string, free func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	free = sync.OnceFunc(func() { listener.Close() })
	t.Cleanup(free)
	return listener.Addr().String(), free
}

// refusing is the address of nobody: the port is taken, so that nobody else gets it, but not listened on.
func refusing(t *testing.T) (address string, free func()) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(t, err)
	check(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(socket)
	check(t, err)
	free = sync.OnceFunc(func() { syscall.Close(socket) })
	t.Cleanup(free)
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), free
}

func nobody(t *testing.T) string {
	address, _ := refusing(t)
	return "http://" + address
}

func TestDeadlines(t *testing.T) {
	config := settings()
	address, _ := hanging(t)
	config.URL, config.Log = "http://"+address, "off"
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	const limit = 100 * time.Millisecond
	late := func(started time.Time) {
		t.Helper()
		// The library counts whole milliseconds.
		if took := time.Since(started); took < limit-5*time.Millisecond || took > limit+5*time.Second {
			t.Errorf("it took %v", took)
		}
	}
	started := time.Now()
	err := malti.Flush(within(t, limit))
	late(started)
	wants(t, err, malti.ErrTimedOut)
	wants(t, err, context.DeadlineExceeded)

	gone := fmt.Errorf("the caller is not interested any more")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gone)
	wants(t, malti.Flush(ctx), gone)

	started = time.Now()
	err = malti.Shutdown(within(t, limit))
	late(started)
	wants(t, err, malti.ErrTimedOut)
	if ledger := malti.Stats(); ledger.DroppedShutdown != 1 {
		t.Errorf("%+v", ledger)
	}

	// Without a deadline it is the setting's.
	config.ShutdownTimeout = malti.Ptr(limit)
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	started = time.Now()
	wants(t, malti.Shutdown(context.Background()), malti.ErrTimedOut)
	late(started)

	// A context that ends for another reason ends the wait, too.
	config.ShutdownTimeout = nil
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	ctx, stop := context.WithTimeoutCause(context.Background(), limit, gone)
	defer stop()
	ctx, cancel2 := context.WithCancel(withoutDeadline{ctx})
	defer cancel2()
	wants(t, malti.Shutdown(ctx), malti.ErrTimedOut)
}

type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

func TestShutdownGivesUpWhereItIsRefused(t *testing.T) {
	config := settings()
	config.URL, config.Log = nobody(t), "off"
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	started := time.Now()
	wants(t, malti.Shutdown(within(t, patience)), malti.ErrTimedOut)
	if took := time.Since(started); took > patience/4 {
		t.Errorf("it took %v", took)
	}
}

// Who cancels a Shutdown does not wait for it, but an Init that follows does: it begins with nothing of
// the old client's.
func TestAShutdownThatIsGivenUp(t *testing.T) {
	config := settings()
	address, _ := hanging(t)
	config.URL, config.Log, config.ShutdownTimeout = "http://"+address, "off", malti.Ptr(shortEnd)
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	started := time.Now()
	err := malti.Shutdown(ctx)
	took := time.Since(started)
	wants(t, err, malti.ErrTimedOut)
	wants(t, err, context.Canceled)
	wants(t, malti.Record(get), malti.ErrNotRunning)
	got := recording(t, settings(), 1, func() { check(t, malti.Record(get)) })
	if waited := time.Since(started); took >= shortEnd || waited < shortEnd {
		t.Errorf("Shutdown returned after %v, the next client ended after %v", took, waited)
	}
	same(t, got, "GET /users/{id} 200 alice")
	if ledger := malti.Stats(); ledger.Recorded != 1 || ledger.Sent != 1 {
		t.Errorf("%+v", ledger)
	}
}

func TestRejected(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"detail":"Invalid API key"}`, http.StatusUnauthorized)
	}))
	defer server.Close()
	config := settings()
	config.URL, config.Log = server.URL, "off"
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	wants(t, malti.Flush(within(t, patience)), malti.ErrRejected)
	if ledger := malti.Stats(); ledger.State != "misconfigured" || ledger.Buffered != 1 || ledger.LastError == "" {
		t.Errorf("%+v", ledger)
	}
	_ = malti.Shutdown(within(t, 0))
}

// lines takes what a logger says, from any goroutine.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestLogger(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	var said lines
	handler := slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})
	config := settings()
	config.URL, config.Log, config.Logger = nobody(t), "debug", slog.New(handler)
	config.MaxRetries = malti.Ptr(0)
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	// By the goroutine: nobody calls anything meanwhile.
	_ = malti.Flush(within(t, time.Millisecond))
	until(t, said.String, func() bool { return strings.Contains(said.String(), "level=WARN msg=\"cannot deliver") })
	_ = malti.Shutdown(within(t, patience))
	if text := said.String(); !strings.Contains(text, "not delivered before shutdown: 1") {
		t.Error(text)
	}
	goroutinesEnd(t, before)

	// A handler that fails does not end a request, and one that records does not stop anything.
	config.Logger = slog.New(&reckless{})
	check(t, malti.Init(config))
	check(t, malti.Record(get))
	_ = malti.Shutdown(within(t, patience))
	// Once told to keep its lines the library goes on with it: they come on standard error all the same.
	config.Logger, config.Log = nil, "off"
	check(t, malti.Init(config))
	_ = malti.Shutdown(within(t, 0))
}

// goroutinesEnd waits until there are no more than before.
func goroutinesEnd(t *testing.T, before int) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	until(t, func() string { return fmt.Sprint(runtime.NumGoroutine(), " goroutines") }, func() bool {
		return runtime.NumGoroutine() <= before
	})
}

type reckless struct{ slog.Handler }

func (*reckless) Enabled(context.Context, slog.Level) bool { return true }

func (*reckless) Handle(context.Context, slog.Record) error {
	_ = malti.Record(get)
	_ = malti.Stats()
	panic("a fault of the application's")
}

// The first request starts the client; a later Init takes its share over.
func TestTheFirstRequestStartsTheClient(t *testing.T) {
	if way := os.Getenv("ALONE"); way == "" {
		output, err := again(t, "TestTheFirstRequestStartsTheClient$", "ALONE=1", "MALTI_URL="+received, "MALTI_API_KEY=key").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	t.Setenv("MALTI_URL", received) // TestMain has taken it away
	t.Setenv("MALTI_API_KEY", "key")
	before := last(t)
	server := serving(t, malti.Middleware(http.HandlerFunc(ok)))
	ask(t, "GET", server.URL+"/first")
	check(t, malti.Init(malti.Config{}))
	check(t, malti.Record(get))
	check(t, malti.Shutdown(within(t, patience)))
	wants(t, malti.Record(get), malti.ErrNotRunning)
	ask(t, "GET", server.URL+"/after the end")
	same(t, rows(t, received, before), "GET /first 200 anonymous", "GET /users/{id} 200 alice")
}

func TestABadEnvironmentStopsNothing(t *testing.T) {
	if os.Getenv("ALONE") == "" {
		output, err := again(t, "TestABadEnvironmentStopsNothing$", "ALONE=1").CombinedOutput()
		if err != nil || strings.Count(string(output), "nothing is recorded") != 1 {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	t.Setenv("MALTI_API_KEY", "key")
	t.Setenv("MALTI_CA_FILE", "/nowhere")
	server := serving(t, malti.Middleware(http.HandlerFunc(ok)))
	for range 3 {
		if status := ask(t, "GET", server.URL); status != 200 {
			t.Error(status)
		}
	}
}

func TestCyclesLeaveNothingBehind(t *testing.T) {
	const cycles = 50
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	var said lines
	seen := last(t)
	for i := range cycles {
		config := settings()
		config.Logger = slog.New(slog.NewTextHandler(&said, nil))
		check(t, malti.Init(config))
		request := get
		request.Consumer = fmt.Sprint("cycle ", i)
		check(t, malti.Record(request))
		check(t, malti.Shutdown(within(t, patience)))
	}
	if got := len(rows(t, received, seen)); got != cycles {
		t.Errorf("%d records", got)
	}
	goroutinesEnd(t, before)
}

// Row 12 of the fault matrix: many goroutines and threads, and each record is accounted for.
func TestManyGoroutines(t *testing.T) {
	const goroutines, each = 200, 50
	config := settings()
	config.BatchSize, config.BufferSize = 100, 4000
	config.BatchInterval = 10 * time.Millisecond
	var delivered int
	before := last(t)
	check(t, malti.Init(config))
	var all sync.WaitGroup
	for g := range goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			if g%4 == 0 {
				// A thread of its own, which ends with it.
				runtime.LockOSThread()
			}
			for i := range each {
				request := get
				request.Consumer = fmt.Sprintf("%d-%d", g, i)
				if err := malti.Record(request); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					if ledger := malti.Stats(); side(ledger) != 0 {
						t.Errorf("its sides differ by %d: %+v", side(ledger), ledger)
					}
				}
			}
		}()
	}
	all.Wait()
	check(t, malti.Shutdown(within(t, patience)))
	ledger := malti.Stats()
	seen := map[string]bool{}
	for _, r := range rows(t, received, before) {
		delivered++
		if seen[r.Consumer] {
			t.Errorf("%s came twice", r.Consumer)
		}
		seen[r.Consumer] = true
	}
	if ledger.Recorded != goroutines*each || side(ledger) != 0 || uint64(delivered) != ledger.Sent {
		t.Errorf("%d delivered, %+v", delivered, ledger)
	}
	if lost := ledger.Recorded - ledger.Sent; lost != ledger.DroppedOverflow {
		t.Errorf("%d lost: %+v", lost, ledger)
	}
}

// Lives begin and end while others record, flush and look.
func TestEverythingAtOnce(t *testing.T) {
	const goroutines = 1000
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			switch i % 5 {
			case 0:
				if err := malti.Init(settings()); err != nil {
					t.Error(err)
				}
			case 1:
				// An owner that is not the last flushes, and is told so where the last one ends the client meanwhile.
				if err := malti.Shutdown(within(t, patience)); err != nil && !errors.Is(err, malti.ErrTimedOut) {
					t.Error(err)
				}
			case 2:
				if err := malti.Flush(within(t, patience)); err != nil {
					t.Error(err)
				}
			case 3:
				if ledger := malti.Stats(); side(ledger) != 0 {
					t.Errorf("%+v", ledger)
				}
			default:
				if err := malti.Record(get); err != nil && !errors.Is(err, malti.ErrNotRunning) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// A share for each Init that no Shutdown has given back.
	for range goroutines / 5 {
		check(t, malti.Shutdown(within(t, patience)))
	}
	wants(t, malti.Record(get), malti.ErrNotRunning)
	if ledger := malti.Stats(); ledger.State != "stopped" || ledger.Sent != ledger.Recorded {
		t.Errorf("%+v", ledger)
	}
}

// side is what the two sides of a ledger differ by: never anything but 0.
func side(l malti.Ledger) int64 {
	return int64(l.Recorded + l.Adopted - l.Sent - l.Buffered - l.InFlight - l.Spooled -
		l.DroppedOverflow - l.DroppedRejected - l.DroppedShutdown - l.DroppedExpired)
}

// A Ledger as JSON is what the library gives: every figure has its field.
func TestLedgerAsJSON(t *testing.T) {
	text, err := json.Marshal(malti.Stats())
	check(t, err)
	var fields map[string]any
	check(t, json.Unmarshal(text, &fields))
	source, err := os.ReadFile(filepath.Join(root, "include/malti.h"))
	check(t, err)
	body := regexp.MustCompile(`(?s)typedef struct \{(.*?)\} malti_stats;`).FindSubmatch(source)[1]
	names := regexp.MustCompile(`u?int\d+_t (\w+);`).FindAllSubmatch(body, -1)
	if len(names) < 20 {
		t.Fatalf("%d figures in the header", len(names))
	}
	for _, name := range names {
		if _, ok := fields[string(name[1])]; !ok {
			t.Errorf("no %s", name[1])
		}
		delete(fields, string(name[1]))
	}
	delete(fields, "last_error")
	if len(fields) > 0 {
		t.Errorf("besides there is %v", fields)
	}
}
