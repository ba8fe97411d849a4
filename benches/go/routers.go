package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/gorilla/mux"
	echo4 "github.com/labstack/echo/v4"
	"github.com/labstack/echo/v5"
	malti "github.com/libmalti/malti-go"
	maltichi "github.com/libmalti/malti-go/chi"
	maltiecho4 "github.com/libmalti/malti-go/echo"
	maltiecho "github.com/libmalti/malti-go/echov5"
	maltifiber "github.com/libmalti/malti-go/fiber"
	maltigin "github.com/libmalti/malti-go/gin"
	maltigorilla "github.com/libmalti/malti-go/gorilla"
	"github.com/riandyrn/otelchi"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gorilla/mux/otelmux"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// What is before a router; any other name is that of the router's own middleware for OpenTelemetry.
const (
	bare      = "bare"
	libmalti  = "libmalti"
	aroundAll = "otelhttp"
)

// router makes one that answers GET /users/{user_id}.
type router struct {
	name string
	// own is its middleware for OpenTelemetry, where there is one.
	own     string
	handler func(before string) http.Handler
	// fast is for who has no handler of net/http's.
	fast func(before string) fasthttp.RequestHandler
}

var routers = []router{
	{name: "net/http", handler: netHTTP},
	{name: "chi 5", own: "otelchi", handler: withChi},
	{name: "Gin", own: "otelgin", handler: withGin},
	{name: "Echo 4", own: "otelecho", handler: withEcho4},
	{name: "Echo 5", handler: withEcho5},
	{name: "gorilla/mux", own: "otelmux", handler: withGorilla},
	{name: "Fiber 3", fast: withFiber},
}

// subjects are what is compared, each a request.
func (r router) subjects() []subject {
	request := func(before string) func(int) {
		if r.fast != nil {
			return serveFast(r.fast(before))
		}
		return serve(r.handler(before))
	}
	all := []subject{
		{name: bare, call: request(bare)},
		{name: libmalti, call: request(libmalti), settle: delivered},
	}
	if r.fast != nil {
		return all
	}
	around := otelhttp.NewHandler(r.handler(bare), "bench", otelhttp.WithTracerProvider(provider))
	all = append(all, subject{name: aroundAll, call: serve(around), settle: flushed(provider)})
	if r.own != "" {
		all = append(all, subject{name: r.own, call: request(r.own), settle: flushed(provider)})
	}
	return all
}

// writer takes an answer and keeps nothing of it.
type writer struct {
	abilities
	header http.Header
}

// abilities are those of a server's writer, for which middlewares look; nobody uses them here.
type abilities interface {
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	FlushError() error
	CloseNotify() <-chan bool
	SetReadDeadline(deadline time.Time) error
	SetWriteDeadline(deadline time.Time) error
	EnableFullDuplex() error
}

func (w *writer) Header() http.Header            { return w.header }
func (w *writer) Write(body []byte) (int, error) { return len(body), nil }
func (w *writer) WriteHeader(int)                {}

func serve(handler http.Handler) func(int) {
	w := &writer{header: http.Header{}}
	r := httptest.NewRequest("GET", "/users/7?x=1", nil)
	r.Header.Set("X-Consumer-Id", "mobile-app")
	return func(int) {
		// A server gives each request one of its own.
		ctx, cancel := context.WithCancel(context.Background())
		handler.ServeHTTP(w, r.WithContext(ctx))
		cancel()
	}
}

func serveFast(handler fasthttp.RequestHandler) func(int) {
	var ctx fasthttp.RequestCtx
	return func(int) {
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.Request.Header.SetMethod("GET")
		ctx.Request.SetRequestURI("/users/7?x=1")
		ctx.Request.Header.Set("X-Consumer-Id", "mobile-app")
		handler(&ctx)
	}
}

func answer(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }

func netHTTP(before string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{user_id}", answer)
	if before == libmalti {
		return malti.Middleware(mux)
	}
	return mux
}

func withChi(before string) http.Handler {
	r := chi.NewRouter()
	switch before {
	case libmalti:
		r.Use(maltichi.Middleware)
	case "otelchi":
		r.Use(otelchi.Middleware("bench", otelchi.WithChiRoutes(r), otelchi.WithTracerProvider(provider)))
	}
	r.Get("/users/{user_id}", answer)
	return r
}

func withGin(before string) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	switch before {
	case libmalti:
		r.Use(maltigin.Middleware())
	case "otelgin":
		r.Use(otelgin.Middleware("bench", otelgin.WithTracerProvider(provider)))
	}
	r.GET("/users/:user_id", gin.WrapF(answer))
	return r
}

func withEcho4(before string) http.Handler {
	e := echo4.New()
	switch before {
	case libmalti:
		e.Use(maltiecho4.Middleware())
	case "otelecho":
		e.Use(otelecho.Middleware("bench", otelecho.WithTracerProvider(provider)))
	}
	e.GET("/users/:user_id", echo4.WrapHandler(http.HandlerFunc(answer)))
	return e
}

func withEcho5(before string) http.Handler {
	e := echo.New()
	if before == libmalti {
		e.Use(maltiecho.Middleware())
	}
	e.GET("/users/:user_id", echo.WrapHandler(http.HandlerFunc(answer)))
	return e
}

func withGorilla(before string) http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/users/{user_id}", answer).Methods("GET")
	switch before {
	case libmalti:
		return maltigorilla.Middleware(r)
	case "otelmux":
		r.Use(otelmux.Middleware("bench", otelmux.WithTracerProvider(provider)))
	}
	return r
}

func withFiber(before string) fasthttp.RequestHandler {
	app := fiber.New()
	if before == libmalti {
		app.Use(maltifiber.Middleware())
	}
	app.Get("/users/:user_id", func(c fiber.Ctx) error { return c.SendString("{}") })
	return app.Handler()
}
