// The routes of the suite on Echo 4.
package main

import (
	"net/http"
	"strings"

	"conformance/serving"

	"github.com/labstack/echo/v4"

	maltiecho "github.com/libmalti/malti-go/echo"
)

func main() {
	e := echo.New()
	orders := e.Group("/tenants/:tenant")
	if !serving.Bare {
		e.Use(maltiecho.Middleware())
		orders.Use(maltiecho.Middleware())
	}
	say := echo.WrapHandler(http.HandlerFunc(serving.SayPath))
	e.Match([]string{"GET", "HEAD"}, "/users/:user_id", say)
	e.GET("/files/*", say)
	orders.GET("/orders/:order_id", say)
	e.GET("/code/:code", echo.WrapHandler(http.HandlerFunc(serving.Code)))
	for pattern, handler := range serving.Routes {
		method, path, _ := strings.Cut(pattern, " ")
		e.Add(method, path, echo.WrapHandler(handler))
	}
	serving.Main(serving.Errors(e))
}
