'use strict'
// Express 4 and 5: the pattern of the route, whatever it is mounted in.

const assert = require('node:assert/strict')
const http = require('node:http')
const { before, test } = require('node:test')
const { ask, brief, delivered, listening, receiver, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')
const malti = require('libmalti/express')

const owner = wholeFile()
let server
let seen = 0

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
})

const fine = (req, res) => res.send('fine')

// The routers of Express 5 keep the paths of their layers only since some version.
for (const name of ['express', 'express-5.1', 'express-4']) {
  const express = require(name)
  const optional = name !== 'express-4' ? '{/:o}' : '/:o?'

  const orders = express.Router({ mergeParams: true })
  orders.get('/orders/:order_id', fine)
  orders.get('/', fine)
  orders.get('/boom/:x', () => {
    throw new Error('boom')
  })

  const inner = express()
  inner.get('/deep/:z', (req, res) => {
    req.malti.consumer = 'deep'
    res.send('deep')
  })
  const outer = express()
  outer.use(malti())
  outer.use('/inner/:k', inner)
  outer.use('/r/:rr', orders)
  outer.get('/in/:y', fine)

  const app = express()
  app.set('env', 'test')
  app.use(malti())
  // Before all others: the way to each of those leads past them.
  app.get(/^\/class([|^]+)$/, fine)
  app.get(/^\/group\/(x|^y)$/, fine)
  app.get('/users/:user_id', fine)
  app.use('/tenants/:tenant', orders)
  app.use(['/a/:aa', '/b/:bb'], orders)
  app.use(name === 'express-4' ? '/any/:rest/end' : '/any/*rest/end', orders)
  app.use('/sub/:id', outer)
  app.use(`/n${optional}/y`, orders)
  app.use(/\/rx\/(\d+)/, orders)
  app.get(['/l1/:p', '/l2/:q'], fine)
  app.get(/^\/re\/(\d+)$/, fine)
  app
    .route('/only/:x')
    .get(fine)
    .all((req, res) => res.status(405).end())
  app.use('/hidden/:c', (req, res, next) => express.Router().use('/:d', orders)(req, res, next))
  app.get('/late', (req, res) => {
    app.use('/late/:mount', orders)
    res.end()
  })
  app.use((error, req, res, next) => {
    if (res.headersSent) return next(error)
    return res.status(500).send(error.message)
  })

  test(`${name}: patterns`, async () => {
    const port = await listening(owner, http.createServer(app))
    const cases = [
      ['/users/7?x=1', '/users/{user_id} 200'],
      ['/users/7/', '/users/{user_id} 200'],
      ['/tenants/acme/orders/9', '/tenants/{tenant}/orders/{order_id} 200'],
      ['/TENANTS/orders/orders/9', '/tenants/{tenant}/orders/{order_id} 200'],
      ['/tenants/tenants', '/tenants/{tenant} 200'],
      ['/tenants/acme/boom/1', '/tenants/{tenant}/boom/{x} 500'],
      ['/a/1/orders/2', '/a/{aa}/orders/{order_id} 200'],
      ['/b/2/orders/3', '/b/{bb}/orders/{order_id} 200'],
      ['/any/x/end/orders/9', '/any/{rest}/end/orders/{order_id} 200'],
      ['/sub/1/in/2', '/sub/{id}/in/{y} 200'],
      ['/sub/1/inner/2/deep/3', '/sub/{id}/inner/{k}/deep/{z} 200', 'deep'],
      ['/sub/9/r/8/orders/7', '/sub/{id}/r/{rr}/orders/{order_id} 200'],
      ['/n/5/y/orders/1', '/n/{o}/y/orders/{order_id} 200'],
      ['/rx/55/orders/1', '/rx/{0}/orders/{order_id} 200'],
      ['/l1/x', '/l1/{p} 200'],
      ['/l2/y', '/l2/{q} 200'],
      ['/re/12', '/re/{0} 200'],
      ['/class|', '/class{0} 200'],
      ['/group/x', '/group/{0} 200'],
      ['/hidden/secret/secret/orders/2', '/*/orders/{order_id} 200'],
      ['/late', '/late 200'],
      ['/late/5/orders/6', '/late/{mount}/orders/{order_id} 200'],
      ['/nope/1', '/nope/1 404'],
    ]
    for (const [target] of cases) await ask(port, target)
    assert.equal(await ask(port, '/only/1', { method: 'DELETE' }), 405)
    const records = await delivered(server, seen, cases.length + 1)
    seen += records.length
    const wanted = cases.map(([, record, consumer = 'anonymous']) => `GET ${record} ${consumer}`)
    assert.deepEqual(records.map(brief), [...wanted, 'DELETE /only/{x} 405 anonymous'])
  })
}

for (const name of ['express', 'express-4']) {
  test(`${name}: req.malti is the same for whoever has the request, and can be another`, async () => {
    const express = require(name)
    const inner = express().use(malti(), (req, res, next) => {
      req.inner = req.malti
      next()
    })
    const app = express()
      .use('/inner', inner)
      .use((req, res) => {
        req.malti.consumer = req.malti === req.inner ? 'same' : 'another'
        req.malti = 'mine'
        res.send(req.malti)
      })
    const port = await listening(owner, http.createServer(app))
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/inner`)).text(), 'mine')
    const records = await delivered(server, seen, 1)
    seen += records.length
    assert.deepEqual(records.map(brief), ['GET /inner 200 same'])
  })
}

test('a server without Express has req.malti too', async () => {
  const middleware = malti()
  const app = (req, res) => {
    middleware(req, res, () => {
      req.malti.consumer = 'plain'
      res.end()
    })
  }
  const port = await listening(owner, http.createServer(app))
  assert.equal(await ask(port, '/plain'), 200)
  const records = await delivered(server, seen, 1)
  seen += records.length
  assert.deepEqual(records.map(brief), ['GET /plain 200 plain'])
})

test('without a client req.malti is there all the same', async () => {
  await libmalti.shutdown(60_000)
  const app = require('express')()
  app.use(malti())
  app.get('/', (req, res) => {
    req.malti.consumer = 'x'
    res.send('fine')
  })
  const port = await listening(owner, http.createServer(app))
  assert.equal(await ask(port, '/'), 200)
})
