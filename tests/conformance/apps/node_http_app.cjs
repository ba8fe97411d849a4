'use strict'
// The routes of the suite on node:http alone, with a table of its own.

const http = require('node:http')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { text } = require('node:stream/consumers')
const libmalti = require('libmalti')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

function answer(res, body, status = 200) {
  res.writeHead(status, { 'Content-Type': 'text/plain' }).end(body)
}

const sayPath = (req, res, url) => answer(res, url.pathname)

async function create(req, res) {
  try {
    JSON.parse(await text(req))
  } catch {
    return answer(res, 'not JSON', 422)
  }
  return answer(res, 'created', 201)
}

const ROUTES = [
  ['GET HEAD', '/users/{user_id}', sayPath],
  ['POST', '/items', create],
  ['GET', '/files/{path}', sayPath],
  ['GET', '/tenants/{tenant}/orders/{order_id}', sayPath],
  ['GET', '/stream', (req, res) => pipeline(Readable.from(chunks()), res).catch(() => {})],
  [
    'GET',
    '/boom',
    () => {
      throw new Error('boom')
    },
  ],
  ['GET', '/boom-late', (req, res) => pipeline(Readable.from(broken()), res).catch(() => {})],
  [
    'GET',
    '/slow',
    async (req, res) => {
      await wait(10_000)
      answer(res, 'slow')
    },
  ],
  [
    'GET',
    '/who',
    (req, res) => {
      libmalti.setConsumer(' st ')
      libmalti.setContext('plan=pro')
      answer(res, 'who')
    },
  ],
  [
    'GET',
    '/who-null',
    (req, res) => {
      libmalti.setConsumer(null)
      answer(res, 'who-null')
    },
  ],
  ['GET', '/code/{code}', (req, res, url) => answer(res, '', Number(url.pathname.split('/')[2]))],
  [
    'GET',
    '/renamed',
    (req, res) => {
      libmalti.setEndpoint('/custom/{x}')
      answer(res, 'renamed')
    },
  ],
  [
    'GET',
    '/later',
    async (req, res, url) => {
      const name = url.searchParams.get('name')
      await wait(20)
      libmalti.setConsumer(name)
      answer(res, name)
    },
  ],
].map(([methods, pattern, handler]) => {
  const source = pattern.replace('{path}', '.+').replace(/\{\w+\}/g, '[^/]+')
  return { methods: methods.split(' '), pattern, handler, regexp: new RegExp(`^${source}$`) }
})

const routeOf = (pathname) => ROUTES.find(({ regexp }) => regexp.test(pathname))
const urlOf = (req) => new URL(req.url, 'http://127.0.0.1')

const server = http.createServer(async (req, res) => {
  const url = urlOf(req)
  const route = routeOf(url.pathname)
  if (!route) return answer(res, 'nothing here', 404)
  if (!route.methods.includes(req.method)) return answer(res, 'not by this method', 405)
  try {
    return await route.handler(req, res, url)
  } catch (error) {
    return answer(res, error.message, 500)
  }
})

if (!BARE) libmalti.instrument(server, { endpoint: (req) => routeOf(urlOf(req).pathname)?.pattern })
serve(server)
