//go:build cgo

package maltigin_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	malti "github.com/libmalti/malti-go"
	maltigin "github.com/libmalti/malti-go/gin"
	"github.com/libmalti/malti-go/internal/routertest"
)

func TestMain(m *testing.M) { routertest.Main(m) }

func fine(c *gin.Context) { c.String(http.StatusOK, "fine") }

func TestRequests(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.Use(gin.RecoveryWithWriter(io.Discard), maltigin.Middleware())
	r.GET("/users/:user_id", fine)
	r.GET("/files/*path", fine)
	api := r.Group("/api", func(c *gin.Context) {
		if c.FullPath() == "/api/private" {
			c.AbortWithStatus(http.StatusUnauthorized)
		}
	})
	api.GET("/private", fine)
	inner := api.Group("/v1", maltigin.Middleware())
	inner.GET("/items/:item", fine)
	r.GET("/who", func(c *gin.Context) {
		malti.SetConsumer(c.Request.Context(), "st")
		malti.SetContext(c.Request.Context(), "plan=pro")
	})
	r.GET("/renamed", func(c *gin.Context) {
		malti.SetEndpoint(c.Request.Context(), "/custom/{x}")
	})
	r.GET("/later", func(c *gin.Context) {
		routertest.Later(c.Request.Context(), c.Query("name"))
	})
	r.GET("/boom", func(*gin.Context) { panic("boom") })
	r.GET("/conflict", func(c *gin.Context) { c.Status(http.StatusConflict) })
	r.GET("/stream", func(c *gin.Context) {
		fmt.Fprintln(c.Writer, "one")
		c.Writer.Flush()
		<-routertest.Gate
		fmt.Fprintln(c.Writer, "two")
	})
	r.GET("/hijack", func(c *gin.Context) { routertest.Hijack(c.Writer) })
	r.GET("/left", func(c *gin.Context) { <-c.Request.Context().Done() })
	// Of those that match, Gin takes the one with the earlier constant.
	r.GET("/users/me", fine)
	r.PUT("/users/:user_id/*rest", fine)
	router := routertest.Router{Handler: r, More: map[string]string{
		"DELETE /users/me":     "DELETE /users/me 405 anonymous",
		"DELETE /users/me/a/b": "DELETE /users/{user_id}/{rest} 405 anonymous",
		"DELETE /files/a/b":    "DELETE /files/{path} 405 anonymous",
		"DELETE /users/":       "DELETE /users/ 404 anonymous",
	}}
	router.Run(t)
}

func TestExample(t *testing.T) {
	routertest.Example(t, "./example", []string{"/api/users/7"}, "/api/users/{id}")
}
