// Package maltichi records the requests of chi routers:
//
//	router := chi.NewRouter()
//	router.Use(maltichi.Middleware)
//
// Handlers say consumer, context and endpoint by [malti.SetConsumer] and its siblings under the request's
// context.
package maltichi

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	malti "github.com/libmalti/malti-go"
)

var middleware = malti.NewMiddleware(malti.WithRoute("chi", route))

// Middleware is for [chi.Router.Use], as the router's first; what chi itself answers, 404 and 405, passes
// it too. Routers that are mounted may have it as well: each request is recorded once. See
// [malti.Middleware].
func Middleware(next http.Handler) http.Handler { return middleware(next) }

func route(r *http.Request) string {
	routing := chi.RouteContext(r.Context())
	if routing == nil {
		return ""
	}
	pattern := routing.RoutePattern()
	if pattern != "" && !strings.HasSuffix(pattern, "*") {
		return pattern
	}
	// Not routed yet, or perhaps no further than to a router that is mounted there.
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	if found := routing.Routes.Find(chi.NewRouteContext(), r.Method, path); found != "" {
		return found
	}
	// What matches by another method was answered 405.
	for _, method := range methods {
		if found := routing.Routes.Find(chi.NewRouteContext(), method, path); found != "" {
			return found
		}
	}
	return ""
}

var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodHead, http.MethodOptions, http.MethodConnect, http.MethodTrace,
}
