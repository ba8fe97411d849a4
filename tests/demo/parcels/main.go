// The demo's Go server: parcels of customers. Its only telemetry is the middleware, and who calls.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	malti "github.com/libmalti/malti-go"
)

const trackTakes = 90 * time.Millisecond

var tokens = map[string]string{"Bearer acme-token": "acme", "Bearer globex-token": "globex"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// Without a word on what panics on purpose.
	server := &http.Server{Handler: recovering(malti.Middleware(routes())), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener)
	fmt.Printf("READY %d\n", listener.Addr().(*net.TCPAddr).Port)
	<-ctx.Done()
	_ = server.Shutdown(context.Background())
	_ = malti.Shutdown(context.Background())
	ledger, _ := json.Marshal(malti.Stats())
	fmt.Println(string(ledger))
}

func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "a fault", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", say)
	mux.HandleFunc("GET /parcels", say)
	mux.HandleFunc("GET /parcels/{parcel_id}", func(w http.ResponseWriter, r *http.Request) {
		if id, err := strconv.Atoi(r.PathValue("parcel_id")); err != nil || id > 100 {
			http.NotFound(w, r)
			return
		}
		say(w, r)
	})
	mux.HandleFunc("POST /parcels", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), tokens[r.Header.Get("Authorization")])
		malti.SetContext(r.Context(), "parcel, "+r.Header.Get("X-Request-Id"))
		w.WriteHeader(http.StatusCreated)
	})
	// A body that takes its time, which counts, although the head is out at once.
	mux.HandleFunc("GET /track/{parcel_id}", func(w http.ResponseWriter, r *http.Request) {
		for _, place := range []string{"Hamburg", "Łódź", "Wien"} {
			time.Sleep(trackTakes/3 + time.Millisecond)
			fmt.Fprintln(w, place)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("GET /weights/{parcel_id}", func(http.ResponseWriter, *http.Request) {
		panic("no weight is known (on purpose)")
	})
	depot := http.NewServeMux()
	depot.HandleFunc("PUT /shelves/{shelf}", say)
	mux.Handle("/depot/", http.StripPrefix("/depot", malti.Middleware(depot)))
	return mux
}

func say(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.URL.Path) }
