// The routes of the suite on net/http alone.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

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

func sayPath(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }

func create(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !json.Valid(body) {
		http.Error(w, "not JSON", http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, "created")
}

// errors answers what panics, as an application's own handler does; what has begun is broken off.
func errors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if fault := recover(); fault == "boom-late" {
				panic(http.ErrAbortHandler)
			} else if fault != nil {
				http.Error(w, fmt.Sprint(fault), http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func main() {
	orders := http.NewServeMux()
	orders.HandleFunc("GET /orders/{order_id}", sayPath)
	tenant := layer(orders)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{user_id}", sayPath)
	mux.HandleFunc("POST /items", create)
	mux.HandleFunc("GET /files/{path...}", sayPath)
	mux.HandleFunc("/tenants/{tenant}/", func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/tenants/"+r.PathValue("tenant"), tenant).ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) { serving.Chunks(w) })
	mux.HandleFunc("GET /boom", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.HandleFunc("GET /boom-late", func(w http.ResponseWriter, r *http.Request) {
		serving.Chunk(w)
		panic("boom-late")
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		if serving.Slow(r.Context()) {
			fmt.Fprint(w, "slow")
		}
	})
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), " st ")
		malti.SetContext(r.Context(), "plan=pro")
		fmt.Fprint(w, "who")
	})
	mux.HandleFunc("GET /who-null", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), "")
		fmt.Fprint(w, "who-null")
	})
	mux.HandleFunc("GET /code/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.WriteHeader(code)
	})
	mux.HandleFunc("GET /renamed", func(w http.ResponseWriter, r *http.Request) {
		malti.SetEndpoint(r.Context(), "/custom/{x}")
		fmt.Fprint(w, "renamed")
	})
	mux.HandleFunc("GET /later", func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		serving.Later(r.Context(), name)
		fmt.Fprint(w, name)
	})
	serving.Main(errors(layer(mux)))
}
