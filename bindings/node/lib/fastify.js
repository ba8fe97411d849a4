'use strict'
// Fastify 5: `await app.register(malti)`, before the routes that it is to see.

const { normalize, prepare } = require('./client.js')
const { current, exchangeOf, follow } = require('./exchange.js')

function malti(fastify, settings, done) {
  const { prefix, logLevel, ...own } = settings
  prepare(own)
  if (!fastify.hasRequestDecorator('malti')) fastify.decorateRequest('malti', null)

  fastify.addHook('onRequest', (request, reply, next) => {
    const route = () => (request.is404 ? undefined : normalize('fastify', request.routeOptions.url ?? '/'))
    const exchange = follow(request.raw, reply.raw, route)
    request.malti = request.raw.malti
    if (exchange === null) next()
    else current.run(exchange, next)
  })
  // Where a body was read, that has led out of the request's context.
  fastify.addHook('preValidation', (request, reply, next) => {
    if (request.malti === current.getStore()) return next()
    const exchange = exchangeOf(reply.raw)
    if (exchange === undefined) next()
    else current.run(exchange, next)
  })
  done()
}

// The hooks are for the routes of whoever registers it, as with fastify-plugin.
malti[Symbol.for('skip-override')] = true
malti[Symbol.for('fastify.display-name')] = 'libmalti'

module.exports = malti
