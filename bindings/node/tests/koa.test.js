'use strict'
// Koa with @koa/router.

const assert = require('node:assert/strict')
const http = require('node:http')
const { before, test } = require('node:test')
const Router = require('@koa/router')
const Koa = require('koa')
const mount = require('koa-mount')
const { reader } = require('./contract.js')
const { ask, brief, listening, receiver, wait, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')
const malti = require('libmalti/koa')

const owner = wholeFile()
const news = reader()
let server

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
})

test('patterns, callers and errors', async () => {
  const orders = new Router()
  orders.get('/orders/:order_id', async (ctx) => {
    await wait(5)
    libmalti.setConsumer('own')
    ctx.body = 'fine'
  })
  const router = new Router({ prefix: '/v1' })
  router.get('/users/:user_id', (ctx) => (ctx.body = 'fine'))
  router.use('/tenants/:tenant', orders.routes())
  router.get('/boom', () => {
    throw new Error('boom')
  })
  router.get(['/left/:l', '/right/:r'], (ctx) => {
    ctx.state.malti.consumer = 'state'
    ctx.body = 'fine'
  })
  router.get(/^\/number\/(\d+)$/, (ctx) => (ctx.body = 'fine'))
  const app = new Koa()
  app.silent = true
  app.use(malti())
  app.use(malti())
  app.use(router.routes()).use(router.allowedMethods())
  const port = await listening(owner, http.createServer(app.callback()))
  const cases = [
    ['/v1/users/7?user_id=q', '/v1/users/{user_id} 200 q'],
    ['/v1/tenants/acme/orders/9', '/v1/tenants/{tenant}/orders/{order_id} 200 own'],
    ['/v1/boom', '/v1/boom 500 anonymous'],
    ['/v1/left/7', '/v1/left/{l} 200 state'],
    ['/v1/right/7', '/v1/right/{r} 200 state'],
    ['/number/7', '/number/{0} 200 anonymous'],
    ['/nope', '/nope 404 anonymous'],
  ]
  for (const [target] of cases) await ask(port, target)
  assert.equal(await ask(port, '/v1/users/7', { method: 'DELETE' }), 405)
  assert.deepEqual((await news(server, cases.length + 1)).map(brief), [
    ...cases.map(([, record]) => `GET ${record}`),
    'DELETE /v1/users/7 405 anonymous',
  ])
})

/** An application with a router, to be mounted. */
function things(...layers) {
  const router = new Router()
  router.get('/', (ctx) => (ctx.body = 'fine'))
  router.get('/things/:thing', (ctx) => (ctx.body = 'fine'))
  router.get('/boom/:x', () => {
    throw new Error('boom')
  })
  const app = new Koa()
  for (const layer of layers) app.use(layer)
  return app.use(router.routes())
}

/** Applications in applications, with the line in those that are mounted; `outside`: around them too. */
function mounted(outside) {
  const app = new Koa()
  app.silent = true
  if (outside) app.use(malti())
  const inner = things(malti())
  app.use(mount('/x', mount('/y', inner)))
  app.use(mount('/a', things(malti(), mount('/b', inner))))
  // The first of these passes its requests on.
  app.use(mount('/f', new Koa().use(malti())))
  app.use(mount('/f/g', things(malti())))
  app.use(mount(inner))
  app.use((ctx, next) => {
    ctx.path = ctx.path.replace(/^\/secret/, '')
    return next()
  })
  app.use(mount('/c', inner))
  return app
}

test('applications that koa-mount has mounted', async () => {
  const port = await listening(owner, http.createServer(mounted(true).callback()))
  const cases = [
    ['/a/things/7', '/a/things/{thing} 200'],
    ['/a', '/a 200'],
    ['/a/', '/a 200'],
    ['/a/b/things/7', '/a/b/things/{thing} 200'],
    ['/a/b/boom/7', '/a/b/boom/{x} 500'],
    ['/f/g/things/7', '/f/g/things/{thing} 200'],
    ['/things/a', '/things/{thing} 200'],
    ['/a/nope/7', '/a/nope/7 404'],
    ['/secret/c/things/7', '/c/things/{thing} 200'],
    ['/boom/a/b', '/boom/a/b 404'],
  ]
  for (const [target] of cases) await ask(port, target)
  assert.deepEqual(
    (await news(server, cases.length)).map(brief),
    cases.map(([, record]) => `GET ${record} anonymous`),
  )
})

test('the line in a mounted application alone', async () => {
  for (const [target, ...records] of [
    ['/a/b/things/7', '/a/b/things/{thing} 200', '/a/b/things/{thing} 200'],
    // Of the first request it is not known what is around the innermost mount.
    ['/x/y/things/7', '/*/y/things/{thing} 200', '/x/y/things/{thing} 200'],
  ]) {
    const port = await listening(owner, http.createServer(mounted(false).callback()))
    for (const _ of records) await ask(port, target)
    assert.deepEqual(
      (await news(server, records.length)).map(brief),
      records.map((record) => `GET ${record} anonymous`),
    )
  }
})
