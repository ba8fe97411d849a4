//go:build cgo

package maltifiber_test

import (
	"net"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	malti "github.com/libmalti/malti-go"
	maltifiber "github.com/libmalti/malti-go/fiber"
	"github.com/libmalti/malti-go/internal/routertest"
)

func TestMain(m *testing.M) { routertest.Main(m) }

func fine(c fiber.Ctx) error { return c.SendString("fine") }

func TestRequests(t *testing.T) {
	app := fiber.New()
	app.Use(recover.New(), maltifiber.Middleware())
	app.Get("/users/:user_id", fine)
	app.Get("/files/*", fine)
	api := app.Group("/api", func(c fiber.Ctx) error {
		if c.Path() == "/api/private" {
			return c.SendStatus(fiber.StatusUnauthorized)
		}
		return c.Next()
	})
	api.Get("/private", fine)
	inner := api.Group("/v1", maltifiber.Middleware())
	inner.Get("/items/:item", fine)
	app.Get("/who", func(c fiber.Ctx) error {
		malti.SetConsumer(c.Context(), "st")
		malti.SetContext(c.Context(), "plan=pro")
		return fine(c)
	})
	app.Get("/renamed", func(c fiber.Ctx) error {
		malti.SetEndpoint(c.Context(), "/custom/{x}")
		return fine(c)
	})
	app.Get("/later", func(c fiber.Ctx) error {
		routertest.Later(c.Context(), c.Query("name"))
		return fine(c)
	})
	app.Get("/boom", func(fiber.Ctx) error { panic("boom") })
	app.Get("/conflict", func(fiber.Ctx) error { return fiber.ErrConflict })
	router := routertest.Router{Buffers: true, Other: map[string]string{
		"GET /files/a/b.txt": "GET /files/* 200 anonymous",
	}, More: map[string]string{
		"DELETE /Users/7/": "DELETE /users/{user_id} 405 anonymous",
	}, Serve: func(listener net.Listener) error {
		return app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
	}}
	t.Cleanup(func() { _ = app.Shutdown() })
	router.Run(t)
}

func TestExample(t *testing.T) {
	routertest.Example(t, "./example", []string{"/api/users/7"}, "/api/users/{id}")
}
