'use strict'
// The same application in each framework: GET /users/<number> is answered with JSON.
//
// Each function takes what a subject does to applications, by the module's name, and gives the
// server.

const user = (id) => ({ id: Number(id), name: 'Ada Lovelace' })

function plain(apply) {
  const { createServer } = require('node:http')
  const server = createServer((req, res) => {
    const body = JSON.stringify(user(req.url.slice('/users/'.length)))
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    res.writeHead(200, headers).end(body)
  })
  apply.http?.(server)
  return server
}

function express(apply, name = 'express') {
  const app = require(name)()
  apply.express?.(app)
  app.get('/users/:id', (req, res) => res.json(user(req.params.id)))
  return require('node:http').createServer(app)
}

async function fastify(apply) {
  const app = require('fastify')()
  await apply.fastify?.(app)
  app.get('/users/:id', async (request) => user(request.params.id))
  await app.ready()
  return app.server
}

function koa(apply) {
  const app = new (require('koa'))()
  const router = new (require('@koa/router'))()
  apply.koa?.(app)
  router.get('/users/:id', (ctx) => {
    ctx.body = user(ctx.params.id)
  })
  app.use(router.routes())
  return require('node:http').createServer(app.callback())
}

module.exports = {
  'node:http': plain,
  'Express 4': (apply) => express(apply, 'express-4'),
  'Express 5': express,
  'Fastify 5': fastify,
  'Koa 3': koa,
}
