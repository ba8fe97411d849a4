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

async function hono(apply) {
  const { Hono } = require('hono')
  const { createAdaptorServer } = require('@hono/node-server')
  const app = new Hono()
  apply.hono?.(app)
  app.get('/users/:id', (c) => c.json(user(c.req.param('id'))))
  return createAdaptorServer(app)
}

/** On Express. Without a compiler decorators are the functions that they are. */
async function nest(apply) {
  require('reflect-metadata')
  const { Controller, Get, Module, Param } = require('@nestjs/common')
  const { NestFactory } = require('@nestjs/core')
  class Users {
    find(id) {
      return user(id)
    }
  }
  Param('id')(Users.prototype, 'find', 0)
  Get(':id')(Users.prototype, 'find', Object.getOwnPropertyDescriptor(Users.prototype, 'find'))
  Controller('users')(Users)
  class Application {}
  Module({ controllers: [Users] })(Application)
  const app = await NestFactory.create(Application, { logger: ['error'] })
  apply.express?.(app)
  await app.init()
  return app.getHttpServer()
}

async function hapi(apply) {
  const listener = require('node:http').createServer()
  const server = require('@hapi/hapi').server({ listener, autoListen: false })
  await apply.hapi?.(server)
  server.route({ method: 'GET', path: '/users/{id}', handler: ({ params }) => user(params.id) })
  // Before its start it keeps no connection.
  await server.start()
  return listener
}

module.exports = {
  'node:http': plain,
  'Express 4': (apply) => express(apply, 'express-4'),
  'Express 5': express,
  'Fastify 5': fastify,
  'Koa 3': koa,
  'Hono 4': hono,
  'Nest 12': nest,
  'hapi 21': hapi,
}
