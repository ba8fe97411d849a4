'use strict'
// Express 4 and 5: `app.use(malti())`, before the routes that it is to see.

const { prepare } = require('./client.js')
const { current, follow } = require('./exchange.js')
const { endpointOf } = require('./express_route.js')

function malti(settings) {
  prepare(settings)
  return function malti(req, res, next) {
    const exchange = follow(req, res, endpointOf)
    if (exchange === null) next()
    else current.run(exchange, next)
  }
}

module.exports = malti
