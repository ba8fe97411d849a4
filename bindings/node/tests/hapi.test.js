'use strict'
// hapi 21.

const assert = require('node:assert/strict')
const { Readable } = require('node:stream')
const { before, test } = require('node:test')
const Hapi = require('@hapi/hapi')
const { breaking, contract, forever, pieces, reader, said } = require('./contract.js')
const { ask, brief, receiver, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')
const malti = require('libmalti/hapi')

const owner = wholeFile()
const news = reader()
let server
let app

const fine = () => 'fine'
const body = (generator) => Readable.from(generator, { objectMode: false })

function get(routes, path, handler, options) {
  routes.route({ method: 'GET', path, handler, options })
}

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
  app = Hapi.server({ debug: false, port: 0, host: '127.0.0.1' })
  await app.register({ plugin: malti, options: {} })
  get(app, '/things/{thing}', fine)
  app.route({ method: '*', path: '/things/{thing}', handler: (request, h) => h.response().code(405) })
  get(app, '/own', (request) => {
    request.malti.consumer = 'own'
    return 'fine'
  })
  get(app, '/said', ({ query }) => said(query.name))
  get(app, '/stream', () => body(pieces()))
  get(app, '/breaks', () => body(breaking()))
  get(app, '/waits', forever)
  get(app, '/boom', () => {
    throw new Error('boom')
  })
  get(app, '/files/{path*}', fine)
  get(app, '/pair/{two*2}', fine)
  get(app, '/maybe/{page?}', fine)
  get(app, '/{from}.{to}/mixed', fine)
  app.auth.scheme('nobody', () => ({ authenticate: (request, h) => h.response('who?').code(403).takeover() }))
  app.auth.strategy('nobody', 'nobody')
  get(app, '/guarded/{x}', fine, { auth: 'nobody' })
  app.route({
    method: 'POST',
    path: '/items',
    handler: ({ payload }) => {
      // Behind the reading of a body, where the context is easily lost.
      libmalti.setConsumer(payload.name)
      return 'made'
    },
  })
  get(app, '/outer', async () => {
    await app.inject('/things/1')
    libmalti.setConsumer('outer')
    return 'fine'
  })
  const tenants = {
    name: 'tenants',
    register: async (plugin) => {
      await plugin.register(malti)
      get(plugin, '/orders/{order}', fine)
    },
  }
  await app.register(tenants, { routes: { prefix: '/tenants/{tenant}' } })
  await app.start()
  owner.after(() => {
    app.listener.closeAllConnections()
    return app.stop({ timeout: 1 })
  })
})

contract(test, 'hapi', async () => ({ server, port: app.info.port, news }))

test('patterns of every kind', async () => {
  const cases = [
    ['/tenants/acme/orders/9', '/tenants/{tenant}/orders/{order} 200'],
    ['/files/a/b', '/files/{path} 200'],
    ['/pair/a/b', '/pair/{two} 200'],
    ['/maybe', '/maybe/{page} 200'],
    ['/a.b/mixed', '/{from}.{to}/mixed 200'],
    ['/guarded/1', '/guarded/{x} 403'],
    ['/%', '/% 404'],
  ]
  for (const [target] of cases) await ask(app.info.port, target)
  const records = await news(server, cases.length)
  assert.deepEqual(
    records.map(brief),
    cases.map(([, record]) => `GET ${record} anonymous`),
  )
})

test('a body, and requests of inject', async () => {
  const headers = { 'Content-Type': 'application/json' }
  await ask(app.info.port, '/items', { method: 'POST', headers, body: '{"name":"b"}' })
  await app.inject('/things/8')
  // One inside of another is another one.
  await ask(app.info.port, '/outer')
  assert.deepEqual((await news(server, 4)).map(brief), [
    'POST /items 200 b',
    'GET /things/{thing} 200 anonymous',
    'GET /things/{thing} 200 anonymous',
    'GET /outer 200 outer',
  ])
})
