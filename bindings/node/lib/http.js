'use strict'
// Servers without a framework: node:http, node:https, node:http2.

const { prepare } = require('./client.js')
const { current, follow } = require('./exchange.js')

const EVENTS = new Set(['request', 'checkContinue', 'checkExpectation'])
const INSTRUMENTED = Symbol.for('libmalti.instrumented')

/**
 * Records each request that `server` gets from now on. `endpoint(req)` names its route, in normal
 * form ("/users/{user_id}"); undefined: the path stands for it.
 */
function instrument(server, { endpoint = () => undefined, ...settings } = {}) {
  if (typeof server?.emit !== 'function') throw new TypeError('server is a server of node:http')
  if (typeof endpoint !== 'function') throw new TypeError('endpoint is a function')
  prepare(settings)
  if (server[INSTRUMENTED]) return server
  server[INSTRUMENTED] = true
  const { emit } = server
  server.emit = function (event, req, res) {
    const exchange = EVENTS.has(event) ? follow(req, res, endpoint) : null
    if (exchange === null) return emit.apply(this, arguments)
    return current.run(exchange, () => emit.apply(this, arguments))
  }
  return server
}

module.exports = { instrument }
