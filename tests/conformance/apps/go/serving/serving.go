// Package serving is what the Go apps do beside their routes: say where they listen, leave the ledger
// behind.
package serving

import (
	"context"
	"encoding/json"
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

// Bare: the app is to run as if there were no libmalti.
var Bare = os.Getenv("CONFORMANCE_BARE") == "1"

// Main serves until SIGTERM.
func Main(handler http.Handler) {
	server := &http.Server{Handler: handler}
	Run(server.Serve, server.Shutdown)
}

// Run is Main for who has another server.
func Run(serve func(net.Listener) error, shutdown func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if !Bare {
		if err := malti.Init(malti.Config{}); err != nil {
			log.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("READY %d\n", listener.Addr().(*net.TCPAddr).Port)
	go serve(listener)
	<-ctx.Done()
	_ = shutdown(context.Background())
	_ = malti.Shutdown(context.Background())
	if file := os.Getenv("CONFORMANCE_STATS"); file != "" {
		ledger, _ := json.Marshal(malti.Stats())
		if err := os.WriteFile(file, ledger, 0o600); err != nil {
			log.Fatal(err)
		}
	}
}

// Chunks are three, 100 ms apart.
func Chunks(w http.ResponseWriter) {
	for i := range 3 {
		if i > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		Chunk(w)
	}
}

// Chunk is one of them.
func Chunk(w http.ResponseWriter) {
	fmt.Fprint(w, "chunk\n")
	w.(http.Flusher).Flush()
}

// Slow is false where the client left, true after 10 s.
func Slow(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(10 * time.Second):
		return true
	}
}

// Later sets the consumer in a goroutine of its own.
func Later(ctx context.Context, name string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(20 * time.Millisecond)
		malti.SetConsumer(ctx, name)
	}()
	<-done
}
