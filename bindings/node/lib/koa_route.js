'use strict'
// The whole pattern of the route that a Koa application matched, the paths of koa-mount included.
//
// koa-mount takes its path away from the context's before a router sees it, and remembers the innermost
// alone. So what mounts and routers set in the application's contexts is noticed when they set it.

const { normalize } = require('./client.js')
const { pathOf } = require('./exchange.js')

/** Of a context: its innermost mount so far, and that in which its route was matched. */
const MOUNT = Symbol('mount')
const ROUTE_MOUNT = Symbol('mount of the route')

/** Calls `notice(context, value)` where a property of an application's contexts is set. */
function watch(contexts, name, notice) {
  const held = Symbol(name)
  Object.defineProperty(contexts, name, {
    configurable: true,
    enumerable: true,
    get() {
      return this[held]
    },
    set(value) {
      this[held] = value
      notice(this, value)
    },
  })
}

/** The mount that a context is in now, for what none took has left it; undefined: none. */
function mountOf(ctx) {
  let mount = ctx[MOUNT]
  while (mount !== undefined && mount.path !== ctx.path) mount = mount.outer
  return mount
}

function enter(ctx, prefix) {
  const outer = mountOf(ctx)
  const path = ctx.path.slice(prefix.length) || '/'
  ctx[MOUNT] = { outer, path, pattern: (outer?.pattern ?? '') + prefix }
}

/** Begins to watch the contexts of a context's application. */
function watchMounts(ctx) {
  const { context } = ctx.app
  if (Object.hasOwn(context, MOUNT)) return
  context[MOUNT] = undefined
  watch(context, 'mountPath', enter)
  watch(context, '_matchedRoute', (inner) => (inner[ROUTE_MOUNT] = mountOf(inner)))
  if (!Object.hasOwn(ctx, 'mountPath')) return
  // This one came through mounts before: the innermost is known, and has taken its path away.
  const { mountPath, path, originalUrl } = ctx
  delete ctx.mountPath
  ctx.mountPath = mountPath
  const outer = pathOf(originalUrl).startsWith(mountPath) ? '' : '/*'
  ctx[MOUNT] = { path, pattern: outer + mountPath }
}

/** The endpoint of a request that has been answered; undefined: no route matched path and method. */
function endpointOf(ctx) {
  const route = ctx._matchedRoute
  if (route === undefined) return undefined
  const pattern = normalize('koa', String(route))
  const mount = ctx[ROUTE_MOUNT]
  if (mount === undefined) return pattern
  const prefix = normalize('plain', mount.pattern)
  return pattern === '/' ? prefix : prefix + pattern
}

module.exports = { endpointOf, watchMounts }
