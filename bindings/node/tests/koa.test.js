'use strict'
// Koa with @koa/router.

const assert = require('node:assert/strict')
const http = require('node:http')
const { before, test } = require('node:test')
const Router = require('@koa/router')
const Koa = require('koa')
const { ask, brief, delivered, listening, receiver, wait, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')
const malti = require('libmalti/koa')

const owner = wholeFile()
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
  const app = new Koa()
  app.silent = true
  app.use(malti())
  app.use(malti())
  app.use(router.routes()).use(router.allowedMethods())
  const port = await listening(owner, http.createServer(app.callback()))
  for (const target of ['/v1/users/7?user_id=q', '/v1/tenants/acme/orders/9', '/v1/boom', '/nope']) {
    await ask(port, target)
  }
  assert.equal(await ask(port, '/v1/users/7', { method: 'DELETE' }), 405)
  assert.deepEqual((await delivered(server, 0, 5)).map(brief), [
    'GET /v1/users/{user_id} 200 q',
    'GET /v1/tenants/{tenant}/orders/{order_id} 200 own',
    'GET /v1/boom 500 anonymous',
    'GET /nope 404 anonymous',
    'DELETE /v1/users/7 405 anonymous',
  ])
})
