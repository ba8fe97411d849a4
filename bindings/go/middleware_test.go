//go:build cgo

package malti_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

func ok(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }

func TestPatternsInNormalForm(t *testing.T) {
	mux := http.NewServeMux()
	for _, pattern := range []string{
		"GET /users/{user_id}", "/files/{path...}", "/exact/{$}", "/tree/", "POST /items", "localhost/hosted/{x}",
	} {
		mux.HandleFunc(pattern, ok)
	}
	config := settings()
	config.CleanMode = malti.Ptr(false)
	server := serving(t, malti.Middleware(mux))
	got := recording(t, config, 9, func() {
		for _, line := range []string{
			"GET /users/7?x=1", "HEAD /users/7", "DELETE /users/7", "GET /files/a/b%20c.txt", "GET /exact/",
			"GET /tree/a/b", "POST /items", "GET /nope", "PUT /nope/<x>",
		} {
			method, target, _ := strings.Cut(line, " ")
			ask(t, method, server.URL+target)
		}
	})
	same(t, got,
		"GET /users/{user_id} 200 anonymous", "HEAD /users/{user_id} 200 anonymous",
		"DELETE /users/{user_id} 405 anonymous", "GET /files/{path} 200 anonymous", "GET /exact/ 200 anonymous",
		"GET /tree/ 200 anonymous", "POST /items 200 anonymous", "GET /nope 404 anonymous",
		"PUT /nope/{x} 404 anonymous")
}

func TestCleanModeLeavesOut(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/code/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.PathValue("code"), &code)
		w.WriteHeader(code)
	})
	server := serving(t, malti.Middleware(mux))
	got := recording(t, settings(), 1, func() {
		for _, target := range []string{"/nope", "/code/401", "/code/404", "/code/403"} {
			ask(t, "GET", server.URL+target)
		}
	})
	same(t, got, "GET /code/{code} 403 anonymous")
	if filtered := malti.Stats().Filtered; filtered != 3 {
		t.Errorf("filtered %d", filtered)
	}
}

func TestMountedMuxes(t *testing.T) {
	orders := http.NewServeMux()
	orders.HandleFunc("GET /orders/{order_id}", ok)
	deep := http.NewServeMux()
	deep.Handle("/{shop}/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/"+r.PathValue("shop"), malti.Middleware(orders)).ServeHTTP(w, r)
	}))
	api := http.NewServeMux()
	api.HandleFunc("GET /api/v1/things/{id}", ok)
	mux := http.NewServeMux()
	mux.Handle("/tenants/{tenant}/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/tenants/"+r.PathValue("tenant"), malti.Middleware(orders)).ServeHTTP(w, r)
	}))
	mux.Handle("/deep/", http.StripPrefix("/deep", malti.Middleware(deep)))
	mux.Handle("/api/", malti.Middleware(api))
	mux.Handle("/raw/", http.StripPrefix("/raw", orders))
	constant := http.StripPrefix("/v2", malti.Middleware(orders))
	server := serving(t, malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			constant.ServeHTTP(w, r)
			return
		}
		// As an authentication does: the mux never sees the request that came.
		copied := r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, nil))
		malti.Middleware(mux).ServeHTTP(w, copied)
	})))
	got := recording(t, settings(), 6, func() {
		ask(t, "GET", server.URL+"/tenants/acme/orders/9")
		ask(t, "POST", server.URL+"/tenants/acme/orders/9")
		ask(t, "GET", server.URL+"/deep/shop-1/orders/9")
		ask(t, "GET", server.URL+"/api/v1/things/3")
		ask(t, "GET", server.URL+"/raw/orders/9")
		ask(t, "GET", server.URL+"/v2/orders/9")
	})
	same(t, got,
		"GET /tenants/{tenant}/orders/{order_id} 200 anonymous",
		"POST /tenants/{tenant}/orders/{order_id} 405 anonymous",
		"GET /deep/{shop}/orders/{order_id} 200 anonymous", "GET /api/v1/things/{id} 200 anonymous",
		// Nothing tells what a mux without the middleware has matched in its copy.
		"GET /raw/ 200 anonymous", "GET /v2/orders/{order_id} 200 anonymous")
}

func TestOptions(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", ok)
	named := malti.NewMiddleware(malti.WithEndpoint(func(r *http.Request) string {
		switch {
		case strings.HasPrefix(r.URL.Path, "/users/"):
			return "/users/{id}"
		case r.URL.Path == "/fault":
			panic("a fault of the application's")
		}
		return ""
	}))
	routed := malti.NewMiddleware(malti.WithRoute("chi", func(r *http.Request) string { return "/n/{n:[0-9]+}" }))
	both := http.NewServeMux()
	both.Handle("/named/", http.StripPrefix("/named", named(mux)))
	both.Handle("/routed/", routed(mux))
	server := serving(t, both)
	config := settings()
	config.Log = "off"
	got := recording(t, config, 4, func() {
		for _, target := range []string{"/named/users/7", "/named/else", "/named/fault", "/routed/7"} {
			if status := ask(t, "GET", server.URL+target); status != 200 {
				t.Errorf("%s: %d", target, status)
			}
		}
	})
	same(t, got, "GET /users/{id} 200 anonymous", "GET / 200 anonymous", "GET /fault 200 anonymous",
		"GET /n/{n} 200 anonymous")
}

func TestWhatTheApplicationSays(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), " st ")
		malti.SetContext(r.Context(), "plan=pro")
	})
	mux.HandleFunc("/who-null", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), "taken back")
		malti.SetConsumer(r.Context(), "")
		// Of the request as it came, whatever becomes of it.
		r.Header.Set("X-Consumer-Id", "forged")
	})
	mux.HandleFunc("/renamed", func(w http.ResponseWriter, r *http.Request) {
		malti.SetEndpoint(r.Context(), "/custom/{x}")
	})
	server := serving(t, malti.Middleware(mux))
	config := settings()
	config.ContextHeaders = []string{"x-request-id"}
	got := recording(t, config, 8, func() {
		ask(t, "GET", server.URL+"/who?consumer_id=q", "X-Consumer-Id", "hdr", "X-Request-Id", "r1")
		ask(t, "GET", server.URL+"/who-null", "X-Consumer-Id", "hdr", "X-Request-Id", "r2")
		ask(t, "GET", server.URL+"/renamed", "X-Consumer-Id", "", "X-User-Id", "u1")
		ask(t, "GET", server.URL+"/renamed?consumer_id=a%20b+c")
		ask(t, "GET", server.URL+"/renamed?user_id=%E2%98%83")
		ask(t, "GET", server.URL+"/renamed", "X-Consumer-Id", "Zo\xc3\xab")
		ask(t, "GET", server.URL+"/renamed", "X-Consumer-Id", "Zo\xeb")
		ask(t, "GET", server.URL+"/renamed", "X-User-Id", "first", "X-User-Id", "second")
	})
	same(t, got, "GET /who 200 st plan=pro", "GET /who-null 200 hdr r2", "GET /custom/{x} 200 u1",
		"GET /custom/{x} 200 a b c", "GET /custom/{x} 200 ☃", "GET /custom/{x} 200 Zoë", "GET /custom/{x} 200 Zoë",
		"GET /custom/{x} 200 first")
	// Outside a request nothing happens.
	malti.SetConsumer(context.Background(), "x")
	malti.SetContext(context.Background(), "x")
	malti.SetEndpoint(context.Background(), "x")
	malti.SetRoute(context.Background(), "go", "x")
}

func TestAddresses(t *testing.T) {
	server := serving(t, malti.Middleware(http.HandlerFunc(ok)))
	config := settings()
	config.UseIPAsConsumer = malti.Ptr(true)
	config.TrustedProxies = []string{"127.0.0.0/8", "10.0.0.1"}
	config.ConsumerHeaders = []string{"host-of-nobody"}
	got := recording(t, config, 2, func() {
		ask(t, "GET", server.URL+"/a", "X-Forwarded-For", "192.0.2.1, 192.0.2.7", "X-Forwarded-For", "10.0.0.1")
		ask(t, "GET", server.URL+"/b")
	})
	same(t, got, "GET /a 200 192.0.2.7", "GET /b 200 127.0.0.1")
	config = settings()
	config.ConsumerHeaders = []string{"host"}
	got = recording(t, config, 1, func() { ask(t, "GET", server.URL+"/a") })
	same(t, got, "GET /a 200 "+server.Listener.Addr().String())
}

func TestInterleavedRequestsKeepTheirOwn(t *testing.T) {
	const many = 100
	var all sync.WaitGroup
	all.Add(many)
	server := serving(t, malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all.Done()
		all.Wait() // every one is under way
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			malti.SetConsumer(ctx, r.URL.Query().Get("name"))
		}()
		<-done
	})))
	got := recording(t, settings(), many, func() {
		var clients sync.WaitGroup
		for i := range many {
			clients.Add(1)
			go func() {
				defer clients.Done()
				answer, err := http.Get(fmt.Sprintf("%s/later?name=n%d", server.URL, i))
				if err == nil {
					answer.Body.Close()
				}
			}()
		}
		clients.Wait()
	})
	names := make([]string, many)
	for i := range names {
		names[i] = fmt.Sprintf("GET /later 200 n%d", i)
	}
	same(t, got, names...)
}

func TestPanicsGoOn(t *testing.T) {
	fault := fmt.Errorf("boom")
	mux := http.NewServeMux()
	mux.HandleFunc("/boom", func(http.ResponseWriter, *http.Request) { panic(fault) })
	mux.HandleFunc("/boom-late", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "chunk")
		panic(fault)
	})
	seen := make(chan any, 4)
	server := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			seen <- recover()
			if r.URL.Path == "/boom" {
				http.Error(w, "as the application's own handler says", 500)
			}
		}()
		malti.Middleware(mux).ServeHTTP(w, r)
	}))
	got := recording(t, settings(), 2, func() {
		if status := ask(t, "GET", server.URL+"/boom"); status != 500 {
			t.Errorf("status %d", status)
		}
		ask(t, "GET", server.URL+"/boom-late")
	})
	same(t, got, "GET /boom 500 anonymous", "GET /boom-late 500 anonymous")
	for range 2 {
		if value := <-seen; value != any(fault) {
			t.Errorf("another panic arrived: %v", value)
		}
	}
}

// Whatever a handler panics with is recorded, and ends the request as it would without the middleware.
func TestKindsOfPanics(t *testing.T) {
	var nobody *http.Request
	kinds := map[string]func(http.ResponseWriter){
		"/nil":          func(http.ResponseWriter) { panic(nil) },
		"/runtime":      func(http.ResponseWriter) { _ = nobody.URL },
		"/incomparable": func(http.ResponseWriter) { panic([]int{1}) },
		"/wrapped":      func(http.ResponseWriter) { panic(fmt.Errorf("x: %w", http.ErrAbortHandler)) },
		"/status":       func(w http.ResponseWriter) { w.WriteHeader(99) },
	}
	var said lines
	server := httptest.NewUnstartedServer(malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kinds[r.URL.Path](w)
	})))
	server.Config.ErrorLog = log.New(&said, "", 0)
	server.Start()
	defer server.Close()
	var wanted []string
	got := recording(t, settings(), len(kinds), func() {
		for target := range kinds {
			wanted = append(wanted, "GET "+target+" 500 anonymous")
			answer, err := http.ReadResponse(bufio.NewReader(connect(t, server, target)), nil)
			if err == nil {
				t.Errorf("%s was answered %s", target, answer.Status)
			}
		}
	})
	same(t, got, wanted...)
	// The server's log says where, as ever.
	if text := said.String(); strings.Count(text, "http: panic serving") != len(kinds) || !strings.Contains(text, "TestKindsOfPanics") {
		t.Error(text)
	}
}

func TestHandlersThatBreakOff(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/before", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/after", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	server := httptest.NewUnstartedServer(malti.Middleware(mux))
	var said strings.Builder
	server.Config.ErrorLog = log.New(&said, "", 0)
	server.Start()
	got := recording(t, settings(), 2, func() {
		for _, target := range []string{"/before", "/after"} {
			conn := connect(t, server, target)
			_, err := io.ReadAll(conn)
			check(t, err)
		}
	})
	server.Close()
	same(t, got, "GET /before 499 anonymous", "GET /after 202 anonymous")
	if said.Len() > 0 {
		t.Errorf("the server got another panic than it keeps quiet about: %s", said.String())
	}
}

func TestClientsThatLeave(t *testing.T) {
	arrived := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	mux.HandleFunc("/ignorant", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		fmt.Fprint(w, "too late")
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		http.NewResponseController(w).Flush()
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	server := serving(t, malti.Middleware(mux))
	got := recording(t, settings(), 3, func() {
		for _, target := range []string{"/slow", "/ignorant", "/stream"} {
			conn := connect(t, server, target)
			<-arrived
			time.Sleep(20 * time.Millisecond)
			conn.Close()
		}
	})
	same(t, got, "GET /slow 499 anonymous", "GET /ignorant 499 anonymous", "GET /stream 202 anonymous")
	for _, r := range got {
		if r.ResponseTime < 20 {
			t.Errorf("%v left after %d ms", r, r.ResponseTime)
		}
	}
}

func TestTheTimeIsThatOfTheLeaving(t *testing.T) {
	left := make(chan struct{})
	server := serving(t, malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		left <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
		<-left
	})))
	const stays = time.Second
	started := time.Now()
	var whole time.Duration
	got := recording(t, settings(), 1, func() {
		conn := connect(t, server, "/")
		<-left
		conn.Close()
		<-left
		time.Sleep(stays)
		whole = time.Since(started)
		close(left)
	})
	if took := time.Duration(got[0].ResponseTime) * time.Millisecond; took > whole-stays/2 {
		t.Errorf("%v of %v", took, whole)
	}
}

func TestStreamsAreTimedToTheirEnd(t *testing.T) {
	read := make(chan struct{})
	server := serving(t, malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-read
		fmt.Fprint(w, "data: 2\n\n")
	})))
	got := recording(t, settings(), 1, func() {
		answer, err := http.Get(server.URL + "/events")
		check(t, err)
		defer answer.Body.Close()
		events := bufio.NewReader(answer.Body)
		_, err = events.ReadString('\n')
		check(t, err)
		time.Sleep(150 * time.Millisecond)
		close(read)
		_, err = io.Copy(io.Discard, events)
		check(t, err)
	})
	same(t, got, "GET /events 200 anonymous")
	if got[0].ResponseTime < 150 {
		t.Errorf("%d ms", got[0].ResponseTime)
	}
}

func TestTheWriterKeepsItsAbilities(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, make([]byte, 1<<20), 0o600))
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(io.ReaderFrom); !ok {
			t.Error("no ReaderFrom: files can't be sent by sendfile")
		}
		http.ServeFile(w, r, file)
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		check(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)))
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot) // too late
		_, err := io.WriteString(w, "created")
		check(t, err)
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		check(t, err)
		defer conn.Close()
		fmt.Fprint(buffer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		buffer.Flush()
		line, _ := buffer.ReadString('\n')
		fmt.Fprint(conn, line)
	})
	mux.HandleFunc("/late-hijack", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		conn, _, err := w.(http.Hijacker).Hijack()
		check(t, err)
		conn.Close()
	})
	mux.HandleFunc("/none", func(http.ResponseWriter, *http.Request) {})
	quiet := httptest.NewUnstartedServer(malti.Middleware(mux))
	quiet.Config.ErrorLog = log.New(io.Discard, "", 0)
	quiet.Start()
	defer quiet.Close()
	got := recording(t, settings(), 5, func() {
		hints := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil }}
		request, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", quiet.URL+"/hints", nil)
		answer, err := http.DefaultClient.Do(request)
		check(t, err)
		answer.Body.Close()
		if hints != 1 || answer.StatusCode != http.StatusCreated {
			t.Errorf("%d hints, status %d", hints, answer.StatusCode)
		}
		ask(t, "GET", quiet.URL+"/file")
		ask(t, "GET", quiet.URL+"/none")
		conn := connect(t, quiet, "/hijack")
		fmt.Fprint(conn, "echo\n")
		text, err := io.ReadAll(conn)
		check(t, err)
		if !strings.HasSuffix(string(text), "\r\n\r\necho\n") {
			t.Errorf("%q", text)
		}
		_, err = io.ReadAll(connect(t, quiet, "/late-hijack"))
		check(t, err)
	})
	same(t, got, "GET /hints 201 anonymous", "GET /file 200 anonymous", "GET /none 200 anonymous",
		"GET /hijack 101 anonymous", "GET /late-hijack 202 anonymous")
}

// What a writer may be able to do.
var abilities = map[string]func(http.ResponseWriter) bool{
	"Flush":       can[http.Flusher],
	"FlushError":  can[interface{ FlushError() error }],
	"CloseNotify": can[interface{ CloseNotify() <-chan bool }],
	"Hijack":      can[http.Hijacker],
	"ReadFrom":    can[io.ReaderFrom],
	"deadlines": can[interface {
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
	}],
	"EnableFullDuplex": can[interface{ EnableFullDuplex() error }],
	"Push":             can[http.Pusher],
	"WriteString":      can[io.StringWriter],
}

func can[T any](w http.ResponseWriter) bool {
	_, ok := w.(T)
	return ok
}

// ofServer is what both of net/http's server's writers can do.
type ofServer interface {
	http.ResponseWriter
	http.Flusher
	io.StringWriter
	FlushError() error
	CloseNotify() <-chan bool
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

// Handlers ask a writer what it can do: the one that they get can what the one outside can, and no more.
func TestTheWriterHasTheSameAbilities(t *testing.T) {
	compared := func(wanted ...string) http.Handler {
		return http.HandlerFunc(func(outer http.ResponseWriter, r *http.Request) {
			for _, name := range wanted {
				if ability := abilities[name]; ability == nil || !ability(outer) {
					t.Errorf("%T lacks %s", outer, name)
				}
			}
			malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if w == outer {
					t.Error("it is not watched")
				}
				for name, ability := range abilities {
					if ability(w) != ability(outer) {
						t.Errorf("%s: %T %v, %T %v", name, outer, ability(outer), w, ability(w))
					}
				}
				if inner := w.(interface{ Unwrap() http.ResponseWriter }).Unwrap(); inner != outer {
					t.Errorf("inside %T there is %T", w, inner)
				}
			})).ServeHTTP(outer, r)
		})
	}
	first := serving(t, compared("Hijack", "ReadFrom"))
	second := httptest.NewUnstartedServer(compared("Push"))
	second.EnableHTTP2 = true
	second.StartTLS()
	defer second.Close()
	others := []http.ResponseWriter{
		httptest.NewRecorder(),
		&struct{ http.ResponseWriter }{},
		&struct{ ofServer }{},
		&struct {
			ofServer
			http.Hijacker
		}{},
		&struct {
			ofServer
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{},
		&struct {
			ofServer
			io.ReaderFrom
			http.Pusher
		}{},
	}
	recording(t, settings(), 2+len(others), func() {
		ask(t, "GET", first.URL)
		answer, err := second.Client().Get(second.URL)
		check(t, err)
		answer.Body.Close()
		for _, w := range others {
			compared().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		}
	})
}

// Whichever way an answer begins, it is 200.
func TestEveryWayToBegin(t *testing.T) {
	ways := map[string]func(http.ResponseWriter) error{
		"/write":  func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"/string": func(w http.ResponseWriter) error { _, err := w.(io.StringWriter).WriteString("x"); return err },
		"/flush":  func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"/error":  func(w http.ResponseWriter) error { return w.(interface{ FlushError() error }).FlushError() },
		"/read": func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
			return err
		},
	}
	handler := malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(t, ways[r.URL.Path](w))
		// Too late: the head has left, or is as it was when the handler began to write.
		w.WriteHeader(http.StatusTeapot)
	}))
	first := httptest.NewUnstartedServer(handler)
	second := httptest.NewUnstartedServer(handler)
	second.EnableHTTP2 = true
	for _, server := range []*httptest.Server{first, second} {
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
	}
	first.Start()
	defer first.Close()
	second.StartTLS()
	defer second.Close()
	var wanted []string
	got := recording(t, settings(), 2*len(ways)-1, func() {
		for _, server := range []*httptest.Server{first, second} {
			for target := range ways {
				if server == second && target == "/read" {
					continue
				}
				wanted = append(wanted, "GET "+target+" 200 anonymous")
				answer, err := server.Client().Get(server.URL + target)
				check(t, err)
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", target, answer.Status)
				}
			}
		}
	})
	same(t, got, wanted...)
}

// What a ResponseController does reaches the connection: an answer flows while the request still comes.
func TestBothWaysAtOnce(t *testing.T) {
	server := serving(t, malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		if err := errors.Join(controller.EnableFullDuplex(), controller.SetReadDeadline(time.Now().Add(patience))); err != nil {
			t.Error(err)
			return
		}
		for body := bufio.NewScanner(r.Body); body.Scan(); {
			fmt.Fprintln(w, body.Text())
			_ = controller.Flush()
		}
	})))
	got := recording(t, settings(), 1, func() {
		body, writer := io.Pipe()
		request, _ := http.NewRequest("POST", server.URL+"/echo", body)
		go fmt.Fprintln(writer, "0")
		answer, err := http.DefaultClient.Do(request)
		check(t, err)
		defer answer.Body.Close()
		echo := bufio.NewReader(answer.Body)
		for i := range 3 {
			if line, err := echo.ReadString('\n'); line != fmt.Sprintln(i) {
				t.Fatalf("%q %v", line, err)
			}
			fmt.Fprintln(writer, i+1)
		}
		writer.Close()
		_, err = io.Copy(io.Discard, echo)
		check(t, err)
	})
	same(t, got, "POST /echo 200 anonymous")
}

func TestConnect(t *testing.T) {
	server := serving(t, malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
	})))
	got := recording(t, settings(), 1, func() {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		check(t, err)
		defer conn.Close()
		fmt.Fprint(conn, "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		check(t, err)
		answer.Body.Close()
	})
	// There is no path.
	same(t, got, "CONNECT / 200 anonymous")
}

func TestHTTP2(t *testing.T) {
	arrived := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("HTTP/%d", r.ProtoMajor)
		}
		if _, ok := w.(http.Pusher); !ok {
			t.Error("no Pusher")
		}
		w.(http.Flusher).Flush()
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	server := httptest.NewUnstartedServer(malti.Middleware(mux))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS12
	got := recording(t, settings(), 2, func() {
		answer, err := client.Get(server.URL + "/users/7")
		check(t, err)
		answer.Body.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		request, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/slow", nil)
		_, err = client.Do(request)
		wants(t, err, context.Canceled)
	})
	same(t, got, "GET /users/{id} 200 anonymous", "GET /slow 499 anonymous")
}

// A handler that is given up goes on in its goroutine, and may still say something.
func TestTimeoutHandler(t *testing.T) {
	late := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow/{id}", func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		malti.SetConsumer(r.Context(), "late")
		fmt.Fprint(w, "late")
		close(late)
	})
	mux.HandleFunc("/quick/{id}", ok)
	limited := func(limit time.Duration) http.Handler {
		return malti.Middleware(http.TimeoutHandler(malti.Middleware(mux), limit, "too slow"))
	}
	impatient, patient := serving(t, limited(20*time.Millisecond)), serving(t, limited(patience))
	got := recording(t, settings(), 2, func() {
		ask(t, "GET", impatient.URL+"/slow/1")
		<-late
		ask(t, "GET", patient.URL+"/quick/1")
	})
	for _, r := range got {
		if (r.Status == 503) == (r.Endpoint == "/quick/{id}") {
			t.Error(r)
		}
	}
}

// What stands around the middleware finds in its request what net/http leaves there.
func TestTheRequestOutside(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload/{id}", func(w http.ResponseWriter, r *http.Request) {
		check(t, r.ParseMultipartForm(1))
	})
	var pattern string
	var form *multipart.Form
	server := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		malti.Middleware(mux).ServeHTTP(w, r)
		pattern, form = r.Pattern, r.MultipartForm
	}))
	recording(t, settings(), 1, func() {
		var body strings.Builder
		writer := multipart.NewWriter(&body)
		part, _ := writer.CreateFormFile("f", "f")
		part.Write(make([]byte, 1<<16))
		writer.Close()
		answer, err := http.Post(server.URL+"/upload/1", writer.FormDataContentType(), strings.NewReader(body.String()))
		check(t, err)
		answer.Body.Close()
	})
	if pattern != "POST /upload/{id}" || form == nil {
		t.Errorf("%q %v", pattern, form)
	}
}

// An adapter of a router that has nothing of net/http.
func TestExchangesByHand(t *testing.T) {
	source := malti.Source{
		Method: "GET", Path: "/a/7", Query: "consumer_id=q", Peer: "192.0.2.1",
		Header: http.Header{"X-User-Id": {"u"}},
	}
	got := recording(t, settings(), 4, func() {
		ctx, cancel := context.WithCancel(t.Context())
		e := malti.Begin(ctx, source)
		if malti.Begin(e, source) != nil {
			t.Error("it is followed twice")
		}
		malti.SetRoute(e, "fiber", "/a/:id<int>")
		malti.SetRoute(e, "fiber", "/outer")
		e.End(201, true, nil)
		e.End(500, true, nil)
		malti.SetConsumer(e, "too late")
		e = malti.Begin(ctx, source)
		e.End(200, true, "a panic")
		e = malti.Begin(ctx, source)
		cancel()
		e.End(200, false, nil)
		deadline, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		malti.Begin(deadline, source).End(504, false, nil)
	})
	same(t, got, "GET /a/{id} 201 u", "GET /a/7 500 u", "GET /a/7 499 u", "GET /a/7 504 u")
	var none *malti.Exchange
	none.Route("go", "/")
	none.End(200, true, nil)
	if e := malti.Begin(t.Context(), source); e != nil {
		t.Error("there is an exchange without a client")
	}
}
