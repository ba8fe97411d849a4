// The routes of the suite on net/http alone.
package main

import (
	"net/http"

	"conformance/serving"

	malti "github.com/libmalti/malti-go"
)

// layer is the middleware, or nothing.
func layer(next http.Handler) http.Handler {
	if serving.Bare {
		return next
	}
	return malti.Middleware(next)
}

func main() {
	orders := http.NewServeMux()
	orders.HandleFunc("GET /orders/{order_id}", serving.SayPath)
	tenant := layer(orders)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{user_id}", serving.SayPath)
	mux.HandleFunc("GET /files/{path...}", serving.SayPath)
	mux.HandleFunc("/tenants/{tenant}/", func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/tenants/"+r.PathValue("tenant"), tenant).ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /code/{code}", serving.Code)
	for pattern, handler := range serving.Routes {
		mux.HandleFunc(pattern, handler)
	}
	serving.Main(serving.Errors(layer(mux)))
}
