package serving

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	malti "github.com/libmalti/malti-go"
)

// Routes are the handlers of the routes that are the same on all of net/http, by method and path.
var Routes = map[string]http.HandlerFunc{
	"GET /stream": func(w http.ResponseWriter, r *http.Request) { Chunks(w) },
	"GET /boom":   func(http.ResponseWriter, *http.Request) { panic("boom") },
	"GET /boom-late": func(w http.ResponseWriter, r *http.Request) {
		Chunk(w)
		panic("boom-late")
	},
	"GET /slow": func(w http.ResponseWriter, r *http.Request) {
		if Slow(r.Context()) {
			fmt.Fprint(w, "slow")
		}
	},
	"GET /who": func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), " st ")
		malti.SetContext(r.Context(), "plan=pro")
		fmt.Fprint(w, "who")
	},
	"GET /who-null": func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), "")
		fmt.Fprint(w, "who-null")
	},
	"GET /renamed": func(w http.ResponseWriter, r *http.Request) {
		malti.SetEndpoint(r.Context(), "/custom/{x}")
		fmt.Fprint(w, "renamed")
	},
	"GET /later": func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		Later(r.Context(), name)
		fmt.Fprint(w, name)
	},
	"POST /items": func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !json.Valid(body) {
			http.Error(w, "not JSON", http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "created")
	},
}

// SayPath answers with the request's path.
func SayPath(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }

// Code answers with the status that the path ends with.
func Code(w http.ResponseWriter, r *http.Request) {
	code, _ := strconv.Atoi(r.URL.Path[len("/code/"):])
	w.WriteHeader(code)
}

// Errors answers what panics, as an application's own handler does; what has begun is broken off.
func Errors(next http.Handler) http.Handler {
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
