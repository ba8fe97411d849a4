'use strict'
// Koa 3, with @koa/router: `app.use(malti())`, before the routes that it is to see.

const { normalize, prepare } = require('./client.js')
const { current, follow } = require('./exchange.js')

function malti(settings) {
  prepare(settings)
  return function malti(ctx, next) {
    const exchange = follow(ctx.req, ctx.res, () => {
      // The router's: the whole pattern with its prefixes. Undefined: none matched path and method.
      const route = ctx._matchedRoute
      return route === undefined ? undefined : normalize('koa', String(route))
    })
    return exchange === null ? next() : current.run(exchange, next)
  }
}

module.exports = malti
