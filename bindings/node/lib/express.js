'use strict'
// Express 4 and 5: `app.use(malti())`, before the routes that it is to see.

const { IncomingMessage } = require('node:http')
const { prepare } = require('./client.js')
const { current, exchangeOf, follow } = require('./exchange.js')
const { endpointOf } = require('./express_route.js')

/** `req.malti` of Express's requests. */
const MALTI = {
  configurable: true,
  get() {
    return this.res && exchangeOf(this.res)
  },
  set(value) {
    Object.defineProperty(this, 'malti', { value, configurable: true, enumerable: true, writable: true })
  },
}

/**
 * Gives the prototype that all of Express's requests share a `malti`. Express has changed theirs, and
 * of such an object V8 keeps no shape: to add a property to it takes microseconds.
 */
function adorn(req) {
  let prototype = Object.getPrototypeOf(req)
  if ('malti' in prototype) return
  for (;;) {
    const next = Object.getPrototypeOf(prototype)
    if (next === null) return
    if (next === IncomingMessage.prototype) break
    prototype = next
  }
  Object.defineProperty(prototype, 'malti', MALTI)
}

function malti(settings) {
  prepare(settings)
  return function malti(req, res, next) {
    adorn(req)
    const exchange = follow(req, res, endpointOf)
    if (exchange === null) next()
    else current.run(exchange, next)
  }
}

module.exports = malti
