package malti

import (
	"strings"
	"sync"
)

// A service has far fewer. What is made up for each request is brought into normal form each time.
const routesKept = 4096

type route struct{ dialect, pattern string }

var routes = struct {
	sync.RWMutex
	normal map[route]string
}{normal: map[route]string{}}

// NormalizeRoute brings a route's pattern into normal form, "/users/{user_id}". dialect says whose
// syntax it is: "go" (net/http), "chi", "gorilla", "gin", "echo", "fiber", "plain", and those of other
// languages' frameworks. Results are kept, so that a route costs its work once. A pattern of an unknown
// dialect stays as it is.
func NormalizeRoute(dialect, pattern string) string {
	routes.RLock()
	normal, ok := routes.normal[route{dialect, pattern}]
	routes.RUnlock()
	if ok {
		return normal
	}
	if normal, ok = coreRoute(dialect, pattern); !ok {
		return pattern
	}
	routes.Lock()
	defer routes.Unlock()
	if len(routes.normal) < routesKept {
		// The pattern may be in a buffer of the router's that it uses again.
		routes.normal[route{strings.Clone(dialect), strings.Clone(pattern)}] = normal
	}
	return normal
}
