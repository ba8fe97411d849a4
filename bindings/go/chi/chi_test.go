//go:build cgo

package maltichi_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	malti "github.com/libmalti/malti-go"
	maltichi "github.com/libmalti/malti-go/chi"
	"github.com/libmalti/malti-go/internal/routertest"
)

func TestMain(m *testing.M) { routertest.Main(m) }

func fine(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") }

func TestRequests(t *testing.T) {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer, maltichi.Middleware)
	r.Get("/users/{user_id:[0-9]+}", fine)
	r.Get("/files/*", fine)
	r.Route("/api", func(r chi.Router) {
		r.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/private" {
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		r.Get("/private", fine)
		inner := chi.NewRouter()
		inner.Use(maltichi.Middleware)
		inner.Get("/items/{item}", fine)
		r.Mount("/v1", inner)
	})
	r.Get("/who", func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), "st")
		malti.SetContext(r.Context(), "plan=pro")
	})
	r.Get("/renamed", func(w http.ResponseWriter, r *http.Request) {
		malti.SetEndpoint(r.Context(), "/custom/{x}")
	})
	r.Get("/later", func(w http.ResponseWriter, r *http.Request) {
		routertest.Later(r.Context(), r.URL.Query().Get("name"))
	})
	r.Get("/boom", func(http.ResponseWriter, *http.Request) { panic("boom") })
	r.Get("/conflict", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) })
	r.Get("/stream", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "one")
		w.(http.Flusher).Flush()
		<-routertest.Gate
		fmt.Fprintln(w, "two")
	})
	r.Get("/hijack", func(w http.ResponseWriter, _ *http.Request) { routertest.Hijack(w) })
	r.Get("/left", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	router := routertest.Router{Handler: r, Other: map[string]string{
		"GET /files/a/b.txt": "GET /files/* 200 anonymous",
	}}
	router.Run(t)
}

func TestExample(t *testing.T) {
	routertest.Example(t, "./example", []string{"/api/users/7"}, "/api/users/{id}")
}
