'use strict'
// A server that is instrumented, around a framework that has its own line.

const assert = require('node:assert/strict')
const http = require('node:http')
const { before, test } = require('node:test')
const { createAdaptorServer } = require('@hono/node-server')
const Hapi = require('@hapi/hapi')
const Router = require('@koa/router')
const express = require('express')
const fastify = require('fastify')
const { Hono } = require('hono')
const Koa = require('koa')
const { reader } = require('./contract.js')
const { ask, brief, listening, receiver, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')

const owner = wholeFile()
const news = reader()
let server

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
})

const said = () => libmalti.setConsumer('inner')

const SERVERS = {
  Express() {
    const app = express()
    app.use(require('libmalti/express')())
    app.get('/things/:thing', (req, res) => res.send(said()))
    return http.createServer(app)
  },
  async Fastify() {
    const app = fastify()
    await app.register(require('libmalti/fastify'))
    app.get('/things/:thing', async () => {
      said()
      return 'fine'
    })
    await app.ready()
    return app.server
  },
  Koa() {
    const router = new Router()
    router.get('/things/:thing', (ctx) => {
      said()
      ctx.body = 'fine'
    })
    const app = new Koa()
    app.use(require('libmalti/koa')()).use(router.routes())
    return http.createServer(app.callback())
  },
  Hono() {
    const things = new Hono()
    things.use(require('libmalti/hono')())
    things.get('/:thing', (c) => {
      c.get('malti').consumer = 'inner'
      return c.text('fine')
    })
    const app = new Hono()
    app.use(require('libmalti/hono')())
    app.mount('/things', things.fetch)
    return createAdaptorServer(app)
  },
  async hapi() {
    const app = Hapi.server({ debug: false })
    await app.register(require('libmalti/hapi'))
    app.route({
      method: 'GET',
      path: '/things/{thing}',
      handler(request) {
        request.malti.consumer = 'inner'
        return 'fine'
      },
    })
    await app.initialize()
    return app.listener
  },
}

for (const [name, make] of Object.entries(SERVERS)) {
  test(`${name}: the pattern is the inner one's, else the outer one's, else the path`, async () => {
    const endpoint = (req) => (req.url.startsWith('/outer/') ? '/outer/{name}' : undefined)
    const port = await listening(owner, libmalti.instrument(await make(), { endpoint }))
    for (const target of ['/things/7?user_id=q', '/outer/7', '/nope/7']) await ask(port, target)
    assert.deepEqual((await news(server, 3)).map(brief), [
      'GET /things/{thing} 200 inner',
      'GET /outer/{name} 404 anonymous',
      'GET /nope/7 404 anonymous',
    ])
  })
}
