//go:build cgo

package malti_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

// patience is long enough for a slow machine; nothing waits that long where things go well.
const patience = time.Minute

const root = "../.."

// received is the URL of the receiver of all tests.
var received string

func TestMain(m *testing.M) {
	if way := os.Getenv("WAY"); way != "" {
		os.Exit(child(way))
	}
	// Settings of whoever runs the tests are none of theirs.
	program := os.Getenv("MALTI_RECEIVER")
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "MALTI_") {
			os.Unsetenv(name)
		}
	}
	if program == "" {
		program = filepath.Join(root, "target/release/malti")
	}
	receiverProgram = program
	url, stop, err := startReceiver("127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "the receiver did not start:", err)
		os.Exit(1)
	}
	received = url
	status := m.Run()
	stop()
	os.Exit(status)
}

var receiverProgram string

func startReceiver(address string) (url string, stop func(), err error) {
	command := exec.Command(receiverProgram, "receive", "--listen", address, "--json")
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		command.Process.Kill()
		command.Wait()
	}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	var ready struct{ URL string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		stop()
	}
	return ready.URL, stop, err
}

// receiver is the URL of one that lives as long as the test.
func receiver(t *testing.T, address string) string {
	t.Helper()
	var url string
	var stop func()
	// A port that was let go a moment ago may be that of some connection's own end meanwhile.
	until(t, func() string { return "no receiver listens on " + address }, func() (ok bool) {
		var err error
		url, stop, err = startReceiver(address)
		return err == nil
	})
	t.Cleanup(stop)
	return url
}

// record is a row of the receiver's, or a line of a file.
type record struct {
	ID               int
	Method, Endpoint string
	Status           int
	ResponseTime     int `json:"response_time"`
	Consumer         string
	Context          string
}

func (r record) String() string {
	text := fmt.Sprintf("%s %s %d %s", r.Method, r.Endpoint, r.Status, r.Consumer)
	if r.Context != "" {
		text += " " + r.Context
	}
	return text
}

// rows are a receiver's records after the one that has this number.
func rows(t *testing.T, url string, after int) []record {
	t.Helper()
	answer, err := http.Get(fmt.Sprintf("%s/api/records?after=%d", url, after))
	check(t, err)
	defer answer.Body.Close()
	var all struct{ Records []record }
	check(t, json.NewDecoder(answer.Body).Decode(&all))
	return all.Records
}

// last is the number of the last record of the receiver of all tests.
var lastSeen int

func last(t *testing.T) int {
	t.Helper()
	for _, r := range rows(t, received, lastSeen) {
		lastSeen = max(lastSeen, r.ID)
	}
	return lastSeen
}

// settings are those of a client of the receiver's.
func settings() malti.Config {
	return malti.Config{URL: received, APIKey: "key", ServiceName: "test", Node: "n1", Log: "error"}
}

// recording runs work with a client, and gives what the receiver got of it once count requests were
// recorded: a client has its answer before the server knows that.
func recording(t *testing.T, config malti.Config, count int, work func()) []record {
	t.Helper()
	before := last(t)
	check(t, malti.Init(config))
	defer malti.Shutdown(within(t, patience))
	work()
	until(t, func() string { return fmt.Sprint(malti.Stats()) }, func() bool {
		return int(malti.Stats().Recorded) >= count
	})
	check(t, malti.Shutdown(within(t, patience)))
	got := rows(t, received, before)
	if len(got) != count {
		t.Fatalf("expected %d records, got %v", count, got)
	}
	return got
}

// serving gives the URL of a server that lives as long as the test.
func serving(t *testing.T, handler http.Handler) *httptest.Server {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// ask gives the status of an answer that was read to its end.
func ask(t *testing.T, method, url string, headers ...string) int {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	check(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	check(t, err)
	defer answer.Body.Close()
	_, _ = bufio.NewReader(answer.Body).WriteTo(discard{})
	return answer.StatusCode
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// connect sends a request's head on a connection of its own.
func connect(t *testing.T, server *httptest.Server, target string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
	check(t, err)
	return conn
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func until(t *testing.T, what func() string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %s", what())
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Fatalf("expected %q, got %v", wanted, err)
	}
}

// same compares records in any order, each written as String does.
func same(t *testing.T, got []record, wanted ...string) {
	t.Helper()
	left := map[string]int{}
	for _, r := range got {
		left[r.String()]++
	}
	for _, text := range wanted {
		if left[text]--; left[text] < 0 {
			t.Errorf("no record %q among %v", text, got)
		}
	}
	for text, count := range left {
		if count > 0 {
			t.Errorf("a record %q that nothing asked for", text)
		}
	}
}
