package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	malti "github.com/libmalti/malti-go"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

var provider = trace.NewTracerProvider(trace.WithBatcher(exporter{}))

// exporter drops the spans: a batch costs what it costs up to there.
type exporter struct{}

var exported atomic.Int64

func (exporter) ExportSpans(_ context.Context, spans []trace.ReadOnlySpan) error {
	exported.Add(int64(len(spans)))
	return nil
}

func (exporter) Shutdown(context.Context) error { return nil }

// listen serves net/http's router with one subject before it. It prints its port, then for each line that it
// reads how many requests have left the subject, all of them.
func listen(before string) {
	handler := netHTTP(before)
	delivered := func() int64 { return 0 }
	switch before {
	case libmalti:
		if err := malti.Init(malti.Config{}); err != nil {
			log.Fatal(err)
		}
		delivered = func() int64 {
			if err := malti.Flush(context.Background()); err != nil {
				log.Fatal(err)
			}
			return int64(malti.Stats().Sent)
		}
	case aroundAll:
		handler = otelhttp.NewHandler(handler, "bench", otelhttp.WithTracerProvider(provider))
		delivered = func() int64 {
			if err := provider.ForceFlush(context.Background()); err != nil {
				log.Fatal(err)
			}
			return exported.Load()
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { log.Fatal(http.Serve(listener, handler)) }()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(delivered())
	}
}
