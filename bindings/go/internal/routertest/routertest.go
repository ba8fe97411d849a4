// Package routertest asks the same of the middleware of every router, over real sockets.
package routertest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

// patience is long enough for a slow machine; nothing waits that long where things go well.
const patience = time.Minute

// Gate holds the handler of /stream between its two chunks.
var Gate = make(chan struct{})

// Later names the consumer from a goroutine of its own.
func Later(ctx context.Context, name string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		malti.SetConsumer(ctx, name)
	}()
	<-done
}

// Hijack takes the connection, and answers by hand.
func Hijack(w http.ResponseWriter) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprint(buffer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhijacked\n")
	buffer.Flush()
}

// Router is what is asked. Its routes, each in the router's own syntax, answer 200 unless said:
//
//	GET /users/{user_id}
//	GET /files/*            a catch-all
//	GET /api/v1/items/{item}  in nested groups, the inner one with the middleware too
//	GET /api/private        401 by a middleware of the group /api
//	GET /who                consumer "st", context "plan=pro"
//	GET /renamed            endpoint "/custom/{x}"
//	GET /later?name=…       [Later]
//	GET /boom               panics; a middleware outside answers 500
//	GET /conflict           409, by an error where the router has such
//	GET /stream             a chunk, flushed, [Gate], another
//	GET /hijack             [Hijack]
//	GET /left               returns when the request's context is done, and answers nothing
type Router struct {
	Handler http.Handler
	// Serve is for who has no handler.
	Serve func(net.Listener) error
	// Other are records that differ, by "METHOD target", and More those of more requests.
	Other, More map[string]string
	// Buffers: an answer is sent when the handlers are over, a client that left is not noticed, and
	// nothing is hijacked.
	Buffers bool
}

// Main is the TestMain of a router's tests.
func Main(m *testing.M) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "MALTI_") && name != "MALTI_RECEIVER" {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// Run asks all.
func (router *Router) Run(t *testing.T) {
	url := router.listen(t)
	file := filepath.Join(t.TempDir(), "records")
	check(t, malti.Init(malti.Config{
		URL: "file:" + file, ServiceName: "test", CleanMode: malti.Ptr(false), Log: "error",
	}))
	defer malti.Shutdown(context.Background())

	wanted := []string{}
	expect := func(method, target, record string) {
		t.Helper()
		if other, ok := router.Other[method+" "+target]; ok {
			record = other
		}
		if status := fmt.Sprint(ask(t, method, url+target)); status != strings.Fields(record)[2] {
			t.Errorf("%s %s was answered %s, not %s", method, target, status, record)
		}
		wanted = append(wanted, record)
	}
	expect("GET", "/users/7?x=1", "GET /users/{user_id} 200 anonymous")
	expect("GET", "/files/a/b.txt", "GET /files/{path} 200 anonymous")
	expect("GET", "/api/v1/items/3", "GET /api/v1/items/{item} 200 anonymous")
	expect("GET", "/api/private", "GET /api/private 401 anonymous")
	expect("GET", "/nowhere/7", "GET /nowhere/7 404 anonymous")
	expect("GET", "/api/v1/nowhere", "GET /api/v1/nowhere 404 anonymous")
	expect("DELETE", "/users/7", "DELETE /users/{user_id} 405 anonymous")
	expect("DELETE", "/api/v1/items/3", "DELETE /api/v1/items/{item} 405 anonymous")
	expect("GET", "/who", "GET /who 200 st plan=pro")
	expect("GET", "/renamed", "GET /custom/{x} 200 anonymous")
	expect("GET", "/boom", "GET /boom 500 anonymous")
	expect("GET", "/conflict", "GET /conflict 409 anonymous")
	for request, record := range router.More {
		method, target, _ := strings.Cut(request, " ")
		expect(method, target, record)
	}

	var all sync.WaitGroup
	for i := range 100 {
		wanted = append(wanted, fmt.Sprintf("GET /later 200 c%d", i))
		all.Go(func() {
			if answer, err := http.Get(fmt.Sprintf("%s/later?name=c%d", url, i)); err == nil {
				answer.Body.Close()
			}
		})
	}
	all.Wait()

	if !router.Buffers {
		wanted = append(wanted, stream(t, url), hijack(t, url), left(t, url))
	}
	until(t, func() bool { return int(malti.Stats().Recorded) >= len(wanted) })
	check(t, malti.Shutdown(context.Background()))
	counts := map[string]int{}
	for _, record := range records(t, file) {
		counts[record]++
	}
	for _, record := range wanted {
		counts[record]--
	}
	for record, more := range counts {
		if more != 0 {
			t.Errorf("%+d %s", more, record)
		}
	}
}

func (router *Router) listen(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	serve := router.Serve
	if serve == nil {
		server := &http.Server{Handler: router.Handler}
		t.Cleanup(func() { server.Close() })
		serve = server.Serve
	}
	go serve(listener)
	return "http://" + listener.Addr().String()
}

// stream: the first chunk comes while the handler still waits.
func stream(t *testing.T, url string) string {
	answer, err := http.Get(url + "/stream")
	check(t, err)
	defer answer.Body.Close()
	body := bufio.NewReader(answer.Body)
	line, err := body.ReadString('\n')
	check(t, err)
	Gate <- struct{}{}
	rest, err := io.ReadAll(body)
	check(t, err)
	if line != "one\n" || string(rest) != "two\n" {
		t.Errorf("streamed %q, %q", line, rest)
	}
	return "GET /stream 200 anonymous"
}

// hijack: what the handler writes is all that comes.
func hijack(t *testing.T, url string) string {
	conn := connect(t, url, "/hijack")
	defer conn.Close()
	text, err := io.ReadAll(conn)
	check(t, err)
	if !strings.HasPrefix(string(text), "HTTP/1.1 101 ") || !strings.HasSuffix(string(text), "\r\n\r\nhijacked\n") {
		t.Errorf("hijacked: %q", text)
	}
	return "GET /hijack 101 anonymous"
}

// left: the client goes before the answer.
func left(t *testing.T, url string) string {
	connect(t, url, "/left").Close()
	return "GET /left 499 anonymous"
}

// connect sends a request's head on a connection of its own.
func connect(t *testing.T, url, target string) net.Conn {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	check(t, err)
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
	check(t, err)
	return conn
}

func records(t *testing.T, file string) []string {
	text, err := os.ReadFile(file)
	check(t, err)
	var all []string
	for line := range strings.Lines(string(text)) {
		var r struct {
			Method, Endpoint, Consumer, Context string
			Status                              int
		}
		check(t, json.Unmarshal([]byte(line), &r))
		all = append(all, strings.TrimSpace(
			fmt.Sprintln(r.Method, r.Endpoint, r.Status, r.Consumer, r.Context)))
	}
	return all
}

func ask(t *testing.T, method, url string) int {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	check(t, err)
	answer, err := http.DefaultClient.Do(request)
	check(t, err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	check(t, err)
	return answer.StatusCode
}

// Example builds a program of bindings/go's examples, lets it print its records, asks it for paths, and
// ends it: what it printed must have each text.
func Example(t *testing.T, folder string, paths []string, wanted ...string) {
	program := filepath.Join(t.TempDir(), "example")
	if said, err := exec.Command("go", "build", "-o", program, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "ADDR=127.0.0.1:0", "MALTI_URL=stderr:", "MALTI_SERVICE_NAME=example")
	var records strings.Builder
	command.Stderr = &records
	output, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	defer command.Process.Kill()
	line, err := bufio.NewReader(output).ReadString('\n')
	check(t, err)
	_, address, _ := strings.Cut(strings.TrimSpace(line), "listening on ")
	for _, path := range paths {
		ask(t, "GET", "http://"+address+path)
	}
	check(t, command.Process.Signal(os.Interrupt))
	go io.Copy(io.Discard, output)
	if err := command.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &records)
	}
	for _, text := range wanted {
		if !strings.Contains(records.String(), text) {
			t.Errorf("no %q in\n%s", text, &records)
		}
	}
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %v", malti.Stats())
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
