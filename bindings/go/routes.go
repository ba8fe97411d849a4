package malti

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// A service has far fewer. What is made up for each request is brought into normal form each time.
const routesKept = 4096

type route struct{ dialect, pattern string }

// routes are read without a lock: a map that changes no more, and is copied for each new one.
var routes = struct {
	sync.Mutex
	normal atomic.Pointer[map[route]string]
}{}

func init() { routes.normal.Store(&map[route]string{}) }

// NormalizeRoute brings a route's pattern into normal form, "/users/{user_id}". dialect says whose
// syntax it is: "go" (net/http), "chi", "gorilla", "gin", "echo", "fiber", "plain", and those of other
// languages' frameworks. Results are kept, so that a route costs its work once. A pattern of an unknown
// dialect stays as it is.
func NormalizeRoute(dialect, pattern string) string {
	normal, ok := (*routes.normal.Load())[route{dialect, pattern}]
	if ok {
		return normal
	}
	if normal, ok = coreRoute(dialect, pattern); !ok {
		return pattern
	}
	routes.Lock()
	defer routes.Unlock()
	if known := *routes.normal.Load(); len(known) < routesKept {
		known = maps.Clone(known)
		// The pattern may be in a buffer of the router's that it uses again.
		known[route{strings.Clone(dialect), strings.Clone(pattern)}] = normal
		routes.normal.Store(&known)
	}
	return normal
}
