'use strict'
// Hono, on @hono/node-server and where there are only Request and Response.

const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { before, test } = require('node:test')
const { createAdaptorServer } = require('@hono/node-server')
const { Hono } = require('hono')
const { HTTPException } = require('hono/http-exception')
const { breaking, contract, forever, pieces, reader, said } = require('./contract.js')
const { ask, brief, listening, receiver, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')
const malti = require('libmalti/hono')

const owner = wholeFile()
const news = reader()
let server

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
})

const fine = (c) => c.text('fine')
const body = (generator) => Readable.toWeb(Readable.from(generator, { objectMode: false }))

/** The routes that the contract names. */
function application() {
  const app = new Hono()
  app.use(malti())
  app.get('/things/:thing{[0-9]+}', fine)
  app.all('/things/:thing{[0-9]+}', (c) => c.text('not by this method', 405))
  app.get('/own', (c) => {
    c.get('malti').consumer = 'own'
    return c.text('fine')
  })
  app.get('/said', async (c) => c.text(await said(c.req.query('name'))))
  app.get('/stream', (c) => c.body(body(pieces())))
  app.get('/breaks', (c) => c.body(body(breaking())))
  app.get('/waits', forever)
  app.get('/boom', () => {
    throw new Error('boom')
  })
  app.onError((error, c) => error.getResponse?.() ?? c.text(error.message, 500))
  return app
}

/** Applications in applications. */
function nested() {
  const app = application()
  app.use('/admin/*', (c, next) => (c.req.header('token') ? next() : c.text('who?', 403)))
  app.get('/admin/users/:user', fine)
  app.get('/optional/:page?', fine)
  app.get('/teapot', () => {
    throw new HTTPException(418)
  })

  const orders = new Hono()
  orders.use(malti())
  orders.get('/orders/:order', fine)
  orders.all('/any/:x/*', fine)
  orders.onError((error, c) => c.text('its own', 502))
  orders.get('/boom', () => {
    throw new Error('boom')
  })
  app.route('/tenants/:tenant', orders)
  app.basePath('/v1').get('/late/:x', fine)

  const mounted = new Hono()
  mounted.use(malti())
  mounted.get('/deep/:z', (c) => {
    c.get('malti').consumer = 'deep'
    return c.text('deep', c.req.param('z') === '0' ? 404 : 200)
  })
  app.mount('/mounted', mounted.fetch)
  app.mount('/foreign', (request) => new Response(request.url))
  // Behind the handlers, as some write it.
  app.use('*', (c, next) => next())
  return app
}

const NESTED = [
  ['/admin/users/7', '/admin/users/{user} 403'],
  ['/admin/nope', '/admin/nope 404', { token: 'x' }],
  ['/admin/users/7', '/admin/users/{user} 200', { token: 'x' }],
  ['/optional', '/optional/{page} 200'],
  ['/teapot', '/teapot 418'],
  ['/tenants/acme/orders/9', '/tenants/{tenant}/orders/{order} 200'],
  ['/tenants/acme/any/1/b/c', '/tenants/{tenant}/any/{x}/* 200'],
  ['/tenants/acme/boom', '/tenants/{tenant}/boom 502'],
  ['/v1/late/4', '/v1/late/{x} 200'],
  ['/mounted/deep/5', '/mounted/deep/{z} 200', {}, 'deep'],
  ['/mounted/deep/0', '/mounted/deep/{z} 404', {}, 'deep'],
  ['/mounted/nope', '/mounted/nope 404'],
  ['/foreign/anything/7', '/foreign/* 200'],
]
const EXPECTED = NESTED.map(([, record, , consumer = 'anonymous']) => `GET ${record} ${consumer}`)

contract(test, 'node', async () => {
  const port = await listening(owner, createAdaptorServer(application()))
  return { server, port, news }
})

test('applications in applications', async () => {
  const port = await listening(owner, createAdaptorServer(nested()))
  for (const [target, record, headers = {}] of NESTED) {
    assert.equal(await ask(port, target, { headers }), Number(record.split(' ')[1]), target)
  }
  assert.deepEqual((await news(server, NESTED.length)).map(brief), EXPECTED)
})

test('the same by Request and Response', async () => {
  const app = nested()
  for (const [target, , headers = {}] of NESTED) await app.request(target, { headers })
  assert.deepEqual((await news(server, NESTED.length)).map(brief), EXPECTED)
})

test('bodies by Request and Response', async () => {
  const app = application()
  assert.equal(await (await app.request('/things/7')).text(), 'fine')
  assert.equal(await (await app.request('/things/7', { method: 'HEAD' })).text(), '')
  const streamed = await app.request('/stream', { headers: { 'X-Consumer-Id': 'me' } })
  assert.equal(streamed.headers.get('content-type'), null)
  assert.equal(await streamed.text(), 'ab')
  await assert.rejects((await app.request('/breaks')).text(), /on purpose/)
  const left = (await app.request('/stream')).body.getReader()
  await left.read()
  await left.cancel()
  const gone = new AbortController()
  app.request('/waits', { signal: gone.signal })
  gone.abort()
  const records = await news(server, 6)
  assert.deepEqual(records.map(brief), [
    'GET /things/{thing} 200 anonymous',
    'HEAD /things/{thing} 200 anonymous',
    'GET /stream 200 me',
    'GET /breaks 500 anonymous',
    'GET /stream 200 anonymous',
    'GET /waits 499 anonymous',
  ])
  assert.ok(records[2].response_time >= 110, records[2].response_time)
})

test('a request inside a request is another one', async () => {
  const inner = application()
  const app = new Hono()
  app.use(malti())
  app.get('/outer', async (c) => {
    await inner.request('/things/1')
    libmalti.setConsumer('outer')
    return c.text('fine')
  })
  await app.request('/outer')
  // A websocket's handshake is none.
  await app.request('/outer-socket', { headers: { Upgrade: 'websocket' } })
  await app.request('/outer', { headers: { 'X-User-Id': 'not asked' } })
  const one = ['GET /things/{thing} 200 anonymous', 'GET /outer 200 outer']
  assert.deepEqual((await news(server, 4)).map(brief), [...one, ...one])
})

test('an address is that of the runtime, and what is thrown goes on', async () => {
  await libmalti.shutdown(60_000)
  libmalti.init({ ...server.settings, clean_mode: false, use_ip_as_consumer: true })
  const app = new Hono()
  app.use(malti())
  app.get('/', fine)
  app.get('/odd', () => Promise.reject('no error'))
  await app.request('/', {}, { remoteAddr: { hostname: '192.0.2.7' } })
  await app.request('/', {}, { requestIP: () => ({ address: '192.0.2.8' }) })
  await assert.rejects(app.request('/odd'), (thrown) => thrown === 'no error')
  await libmalti.flush(60_000)
  assert.deepEqual((await server.records()).slice(-3).map(brief), [
    'GET / 200 192.0.2.7',
    'GET / 200 192.0.2.8',
    'GET /odd 500 anonymous',
  ])
})
