// Package maltiecho records the requests of Echo 4:
//
//	e := echo.New()
//	e.Use(maltiecho.Middleware())
//
// Handlers say consumer, context and endpoint by [malti.SetConsumer] and its siblings under
// c.Request().Context().
package maltiecho

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	malti "github.com/libmalti/malti-go"
)

// Middleware is for [echo.Echo.Use], as the first. So that the status is the one that the client sees, it
// has Echo's error handler answer an error, which then goes no further. Groups may have it as well: each
// request is recorded once. See [malti.Middleware].
func Middleware() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			route := malti.WithRoute("echo", func(*http.Request) string { return route(c) })
			malti.NewMiddleware(route)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				c.Response().Writer = w
				if err := next(c); err != nil {
					c.Error(err)
				}
			})).ServeHTTP(c.Response().Writer, c.Request())
			return nil
		}
	}
}

func route(c echo.Context) string {
	path := c.Path()
	if c.Response().Status != http.StatusNotFound || !strings.HasSuffix(path, "*") {
		return path
	}
	// A group with middleware has a route of its own for what it does not find.
	for _, r := range c.Echo().Routes() {
		if r.Path == path && r.Method != echo.RouteNotFound {
			return path
		}
	}
	return ""
}
