// A service on net/http. It listens on $ADDR (default 127.0.0.1:8080); MALTI_* variables say where its
// records go, MALTI_URL=stderr: prints them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	malti "github.com/libmalti/malti-go"
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

	api := http.NewServeMux()
	api.HandleFunc("GET /users/{id}", user)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	// StripPrefix passes a copy of the request on, so the mux below it has the middleware, too.
	mux.Handle("/api/", http.StripPrefix("/api", malti.Middleware(api)))

	address := os.Getenv("ADDR")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: malti.Middleware(mux)}
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

func user(w http.ResponseWriter, r *http.Request) {
	// The consumer is whom the application has authenticated.
	if name, _, ok := r.BasicAuth(); ok {
		malti.SetConsumer(r.Context(), name)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"id": r.PathValue("id")})
}
