package malti

import (
	"fmt"
	"net/http"
	"strings"
)

// Option is a setting of a middleware.
type Option func(*handler)

// WithEndpoint names the route of a request itself, in normal form or in the syntax of net/http. It is
// asked when the answer is over, with the request as it was passed on; "": the pattern of the router.
// A name must not contain what differs from request to request.
func WithEndpoint(endpoint func(*http.Request) string) Option {
	return func(h *handler) { h.endpoint = endpoint }
}

// WithRoute takes the pattern from another router than net/http's, in the syntax of dialect (see
// [NormalizeRoute]): for those who write a router's middleware. It is asked when the answer is over, with
// the request as it was passed on, unless [SetRoute] or a middleware inside has said the route.
func WithRoute(dialect string, pattern func(*http.Request) string) Option {
	return func(h *handler) { h.dialect, h.pattern = dialect, pattern }
}

// Middleware records each request that next answers, once, under the pattern of its route: "/users/{id}"
// for one that an [http.ServeMux] has under "GET /users/{id}". Where no route matched, the endpoint is
// the path.
//
// The mux tells the pattern to the very request that it is given. A middleware in between that passes a
// copy on (by WithContext, as [http.StripPrefix] and [http.TimeoutHandler] do) hides it; then the mux
// gets the middleware too, and the outer one learns the route from it:
//
//	api.HandleFunc("GET /users/{id}", user)
//	mux.Handle("/api/", http.StripPrefix("/api", malti.Middleware(api))) // /api/users/{id}
//	server.Handler = malti.Middleware(mux)
//
// The time is that from here to the end of next. A panic is recorded as 500 and goes on; a client that
// left before the answer is 499; a connection that was hijacked is 101, or what was answered before.
// Without [Init] the first request starts the client.
func Middleware(next http.Handler) http.Handler { return NewMiddleware()(next) }

// NewMiddleware is [Middleware] with options.
func NewMiddleware(options ...Option) func(http.Handler) http.Handler {
	h := handler{dialect: "go", pattern: func(r *http.Request) string { return r.Pattern }}
	for _, option := range options {
		option(&h)
	}
	return func(next http.Handler) http.Handler {
		h := h
		h.next = next
		return &h
	}
}

type handler struct {
	next     http.Handler
	dialect  string
	pattern  func(*http.Request) string
	endpoint func(*http.Request) string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if outer := following(r.Context()); outer != nil {
		h.inside(outer, w, r)
		return
	}
	watch := begun()
	if !watch.recording {
		h.next.ServeHTTP(w, r)
		return
	}
	e := begin(r.Context(), watch, HTTPSource(r))
	passed := r.WithContext(e)
	defer func() {
		recovered := recover()
		h.tell(e, w, passed, "")
		// What handlers around this one, and the server, look for in the request.
		r.Pattern, r.MultipartForm = passed.Pattern, passed.MultipartForm
		e.finish(recovered)
		if recovered != nil {
			panic(recovered)
		}
	}()
	h.next.ServeHTTP(watched(w, e), passed)
}

// inside tells the one that follows the request the route that it has here.
func (h *handler) inside(e *Exchange, w http.ResponseWriter, r *http.Request) {
	prefix, leave := e.enter(r)
	defer func() {
		h.tell(e, w, r, prefix)
		leave()
	}()
	h.next.ServeHTTP(w, r)
}

// tell finds the route of a request that has been answered. Never panics.
func (h *handler) tell(e *Exchange, w http.ResponseWriter, passed *http.Request, prefix string) {
	defer func() {
		if fault := recover(); fault != nil {
			lines.once(fmt.Sprintf("a request has no route: %v", fault))
		}
	}()
	if h.endpoint != nil {
		if name := h.endpoint(passed); name != "" {
			e.named(NormalizeRoute("go", name))
			return
		}
	}
	if e.known() {
		return
	}
	pattern := h.pattern(passed)
	if pattern == "" && e.status.Load() == http.StatusMethodNotAllowed {
		pattern = h.otherMethod(w, passed)
	}
	if pattern != "" {
		e.matched(prefix + NormalizeRoute(h.dialect, pattern))
	}
}

// otherMethod is the pattern that would have matched by a method that is allowed: a mux tells none with
// its 405.
func (h *handler) otherMethod(w http.ResponseWriter, passed *http.Request) string {
	mux, ok := h.next.(interface {
		Handler(*http.Request) (http.Handler, string)
	})
	method, _, _ := strings.Cut(w.Header().Get("Allow"), ",")
	if !ok || method == "" {
		return ""
	}
	probe := passed.WithContext(passed.Context())
	probe.Method = method
	_, pattern := mux.Handler(probe)
	return pattern
}
