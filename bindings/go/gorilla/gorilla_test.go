//go:build cgo

package maltigorilla_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gorilla/mux"

	malti "github.com/libmalti/malti-go"
	maltigorilla "github.com/libmalti/malti-go/gorilla"
	"github.com/libmalti/malti-go/internal/routertest"
)

func TestMain(m *testing.M) { routertest.Main(m) }

func fine(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") }

func TestRequests(t *testing.T) {
	r := mux.NewRouter()
	r.HandleFunc("/users/{user_id:[0-9]+}", fine).Methods("GET")
	r.HandleFunc("/files/{path:.*}", fine).Methods("GET")
	api := r.PathPrefix("/api").Subrouter()
	api.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/private" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	api.HandleFunc("/private", fine).Methods("GET")
	inner := api.PathPrefix("/v1").Subrouter()
	inner.HandleFunc("/items/{item}", fine).Methods("GET")
	r.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), "st")
		malti.SetContext(r.Context(), "plan=pro")
	})
	r.HandleFunc("/renamed", func(w http.ResponseWriter, r *http.Request) {
		malti.SetEndpoint(r.Context(), "/custom/{x}")
	})
	r.HandleFunc("/later", func(w http.ResponseWriter, r *http.Request) {
		routertest.Later(r.Context(), r.URL.Query().Get("name"))
	})
	r.HandleFunc("/boom", func(http.ResponseWriter, *http.Request) { panic("boom") })
	r.HandleFunc("/conflict", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) })
	r.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "one")
		w.(http.Flusher).Flush()
		<-routertest.Gate
		fmt.Fprintln(w, "two")
	})
	r.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) { routertest.Hijack(w) })
	r.HandleFunc("/left", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	handler := maltigorilla.Middleware(r)
	recovering := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if fault := recover(); fault != nil {
				http.Error(w, fmt.Sprint(fault), http.StatusInternalServerError)
			}
		}()
		handler.ServeHTTP(w, r)
	})
	router := routertest.Router{Handler: recovering}
	router.Run(t)
}

func TestExample(t *testing.T) {
	routertest.Example(t, "./example", []string{"/api/users/7"}, "/api/users/{id}")
}
