// A service on Fiber. It listens on $ADDR (default 127.0.0.1:8080); MALTI_* variables say where its
// records go, MALTI_URL=stderr: prints them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	malti "github.com/libmalti/malti-go"
	maltifiber "github.com/libmalti/malti-go/fiber"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if err := malti.Init(malti.Config{}); err != nil {
		// Without telemetry the service goes on: an Init that failed makes all the rest do nothing.
		log.Print(err)
	}

	app := fiber.New()
	app.Use(recover.New(), maltifiber.Middleware())
	api := app.Group("/api")
	api.Get("/users/:id", user)

	address := os.Getenv("ADDR")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	quiet := fiber.ListenConfig{DisableStartupMessage: true}
	failed := make(chan error, 1)
	go func() { failed <- app.Listener(listener, quiet) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	// First the requests that are under way, then their records.
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(app.ShutdownWithContext(ending), malti.Shutdown(ending))
}

// user says who asks: whom the application has authenticated.
func user(c fiber.Ctx) error {
	if name := c.Get("X-Authenticated"); name != "" {
		malti.SetConsumer(c.Context(), name)
	}
	return c.SendString("user " + c.Params("id"))
}
