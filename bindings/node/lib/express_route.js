'use strict'
// The whole pattern of the route that an Express application matched, mounts included.
//
// Of the mounts a request remembers values alone, and after an error not even those. So the way from
// the application's router to the route is looked for once, and kept with the route.

const { pathOf } = require('./exchange.js')
const { matchOf, written } = require('./express_layer.js')

/** Of each route the ways that lead to it, as lists of layers; most have one. */
const ways = new WeakMap()

const routerOf = (app) => app._router ?? app.router

function appsOf(app) {
  const apps = [app]
  while (apps[0].parent) apps.unshift(apps[0].parent)
  return apps
}

function rest(path, matched) {
  const left = path.slice(matched.length)
  return left.startsWith('/') ? left : `/${left}`
}

/** The layers that lead from a stack to a route on `path`, the route's own the last. */
function search(stack, path, route, owner, apps) {
  for (const layer of stack) {
    if (layer.route) {
      if (layer.route === route && matchOf(layer, path)) return [layer]
      continue
    }
    let inner = layer.handle
    let app = owner
    if (layer.name === 'mounted_app') inner = app = apps.find((child) => child.parent === owner)
    else if (apps.includes(inner)) app = inner
    const innerStack = inner?.stack ?? (apps.includes(inner) ? routerOf(inner).stack : undefined)
    const found = innerStack && matchOf(layer, path)
    const way = found && search(innerStack, rest(path, found.matched), route, app, apps)
    if (way) return [layer, ...way]
  }
  return undefined
}

/** The pattern of a way, if `path` takes it. */
function patternOf(way, path) {
  let prefix = ''
  for (const layer of way) {
    const found = matchOf(layer, path)
    if (found === undefined) return undefined
    if (layer.route) return join(prefix, own(layer, found))
    prefix = join(prefix, found.pattern)
    path = rest(path, found.matched)
  }
  return undefined
}

function own(layer, found) {
  const { path } = layer.route
  return Array.isArray(path) ? found.pattern : written(path)
}

/** Express takes "/users" and "/users/" for the same. */
function join(prefix, pattern) {
  if (prefix === '') return pattern
  return pattern === '' || pattern === '/' ? prefix : prefix.replace(/\/$/, '') + pattern
}

/** The endpoint of a request that has been answered; undefined: no route matched. */
function endpointOf(req) {
  const { route } = req
  if (!route) return undefined
  const path = pathOf(req.originalUrl)
  const known = ways.get(route) ?? []
  for (const way of known) {
    const pattern = patternOf(way, path)
    if (pattern !== undefined) return pattern
  }
  const apps = appsOf(req.app)
  const way = search(routerOf(apps[0]).stack, path, route, apps[0], apps)
  if (way === undefined) {
    // A handler of the application's own stands between and hides the mount.
    const pattern = Array.isArray(route.path) ? route.path[0] : route.path
    return join(req.baseUrl ? '/*' : '', written(pattern))
  }
  ways.set(route, [...known, way])
  return patternOf(way, path)
}

module.exports = { endpointOf }
