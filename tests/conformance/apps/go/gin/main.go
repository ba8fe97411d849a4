// The routes of the suite on Gin.
package main

import (
	"net/http"
	"strings"

	"conformance/serving"

	"github.com/gin-gonic/gin"

	maltigin "github.com/libmalti/malti-go/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.Use(func(c *gin.Context) {
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.Next() })
		serving.Errors(next).ServeHTTP(c.Writer, c.Request)
	})
	if !serving.Bare {
		r.Use(maltigin.Middleware())
	}
	r.Match([]string{"GET", "HEAD"}, "/users/:user_id", gin.WrapF(serving.SayPath))
	r.GET("/files/*path", gin.WrapF(serving.SayPath))
	orders := r.Group("/tenants/:tenant")
	if !serving.Bare {
		orders.Use(maltigin.Middleware())
	}
	orders.GET("/orders/:order_id", gin.WrapF(serving.SayPath))
	r.GET("/code/:code", gin.WrapF(serving.Code))
	for pattern, handler := range serving.Routes {
		method, path, _ := strings.Cut(pattern, " ")
		r.Handle(method, path, gin.WrapF(handler))
	}
	serving.Main(r)
}
