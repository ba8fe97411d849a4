// The routes of the suite on gorilla/mux.
package main

import (
	"net/http"
	"strings"

	"conformance/serving"

	"github.com/gorilla/mux"

	maltigorilla "github.com/libmalti/malti-go/gorilla"
)

func main() {
	r := mux.NewRouter()
	r.HandleFunc("/users/{user_id:[0-9]+}", serving.SayPath).Methods("GET", "HEAD")
	r.HandleFunc("/files/{path:.*}", serving.SayPath).Methods("GET")
	orders := r.PathPrefix("/tenants/{tenant}").Subrouter()
	orders.HandleFunc("/orders/{order_id}", serving.SayPath).Methods("GET")
	r.HandleFunc("/code/{code}", serving.Code).Methods("GET")
	for pattern, handler := range serving.Routes {
		method, path, _ := strings.Cut(pattern, " ")
		r.HandleFunc(path, handler).Methods(method)
	}
	var handler http.Handler = r
	if !serving.Bare {
		handler = maltigorilla.Middleware(r)
	}
	serving.Main(serving.Errors(handler))
}
