'use strict'
// Nest 12 on Express and on Fastify. Without a compiler decorators are the functions that they are.

require('reflect-metadata')
const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { before, test } = require('node:test')
const common = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const { FastifyAdapter } = require('@nestjs/platform-fastify')
const { breaking, contract, forever, pieces, reader, said } = require('./contract.js')
const { ask, brief, receiver, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')

const { Body, Controller, Get, Module, Param, Post, Query, Req, Res, UseGuards, Version } = common

const owner = wholeFile()
const news = reader()
let server

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
})

/** A method of a controller, and what of a request each of its parameters is. */
function route(controller, name, decorators, parameters, handler) {
  const { prototype } = controller
  // What they say is kept with the function.
  prototype[name] = (...values) => handler(...values)
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
  for (const decorate of decorators) decorate(prototype, name, descriptor)
  for (const [index, decorate] of parameters.entries()) decorate(prototype, name, index)
}

const fine = () => 'fine'

function send(res, generator) {
  const stream = Readable.from(generator, { objectMode: false })
  if (res.raw) res.send(stream)
  else stream.on('error', (error) => res.destroy(error)).pipe(res)
}

class Root {}
route(Root, 'thing', [Get('things/:thing')], [Param('thing')], fine)
route(Root, 'own', [Get('own')], [Req()], (request) => {
  request.malti.consumer = 'own'
  return 'fine'
})
route(Root, 'said', [Get('said')], [Query('name')], said)
route(Root, 'stream', [Get('stream')], [Res()], (res) => send(res, pieces()))
route(Root, 'breaks', [Get('breaks')], [Res()], (res) => send(res, breaking()))
route(Root, 'waits', [Get('waits')], [], forever)
route(Root, 'boom', [Get('boom')], [], () => {
  throw new Error('boom')
})
Controller()(Root)

class Guard {
  canActivate() {
    libmalti.setContext('guarded')
    return false
  }
}

class Tenants {}
route(Tenants, 'order', [Get('orders/:order')], [], fine)
route(Tenants, 'either', [Get(['left/:l', 'right/:r'])], [], fine)
route(Tenants, 'second', [Get('orders/:order'), Version('2')], [], fine)
route(Tenants, 'create', [Post('items')], [Body()], (item) => {
  libmalti.setConsumer(item.name)
  return 'made'
})
route(Tenants, 'guarded', [Get('guarded/:x'), UseGuards(Guard)], [], fine)
route(Tenants, 'teapot', [Get('teapot/:x')], [], () => {
  throw new common.HttpException('short and stout', 418)
})
Controller({ path: 'tenants/:tenant', version: '1' })(Tenants)

class Plain {}
Module({ controllers: [Root] })(Plain)
class Versioned {}
Module({ controllers: [Tenants] })(Versioned)

/** The port of a Nest application. */
async function started(module, adapter, prefix) {
  const settings = { logger: false, forceCloseConnections: true }
  const app = await NestFactory.create(module, ...(adapter ? [adapter, settings] : [settings]))
  if (adapter) await app.register(require('libmalti/fastify'))
  else app.use(require('libmalti/express')())
  if (prefix) {
    app.setGlobalPrefix(prefix)
    app.enableVersioning({ type: common.VersioningType.URI })
  }
  await app.listen(0, '127.0.0.1')
  owner.after(() => app.close())
  return app.getHttpServer().address().port
}

for (const [name, adapter] of [
  ['Express', () => undefined],
  ['Fastify', () => new FastifyAdapter()],
]) {
  // On Express Nest has a route of its own for what has its prefix and matches nothing.
  const nothing = name === 'Express' ? '/api/{path}' : '/api/v3/tenants/acme/orders/9'

  contract(test, `on ${name}`, async () => {
    const port = await started(Plain, adapter())
    // Nest answers another method of a path as it answers no path at all.
    return { server, port, news, refused: { status: 404, endpoint: '/things/7' } }
  })

  test(`on ${name}: prefix, versions, guards, exceptions, bodies`, async () => {
    const port = await started(Versioned, adapter(), 'api')
    const headers = { 'Content-Type': 'application/json' }
    const item = { method: 'POST', headers, body: '{"name":"b"}' }
    const cases = [
      ['/api/v1/tenants/acme/orders/9', '/api/v1/tenants/{tenant}/orders/{order} 200'],
      ['/api/v2/tenants/acme/orders/9', '/api/v2/tenants/{tenant}/orders/{order} 200'],
      ['/api/v1/tenants/acme/left/9', '/api/v1/tenants/{tenant}/left/{l} 200'],
      ['/api/v1/tenants/acme/right/9', '/api/v1/tenants/{tenant}/right/{r} 200'],
      ['/api/v1/tenants/acme/guarded/1', '/api/v1/tenants/{tenant}/guarded/{x} 403'],
      ['/api/v1/tenants/acme/teapot/1', '/api/v1/tenants/{tenant}/teapot/{x} 418'],
      ['/api/v3/tenants/acme/orders/9', `${nothing} 404`],
      ['/nope', '/nope 404'],
    ]
    for (const [target] of cases) await ask(port, target)
    assert.equal(await ask(port, '/api/v1/tenants/acme/items', item), 201)
    const records = await news(server, cases.length + 1)
    assert.deepEqual(records.map(brief), [
      ...cases.map(([, record]) => `GET ${record} anonymous`),
      'POST /api/v1/tenants/{tenant}/items 201 b',
    ])
    assert.equal(records[4].context, 'guarded')
  })
}
