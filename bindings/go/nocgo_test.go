//go:build !cgo

package malti_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	malti "github.com/libmalti/malti-go"
)

// Without cgo a program is as it was, but for what it is told by Init.
func TestWithoutCgo(t *testing.T) {
	if err := malti.Init(malti.Config{APIKey: "key"}); !errors.Is(err, malti.ErrNoCgo) {
		t.Error(err)
	}
	if err := malti.Record(malti.Request{Method: "GET", Status: 200}); !errors.Is(err, malti.ErrNotRunning) {
		t.Error(err)
	}
	handler := malti.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		malti.SetConsumer(r.Context(), "x")
		w.WriteHeader(http.StatusTeapot)
	}))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if answer.Code != http.StatusTeapot {
		t.Error(answer.Code)
	}
	if err := errors.Join(malti.Flush(t.Context()), malti.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
	if malti.Version() != "" || malti.Stats() != (malti.Ledger{}) {
		t.Error(malti.Version(), malti.Stats())
	}
}
