// The routes of the suite on chi.
package main

import (
	"conformance/serving"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	maltichi "github.com/libmalti/malti-go/chi"
)

func router() *chi.Mux {
	r := chi.NewRouter()
	if !serving.Bare {
		r.Use(maltichi.Middleware)
	}
	// HEAD is answered where GET is.
	r.Use(middleware.GetHead)
	return r
}

func main() {
	orders := router()
	orders.Get("/orders/{order_id}", serving.SayPath)

	r := router()
	r.Get("/users/{user_id:[0-9]+}", serving.SayPath)
	r.Get("/files/*", serving.SayPath)
	r.Mount("/tenants/{tenant}", orders)
	r.Get("/code/{code}", serving.Code)
	for pattern, handler := range serving.Routes {
		r.HandleFunc(pattern, handler)
	}
	serving.Main(serving.Errors(r))
}
