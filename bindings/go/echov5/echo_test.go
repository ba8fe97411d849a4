//go:build cgo

package maltiecho_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	malti "github.com/libmalti/malti-go"
	maltiecho "github.com/libmalti/malti-go/echov5"
	"github.com/libmalti/malti-go/internal/routertest"
)

func TestMain(m *testing.M) { routertest.Main(m) }

func fine(c *echo.Context) error { return c.String(http.StatusOK, "fine") }

func TestRequests(t *testing.T) {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.Use(middleware.Recover(), maltiecho.Middleware())
	e.GET("/users/:user_id", fine)
	e.GET("/files/*", fine)
	api := e.Group("/api", func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if c.Path() == "/api/private" {
				return echo.NewHTTPError(http.StatusUnauthorized, "who are you?")
			}
			return next(c)
		}
	})
	api.GET("/private", fine)
	inner := api.Group("/v1", maltiecho.Middleware())
	inner.GET("/items/:item", fine)
	e.GET("/who", func(c *echo.Context) error {
		malti.SetConsumer(c.Request().Context(), "st")
		malti.SetContext(c.Request().Context(), "plan=pro")
		return fine(c)
	})
	e.GET("/renamed", func(c *echo.Context) error {
		malti.SetEndpoint(c.Request().Context(), "/custom/{x}")
		return fine(c)
	})
	e.GET("/later", func(c *echo.Context) error {
		routertest.Later(c.Request().Context(), c.QueryParam("name"))
		return fine(c)
	})
	e.GET("/boom", func(*echo.Context) error { panic("boom") })
	e.GET("/conflict", func(*echo.Context) error { return echo.NewHTTPError(http.StatusConflict, "taken") })
	e.GET("/stream", func(c *echo.Context) error {
		fmt.Fprintln(c.Response(), "one")
		_ = http.NewResponseController(c.Response()).Flush()
		<-routertest.Gate
		fmt.Fprintln(c.Response(), "two")
		return nil
	})
	e.GET("/hijack", func(c *echo.Context) error {
		routertest.Hijack(c.Response())
		return nil
	})
	e.GET("/left", func(c *echo.Context) error {
		<-c.Request().Context().Done()
		return nil
	})
	router := routertest.Router{Handler: e, Other: map[string]string{
		"GET /files/a/b.txt": "GET /files/* 200 anonymous",
		// Echo's own doing: a group with middleware answers what is not found.
		"DELETE /api/v1/items/3": "DELETE /api/v1/items/3 404 anonymous",
	}}
	router.Run(t)
}

func TestExample(t *testing.T) {
	routertest.Example(t, "./example", []string{"/api/users/7"}, "/api/users/{id}")
}
