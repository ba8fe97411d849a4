package malti

import (
	"net/http"
	"strings"
)

// level is where in a tree of mounted handlers a request is.
type level struct {
	// prefix is what was cut off the path so far, as a pattern in normal form.
	prefix string
	// path is the path without it; "": as it came.
	path string
}

// enter goes down to a handler that is mounted, whose request may have lost the beginning of its path:
// the pattern of that beginning, and what goes back up.
func (e *Exchange) enter(r *http.Request) (prefix string, leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	above := e.level
	if above.path == "" {
		above.path = e.source.Path
	}
	if lost, ok := strings.CutSuffix(above.path, r.URL.Path); ok && lost != "" {
		e.level = level{above.prefix + cutPattern(r.Pattern, lost), r.URL.Path}
	}
	return e.level.prefix, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.level = above
	}
}

// cutPattern is the beginning of a pattern that stands for this beginning of a path. What the pattern
// does not reach is as in the path: nothing but a constant is cut off there.
func cutPattern(pattern, path string) string {
	if pattern == "" {
		return path
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	named := strings.Split(strings.Trim(NormalizeRoute("go", pattern), "/"), "/")
	for i := range segments {
		if i < len(named) && named[i] != "" {
			segments[i] = named[i]
		}
	}
	return "/" + strings.Join(segments, "/")
}
