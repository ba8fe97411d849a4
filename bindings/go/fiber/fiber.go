// Package maltifiber records the requests of Fiber 3:
//
//	app := fiber.New()
//	app.Use(recover.New(), maltifiber.Middleware())
//
// Handlers say consumer, context and endpoint by [malti.SetConsumer] and its siblings under c.Context().
package maltifiber

import (
	"strings"

	"github.com/gofiber/fiber/v3"

	malti "github.com/libmalti/malti-go"
)

// Middleware is for [fiber.App.Use], as the first, below Fiber's own that recovers from panics. So that
// the status is the one that the client sees, it has the application's error handler answer an error,
// which then goes no further. Groups may have it as well: each request is recorded once.
//
// The time ends with the handlers: fasthttp writes the answer after them, a stream too, and tells nobody
// of a client that left.
func Middleware() fiber.Handler { return record }

func record(c fiber.Ctx) (err error) {
	ctx := c.Context()
	e := malti.Begin(ctx, source(c))
	if e == nil {
		err = c.Next()
		malti.SetRoute(ctx, "fiber", route(c))
		return err
	}
	c.SetContext(e)
	defer func() {
		recovered := recover()
		e.Route("fiber", route(c))
		e.End(c.Response().StatusCode(), true, recovered)
		if recovered != nil {
			panic(recovered)
		}
	}()
	if err = c.Next(); err != nil {
		if err = c.App().ErrorHandler(c, err); err != nil {
			err = c.SendStatus(fiber.StatusInternalServerError)
		}
	}
	return err
}

func route(c fiber.Ctx) string {
	if c.Matched() {
		return c.FullPath()
	}
	if c.Response().StatusCode() != fiber.StatusMethodNotAllowed {
		return ""
	}
	// Fiber tells no route with its 405: the first that has the path, whatever its method.
	config, path := c.App().Config(), c.Path()
	if !config.StrictRouting {
		path = strings.TrimRight(path, "/")
	}
	for _, route := range c.App().GetRoutes(true) {
		if fiber.RoutePatternMatch(path, route.Path, config) {
			return route.Path
		}
	}
	return ""
}

// source copies what handlers could change before the end.
func source(c fiber.Ctx) malti.Source {
	request := c.Request()
	return malti.Source{
		Method: string(request.Header.Method()),
		Path:   string(request.URI().Path()),
		Query:  string(request.URI().QueryString()),
		Peer:   c.RequestCtx().RemoteAddr().String(),
		Host:   string(request.Header.Host()),
		Header: headers{c},
	}
}

type headers struct{ fiber.Ctx }

// Values are read by [malti.Begin], which copies them.
func (h headers) Values(name string) []string {
	var values []string
	for _, value := range h.Request().Header.PeekAll(name) {
		values = append(values, string(value))
	}
	return values
}
