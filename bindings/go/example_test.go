//go:build cgo

package malti_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	malti "github.com/libmalti/malti-go"
)

// start is for the examples below: a service has the server's URL and its key here, or in
// MALTI_URL and MALTI_API_KEY.
func start() {
	if err := malti.Init(malti.Config{URL: "file:/dev/null", ServiceName: "shop"}); err != nil {
		fmt.Println(err)
	}
}

func Example() {
	err := malti.Init(malti.Config{
		ServiceName: "shop",
		URL:         "file:/dev/null", // else https://malti.example.org, with APIKey
		CleanMode:   malti.Ptr(false),
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "user ", r.PathValue("id"))
	})
	server := httptest.NewServer(malti.Middleware(mux))
	for _, path := range []string{"/users/1", "/users/2", "/nowhere"} {
		if answer, err := http.Get(server.URL + path); err == nil {
			answer.Body.Close()
		}
	}
	server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := malti.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println("sent", malti.Stats().Sent)
	// Output: sent 3
}

func ExampleInit() {
	err := malti.Init(malti.Config{BatchSize: 100_000})
	fmt.Println(errors.Is(err, malti.ErrInvalidValue))
	// Output: true
}

func ExampleRecord() {
	start()
	defer malti.Shutdown(context.Background())
	err := malti.Record(malti.Request{
		Method:   "GET",
		Endpoint: "/users/{id}",
		Status:   200,
		Duration: 12 * time.Millisecond,
		Consumer: "alice",
	})
	fmt.Println(err, malti.Stats().Recorded)
	// Output: <nil> 1
}

func ExampleFlush() {
	start()
	defer malti.Shutdown(context.Background())
	_ = malti.Record(malti.Request{Method: "GET", Endpoint: "/", Status: 200})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	switch err := malti.Flush(ctx); {
	case errors.Is(err, malti.ErrTimedOut):
		fmt.Println("the server is slow or away; delivery goes on")
	case errors.Is(err, malti.ErrRejected):
		fmt.Println("the server refuses the key, the service or the address")
	case err == nil:
		fmt.Println("delivered")
	}
	// Output: delivered
}

func ExampleSetConsumer() {
	handler := malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, _, ok := r.BasicAuth(); ok {
			malti.SetConsumer(r.Context(), name)
		}
		malti.SetContext(r.Context(), "plan=pro")
	}))
	_ = http.Server{Handler: handler}
}

func ExampleNewMiddleware() {
	// A router that net/http knows nothing of: by the path, what has matched.
	endpoint := func(r *http.Request) string {
		if len(r.URL.Path) > len("/users/") && r.URL.Path[:len("/users/")] == "/users/" {
			return "/users/{id}"
		}
		return ""
	}
	middleware := malti.NewMiddleware(malti.WithEndpoint(endpoint))
	_ = http.Server{Handler: middleware(http.DefaultServeMux)}
}

func ExampleNormalizeRoute() {
	fmt.Println(malti.NormalizeRoute("go", "GET /files/{path...}"))
	fmt.Println(malti.NormalizeRoute("chi", "/users/{id:[0-9]+}"))
	fmt.Println(malti.NormalizeRoute("gin", "/users/:id"))
	// Output:
	// /files/{path}
	// /users/{id}
	// /users/{id}
}

// The middleware of a router that is not net/http's, by hand.
func ExampleBegin() {
	type Context struct { // the router's
		context.Context
		Method, Path, Matched string
		Status                int
	}
	middleware := func(c *Context, next func(*Context)) {
		e := malti.Begin(c, malti.Source{Method: c.Method, Path: c.Path})
		if e == nil {
			next(c)
			malti.SetRoute(c, "chi", c.Matched)
			return
		}
		router := c.Context
		c.Context = e
		defer func() {
			recovered := recover()
			c.Context = router
			e.Route("chi", c.Matched)
			e.End(c.Status, c.Status != 0, recovered)
			if recovered != nil {
				panic(recovered)
			}
		}()
		next(c)
	}
	start()
	defer malti.Shutdown(context.Background())
	c := &Context{Context: context.Background(), Method: "GET", Path: "/users/7"}
	middleware(c, func(c *Context) {
		malti.SetConsumer(c, "alice")
		c.Matched, c.Status = "/users/{id:[0-9]+}", 200
	})
	fmt.Println(malti.Stats().Recorded)
	// Output: 1
}
