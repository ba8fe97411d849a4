// Package maltigorilla records the requests of gorilla/mux routers:
//
//	router := mux.NewRouter()
//	server.Handler = maltigorilla.Middleware(router)
//
// Handlers say consumer, context and endpoint by [malti.SetConsumer] and its siblings under the request's
// context.
package maltigorilla

import (
	"errors"
	"net/http"

	"github.com/gorilla/mux"

	malti "github.com/libmalti/malti-go"
)

var inner = malti.NewMiddleware(malti.WithRoute("gorilla", func(r *http.Request) string {
	return template(mux.CurrentRoute(r))
}))

// Middleware records what router answers, with its redirects, 404 and 405, which do not pass what
// [mux.Router.Use] has. It adds one to these, which sees the route that matched, so call it once for a
// router, before it serves. See [malti.Middleware].
func Middleware(router *mux.Router) http.Handler {
	router.Use(func(next http.Handler) http.Handler { return inner(next) })
	return malti.NewMiddleware(malti.WithRoute("gorilla", func(r *http.Request) string {
		return search(router, r)
	}))(router)
}

// search is for requests that did not get as far as to a handler.
func search(router *mux.Router, r *http.Request) string {
	var match mux.RouteMatch
	found := router.Match(r, &match)
	if !errors.Is(match.MatchErr, mux.ErrMethodMismatch) {
		if found && match.MatchErr == nil {
			return template(match.Route)
		}
		return ""
	}
	probe := r.WithContext(r.Context())
	for _, probe.Method = range methods {
		var match mux.RouteMatch
		if router.Match(probe, &match) && match.MatchErr == nil {
			return template(match.Route)
		}
	}
	return ""
}

func template(route *mux.Route) string {
	if route == nil {
		return ""
	}
	// Without a path there is an error, and no text.
	text, _ := route.GetPathTemplate()
	return text
}

var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodHead, http.MethodOptions,
}
