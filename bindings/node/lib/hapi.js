'use strict'
// hapi 21: `await server.register(malti)`, in whatever order with the routes.

const { normalize, prepare } = require('./client.js')
const { current, follow } = require('./exchange.js')

/** hapi's own routes, such as that for what matches none. */
const SPECIAL = '_special'

function begin(request) {
  const { req, res } = request.raw
  const route = () => {
    const { method, path } = request.route
    return method === SPECIAL ? undefined : normalize('hapi', path)
  }
  // The stand-in that a request of inject has for a response is never closed.
  const exchange = follow(req, res, route, request.isInjected ? 'finish' : 'close')
  // hapi calls this where a request begins, and offers nothing that goes around a whole one.
  if (exchange !== null) current.enterWith(exchange)
  return req.malti
}

module.exports = {
  name: 'libmalti',
  // A plugin that brings it along for its own routes records no request twice.
  once: true,
  register(server, settings) {
    prepare(settings)
    server.decorate('request', 'malti', begin, { apply: true })
  },
}
