package malti

import (
	"sync"
	"sync/atomic"
)

// A service has far fewer. What is made up for each request is brought into normal form each time.
const routesKept = 4096

type route struct{ dialect, pattern string }

var (
	// routes is never changed: a new route makes a new map.
	routes   atomic.Pointer[map[route]string]
	routesMu sync.Mutex
)

// NormalizeRoute brings a route's pattern into normal form, "/users/{user_id}". dialect says whose
// syntax it is: "go" (net/http), "chi", "gorilla", "gin", "echo", "fiber", "plain", and those of other
// languages' frameworks. Results are kept, so that a route costs its work once. A pattern of an unknown
// dialect stays as it is.
func NormalizeRoute(dialect, pattern string) string {
	key := route{dialect, pattern}
	if known := routes.Load(); known != nil {
		if normal, ok := (*known)[key]; ok {
			return normal
		}
	}
	normal, ok := coreRoute(dialect, pattern)
	if !ok {
		return pattern
	}
	routesMu.Lock()
	defer routesMu.Unlock()
	known := routes.Load()
	if known != nil && len(*known) >= routesKept {
		return normal
	}
	next := map[route]string{key: normal}
	if known != nil {
		for k, v := range *known {
			next[k] = v
		}
	}
	routes.Store(&next)
	return normal
}
