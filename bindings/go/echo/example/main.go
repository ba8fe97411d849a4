// A service on Echo 4. It listens on $ADDR (default 127.0.0.1:8080); MALTI_* variables say where its
// records go, MALTI_URL=stderr: prints them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	malti "github.com/libmalti/malti-go"
	maltiecho "github.com/libmalti/malti-go/echo"
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

	e := echo.New()
	e.Use(maltiecho.Middleware())
	api := e.Group("/api")
	api.GET("/users/:id", user)

	address := os.Getenv("ADDR")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: e}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	// First the requests that are under way, then their records.
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(ending), malti.Shutdown(ending))
}

// user says who asks: whom the application has authenticated.
func user(c echo.Context) error {
	if name, _, ok := c.Request().BasicAuth(); ok {
		malti.SetConsumer(c.Request().Context(), name)
	}
	return c.String(http.StatusOK, "user "+c.Param("id"))
}
