package malti

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
)

// watched is w with all that it can do (flush, hijack, sendfile …) and no more, and tells e of the answer's
// head. The writers of net/http's own server are taken by one small struct each, since every hook of
// httpsnoop's, which takes the others, is two allocations a request.
func watched(w http.ResponseWriter, e *Exchange) http.ResponseWriter {
	if able, ok := w.(ofServer); ok {
		_, hijacks := w.(http.Hijacker)
		_, reads := w.(io.ReaderFrom)
		_, pushes := w.(http.Pusher)
		switch {
		case hijacks && reads && !pushes:
			return &http1Writer{writer{able, e}}
		case !hijacks && !reads && pushes:
			return &http2Writer{writer{able, e}}
		}
	}
	return hooked(w, e)
}

// ofServer is what the writers of HTTP/1 and HTTP/2 have in common.
type ofServer interface {
	http.ResponseWriter
	http.Flusher
	io.StringWriter
	FlushError() error
	CloseNotify() <-chan bool
	SetReadDeadline(deadline time.Time) error
	SetWriteDeadline(deadline time.Time) error
	EnableFullDuplex() error
}

type writer struct {
	ofServer
	exchange *Exchange
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ofServer }

func (w *writer) WriteHeader(code int) {
	w.exchange.head(code)
	w.ofServer.WriteHeader(code)
}

func (w *writer) Write(body []byte) (int, error) {
	w.exchange.answered(http.StatusOK)
	return w.ofServer.Write(body)
}

func (w *writer) WriteString(body string) (int, error) {
	w.exchange.answered(http.StatusOK)
	return w.ofServer.WriteString(body)
}

func (w *writer) Flush() {
	w.exchange.answered(http.StatusOK)
	w.ofServer.Flush()
}

func (w *writer) FlushError() error {
	w.exchange.answered(http.StatusOK)
	return w.ofServer.FlushError()
}

type http1Writer struct{ writer }

func (w *http1Writer) ReadFrom(body io.Reader) (int64, error) {
	w.exchange.answered(http.StatusOK)
	return w.ofServer.(io.ReaderFrom).ReadFrom(body)
}

func (w *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := w.ofServer.(http.Hijacker).Hijack()
	if err == nil {
		w.exchange.answered(http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}

type http2Writer struct{ writer }

func (w *http2Writer) Push(target string, options *http.PushOptions) error {
	return w.ofServer.(http.Pusher).Push(target, options)
}

func hooked(w http.ResponseWriter, e *Exchange) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				e.head(code)
				next(code)
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(body []byte) (int, error) {
				e.answered(http.StatusOK)
				return next(body)
			}
		},
		WriteString: func(next httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc {
			return func(body string) (int, error) {
				e.answered(http.StatusOK)
				return next(body)
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(body io.Reader) (int64, error) {
				e.answered(http.StatusOK)
				return next(body)
			}
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() {
				e.answered(http.StatusOK)
				next()
			}
		},
		FlushError: func(next httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc {
			return func() error {
				e.answered(http.StatusOK)
				return next()
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, buffer, err := next()
				if err == nil {
					e.answered(http.StatusSwitchingProtocols)
				}
				return conn, buffer, err
			}
		},
	})
}
