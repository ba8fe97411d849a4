'use strict'
// Hono 4: `app.use(malti())`, before the routes that it is to see.

const { client, prepare } = require('./client.js')
const { current, exchangeOf, follow } = require('./exchange.js')
const { FetchExchange, followFetch } = require('./fetch_exchange.js')
const { endpointOf } = require('./hono_route.js')

/** The contexts that a request has come through: the application's, then those of mounted ones. */
const CONTEXTS = Symbol('contexts')

/** Under @hono/node-server node's own response tells more than Hono's: its end, and who left. */
function onNode(c, next) {
  const { incoming, outgoing } = c.env
  if (enter(exchangeOf(outgoing), c)) return next()
  const contexts = [c]
  const exchange = follow(incoming, outgoing, () => endpointOf(contexts))
  c.set('malti', incoming.malti)
  // Around it may be a middleware of another kind.
  const followed = exchange ?? exchangeOf(outgoing)
  if (followed !== undefined) followed[CONTEXTS] = contexts
  return exchange === null ? next() : current.run(exchange, next)
}

/** On other runtimes, and for `app.request()`, there is the Response alone. */
async function onFetch(c, next) {
  const around = current.getStore()
  if (around instanceof FetchExchange && around.isAround(c.req.raw)) {
    enter(around, c)
    return next()
  }
  // A handshake's Response is not what the client gets.
  if (c.req.raw.headers.get('upgrade')?.toLowerCase() === 'websocket') {
    c.set('malti', {})
    return next()
  }
  const contexts = [c]
  const peer = client.readsPeer ? peerOf(c) : undefined
  const exchange = followFetch(c.req.raw, peer, () => endpointOf(contexts))
  c.set('malti', exchange ?? {})
  if (exchange === null) return next()
  exchange[CONTEXTS] = contexts
  try {
    await current.run(exchange, next)
  } catch (error) {
    exchange.end(500)
    throw error
  }
  const { res } = c
  const watched = await exchange.answered(res)
  if (watched !== res) {
    // Hono adds the headers of a response to the one that takes its place.
    c.res = undefined
    c.res = watched
  }
}

/** Adds a context to those of its request. False: it is the first one. */
function enter(exchange, c) {
  const contexts = exchange?.[CONTEXTS]
  if (contexts === undefined) return false
  if (!contexts.includes(c)) contexts.push(c)
  c.set('malti', exchange)
  return true
}

/** Deno's `env` has the address, Bun's tells it. */
function peerOf({ env, req }) {
  const server = env?.server ?? env
  return server?.remoteAddr?.hostname ?? server?.requestIP?.(req.raw)?.address
}

function malti(settings) {
  prepare(settings)
  return function malti(c, next) {
    return c.env?.outgoing?.once ? onNode(c, next) : onFetch(c, next)
  }
}

module.exports = malti
