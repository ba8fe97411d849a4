// A service on chi. It listens on $ADDR (default 127.0.0.1:8080); MALTI_* variables say where its
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

	"github.com/go-chi/chi/v5"

	malti "github.com/libmalti/malti-go"
	maltichi "github.com/libmalti/malti-go/chi"
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

	router := chi.NewRouter()
	router.Use(maltichi.Middleware)
	router.Route("/api", func(api chi.Router) {
		api.Get("/users/{id:[0-9]+}", user)
	})

	address := os.Getenv("ADDR")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: router}
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
func user(w http.ResponseWriter, r *http.Request) {
	if name, _, ok := r.BasicAuth(); ok {
		malti.SetConsumer(r.Context(), name)
	}
	fmt.Fprintln(w, "user", chi.URLParam(r, "id"))
}
