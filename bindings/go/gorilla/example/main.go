// A service on gorilla/mux. It listens on $ADDR (default 127.0.0.1:8080); MALTI_* variables say where its
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

	"github.com/gorilla/mux"

	malti "github.com/libmalti/malti-go"
	maltigorilla "github.com/libmalti/malti-go/gorilla"
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

	router := mux.NewRouter()
	api := router.PathPrefix("/api").Subrouter()
	api.HandleFunc("/users/{id:[0-9]+}", user).Methods("GET")

	address := os.Getenv("ADDR")
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: maltigorilla.Middleware(router)}
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
	fmt.Fprintln(w, "user", mux.Vars(r)["id"])
}
