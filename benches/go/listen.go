package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// listen serves net/http's router with one subject before it. It prints its port, then for each line that it
// reads how many requests have left the subject, all of them.
func listen(before string) {
	handler, settle := netHTTP(before), func() int { return 0 }
	switch before {
	case libmalti:
		start()
		settle = delivered
	case aroundAll:
		handler = otelhttp.NewHandler(handler, "bench", otelhttp.WithTracerProvider(provider))
		settle = flushed(provider)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { log.Fatal(http.Serve(listener, handler)) }()
	left := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		left += settle()
		fmt.Println(left)
	}
}
