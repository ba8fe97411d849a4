// The routes of the suite on Fiber.
package main

import (
	"bufio"
	"encoding/json"
	"net"
	"strconv"
	"time"

	"conformance/serving"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	malti "github.com/libmalti/malti-go"
	maltifiber "github.com/libmalti/malti-go/fiber"
)

func sayPath(c fiber.Ctx) error { return c.SendString(c.Path()) }

func application() *fiber.App {
	app := fiber.New()
	app.Use(recover.New())
	if !serving.Bare {
		app.Use(maltifiber.Middleware())
	}
	return app
}

func main() {
	orders := application()
	orders.Get("/orders/:order_id", sayPath)

	app := application()
	app.Get("/users/:user_id", sayPath)
	app.Get("/files/*", sayPath)
	app.Use("/tenants/:tenant", orders)
	app.Post("/items", func(c fiber.Ctx) error {
		if !json.Valid(c.Body()) {
			return fiber.ErrUnprocessableEntity
		}
		return c.Status(fiber.StatusCreated).SendString("created")
	})
	app.Get("/stream", func(c fiber.Ctx) error {
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for i := range 3 {
				if i > 0 {
					time.Sleep(100 * time.Millisecond)
				}
				_, _ = w.WriteString("chunk\n")
				if w.Flush() != nil {
					return
				}
			}
		})
	})
	app.Get("/boom", func(fiber.Ctx) error { panic("boom") })
	app.Get("/boom-late", func(c fiber.Ctx) error {
		// Breaks off: a panic there, in a goroutine of fasthttp's, would end the process.
		return c.SendStreamWriter(func(w *bufio.Writer) {
			_, _ = w.WriteString("chunk\n")
			_ = w.Flush()
		})
	})
	app.Get("/slow", func(c fiber.Ctx) error {
		serving.Slow(c.Context())
		return c.SendString("slow")
	})
	app.Get("/who", func(c fiber.Ctx) error {
		malti.SetConsumer(c.Context(), " st ")
		malti.SetContext(c.Context(), "plan=pro")
		return c.SendString("who")
	})
	app.Get("/who-null", func(c fiber.Ctx) error {
		malti.SetConsumer(c.Context(), "")
		return c.SendString("who-null")
	})
	app.Get("/code/:code", func(c fiber.Ctx) error {
		code, _ := strconv.Atoi(c.Params("code"))
		c.Status(code)
		return nil
	})
	app.Get("/renamed", func(c fiber.Ctx) error {
		malti.SetEndpoint(c.Context(), "/custom/{x}")
		return c.SendString("renamed")
	})
	app.Get("/later", func(c fiber.Ctx) error {
		name := c.Query("name")
		serving.Later(c.Context(), name)
		return c.SendString(name)
	})
	serving.Run(func(listener net.Listener) error {
		return app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
	}, app.ShutdownWithContext)
}
