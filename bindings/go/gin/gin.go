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

	"github.com/gin-gonic/gin"

	malti "github.com/libmalti/malti-go"
)

// Middleware is for [gin.Engine.Use], below [gin.Recovery]; what Gin itself answers, 404 and 405, passes
// it too. Groups may have it as well: each request is recorded once. See [malti.Middleware].
func Middleware() gin.HandlerFunc { return record }

func record(c *gin.Context) {
	ctx := c.Request.Context()
	e := malti.Begin(ctx, malti.HTTPSource(c.Request))
	if e == nil {
		c.Next()
		malti.SetRoute(ctx, "gin", c.FullPath())
		return
	}
	router := c.Writer
	w := &writer{ResponseWriter: router, exchange: e}
	c.Writer, c.Request = w, c.Request.WithContext(e)
	defer func() {
		recovered := recover()
		c.Writer = router
		e.Route("gin", c.FullPath())
		status := w.Status()
		if w.hijacked {
			status = http.StatusSwitchingProtocols
		}
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
