// Package maltigin records the requests of Gin:
//
//	engine := gin.Default()
//	engine.Use(maltigin.Middleware())
//
// Handlers say consumer, context and endpoint by [malti.SetConsumer] and its siblings under
// c.Request.Context().
package maltigin

import (
	"bufio"
	"net"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	malti "github.com/libmalti/malti-go"
)

// Middleware is for [gin.Engine.Use], below [gin.Recovery]; what Gin itself answers, 404 and 405, passes
// it too. Groups may have it as well: each request is recorded once. See [malti.Middleware].
//
// Gin tells no route with its 405. Where the engine itself is the server's handler, as by [gin.Engine.Run],
// it is asked for one; else the endpoint is the path.
func Middleware() gin.HandlerFunc { return record }

func record(c *gin.Context) {
	ctx := c.Request.Context()
	e := malti.Begin(ctx, malti.HTTPSource(c.Request))
	if e == nil {
		c.Next()
		malti.SetRoute(ctx, "gin", route(c, c.Writer.Status()))
		return
	}
	router := c.Writer
	w := &writer{ResponseWriter: router, exchange: e}
	c.Writer, c.Request = w, c.Request.WithContext(e)
	defer func() {
		recovered := recover()
		c.Writer = router
		status := w.Status()
		if w.hijacked {
			status = http.StatusSwitchingProtocols
		}
		e.Route("gin", route(c, status))
		e.End(status, w.begun, recovered)
		if recovered != nil {
			panic(recovered)
		}
	}()
	c.Next()
}

// writer notes whether the client was there when the answer began.
type writer struct {
	gin.ResponseWriter
	exchange        *malti.Exchange
	begun, hijacked bool
}

func (w *writer) begins() {
	if !w.Written() && w.exchange.Err() == nil {
		w.begun = true
	}
}

func (w *writer) Write(body []byte) (int, error) {
	w.begins()
	return w.ResponseWriter.Write(body)
}

func (w *writer) WriteString(body string) (int, error) {
	w.begins()
	return w.ResponseWriter.WriteString(body)
}

func (w *writer) WriteHeaderNow() {
	w.begins()
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Flush() {
	w.begins()
	w.ResponseWriter.Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	fresh := !w.Written()
	w.begins()
	conn, buffer, err := w.ResponseWriter.Hijack()
	w.hijacked = fresh && err == nil
	return conn, buffer, err
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func route(c *gin.Context, status int) string {
	if path := c.FullPath(); path != "" || status != http.StatusMethodNotAllowed {
		return path
	}
	server, _ := c.Request.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil {
		return ""
	}
	engine, _ := server.Handler.(*gin.Engine)
	if engine == nil {
		return ""
	}
	// None of the request's own method matches, or it would have been answered.
	best := ""
	for _, route := range engine.Routes() {
		if matches(route.Path, c.Request.URL.Path) && (best == "" || before(route.Path, best)) {
			best = route.Path
		}
	}
	return best
}

// matches: a pattern of Gin's stands for this path.
func matches(pattern, path string) bool {
	for {
		constant := strings.IndexAny(pattern, ":*")
		if constant < 0 {
			return pattern == path
		}
		if !strings.HasPrefix(path, pattern[:constant]) {
			return false
		}
		pattern, path = pattern[constant:], path[constant:]
		if pattern[0] == '*' {
			return true
		}
		value := until(path, '/')
		if value == 0 {
			return false
		}
		pattern, path = pattern[until(pattern, '/'):], path[value:]
	}
}

func until(text string, end byte) int {
	if at := strings.IndexByte(text, end); at >= 0 {
		return at
	}
	return len(text)
}

// before: of two patterns that match a path, Gin takes this one: a constant before a parameter, that
// before a catch-all, where they first differ.
func before(pattern, other string) bool {
	for i := range min(len(pattern), len(other)) {
		if pattern[i] != other[i] {
			return strings.IndexByte(":*", pattern[i]) < strings.IndexByte(":*", other[i])
		}
	}
	return false
}
