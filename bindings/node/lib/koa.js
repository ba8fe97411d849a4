'use strict'
// Koa 3, with @koa/router: `app.use(malti())`, before the routes that it is to see.

const { prepare } = require('./client.js')
const { current, follow } = require('./exchange.js')
const { endpointOf, watchMounts } = require('./koa_route.js')

function malti(settings) {
  prepare(settings)
  return function malti(ctx, next) {
    watchMounts(ctx)
    const exchange = follow(ctx.req, ctx.res, () => endpointOf(ctx))
    ctx.state.malti = ctx.req.malti
    return exchange === null ? next() : current.run(exchange, next)
  }
}

module.exports = malti
