'use strict'
// The whole pattern of the route that a Hono application matched.
//
// All that matches is known before the first handler runs, middleware included; which of it came to
// answer is known afterwards.

const { normalize } = require('./client.js')

/** Where Hono keeps the handler of an application with an error handler of its own. */
const COMPOSED = '__COMPOSED_HANDLER'

/** `app.use()` and `app.all()` look alike; but a handler has no `next` to call. */
function isHandler({ method, handler }) {
  return method !== 'ALL' || (handler[COMPOSED] ?? handler).length < 2
}

function routeOf(c) {
  const routes = c.req.matchedRoutes
  const answered = c.req.routeIndex
  // Where a guard answered, the handler that it guards comes behind it.
  const handler = routes.slice(answered).find(isHandler)
  if (handler) return handler.path
  // Folders of files and mounted applications have a path of their own; where all of these passed the
  // request on, nothing matched.
  const { path } = routes[answered]
  return path === '/*' || path === '*' || c.res.status === 404 ? undefined : path
}

/** The endpoint of a request that has been answered; undefined: no route matched. */
function endpointOf(contexts) {
  let inner = contexts.at(-1)
  let pattern = routeOf(inner)
  if (pattern === undefined) return undefined
  for (const outer of contexts.slice(0, -1).reverse()) {
    if (outer.req.path !== inner.req.path) {
      const mount = outer.req.matchedRoutes[outer.req.routeIndex].path
      pattern = mount.replace(/\/?\*$/, '') + pattern
    }
    inner = outer
  }
  return normalize('hono', pattern)
}

module.exports = { endpointOf }
