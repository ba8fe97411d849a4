'use strict'
// The routes of the suite in Nest, on Express or, with NEST=fastify, on Fastify. Without a compiler
// decorators are the functions that they are.

require('reflect-metadata')
const { Readable } = require('node:stream')
const common = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const libmalti = require('libmalti')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

const { Body, Controller, Delete, Get, HttpCode, HttpException, Module, Param, Post, Query, Req, Res } = common

const FASTIFY = process.env.NEST === 'fastify'

/** One method of a controller, and what of a request each of its parameters is. */
function route(controller, name, decorators, parameters, handler) {
  const { prototype } = controller
  // What they say is kept with the function.
  prototype[name] = (...values) => handler(...values)
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
  for (const decorate of decorators) decorate(prototype, name, descriptor)
  for (const [index, decorate] of parameters.entries()) decorate(prototype, name, index)
}

class Root {}
route(Root, 'user', [Get('/users/:user_id')], [Param('user_id')], (id) => id)
route(Root, 'noUser', [Delete('/users/:user_id')], [], () => {
  throw new HttpException('not by this method', 405)
})
route(Root, 'create', [Post('/items'), HttpCode(201)], [Body()], () => 'created')
route(Root, 'file', [Get(FASTIFY ? '/files/*' : '/files/*path')], [Req()], ({ url }) => url)
route(Root, 'stream', [Get('/stream')], [Res()], (res) => send(res, chunks()))
route(Root, 'boom', [Get('/boom')], [], () => {
  throw new Error('boom')
})
route(Root, 'boomLate', [Get('/boom-late')], [Res()], (res) => send(res, broken()))
route(Root, 'slow', [Get('/slow')], [], async () => {
  await wait(10_000)
  return 'slow'
})
route(Root, 'who', [Get('/who')], [Req()], (req) => {
  if (!BARE) Object.assign(req.malti, { consumer: ' st ', context: 'plan=pro' })
  return 'who'
})
route(Root, 'whoNull', [Get('/who-null')], [], () => {
  libmalti.setConsumer(null)
  return 'who-null'
})
route(Root, 'code', [Get('/code/:code')], [Param('code'), Res()], (code, res) => res.status(Number(code)).send(''))
route(Root, 'renamed', [Get('/renamed')], [], () => {
  libmalti.setEndpoint('/custom/{x}')
  return 'renamed'
})
route(Root, 'later', [Get('/later')], [Query('name')], async (name) => {
  await wait(20)
  libmalti.setConsumer(name)
  return name
})
Controller()(Root)

class Tenants {}
route(Tenants, 'order', [Get('/orders/:order_id')], [Param('order_id')], (id) => id)
Controller('/tenants/:tenant')(Tenants)

class App {}
Module({ controllers: [Root, Tenants] })(App)

function send(res, body) {
  const stream = Readable.from(body)
  if (FASTIFY) res.send(stream)
  else stream.on('error', (error) => res.destroy(error)).pipe(res)
}

/** The application's own error handler. */
class Errors {
  catch(error, host) {
    const res = host.switchToHttp().getResponse()
    const malformed = error.message.includes('JSON')
    const status = malformed ? 422 : (error.getStatus?.() ?? 500)
    res.status(status).send(malformed ? 'not JSON' : error.message)
  }
}
common.Catch()(Errors)

async function application() {
  if (!FASTIFY) {
    const app = await NestFactory.create(App, { logger: false })
    if (!BARE) app.use(require('libmalti/express')())
    return app
  }
  const { FastifyAdapter } = require('@nestjs/platform-fastify')
  const app = await NestFactory.create(App, new FastifyAdapter(), { logger: false })
  if (!BARE) await app.register(require('libmalti/fastify'))
  return app
}

async function main() {
  const app = await application()
  app.useGlobalFilters(new Errors())
  await app.init()
  if (FASTIFY) await app.getHttpAdapter().getInstance().ready()
  serve(app.getHttpServer())
}

main()
