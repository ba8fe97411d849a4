'use strict'
// The routes of the suite in hapi.

const { Readable } = require('node:stream')
const Hapi = require('@hapi/hapi')
const libmalti = require('libmalti')
const malti = require('libmalti/hapi')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

const server = Hapi.server({ debug: false, autoListen: false })

function get(routes, path, handler) {
  routes.route({ method: 'GET', path, handler })
}

const notJson = (request, h) => h.response('not JSON').code(422).takeover()
const stream = (body) => Readable.from(body, { objectMode: false })

function routes() {
  get(server, '/users/{user_id}', ({ params }) => params.user_id)
  server.route({
    method: '*',
    path: '/users/{user_id}',
    handler: (request, h) => h.response('not by this method').code(405),
  })
  server.route({
    method: 'POST',
    path: '/items',
    options: { payload: { allow: 'application/json', failAction: notJson } },
    handler: (request, h) => h.response('created').code(201),
  })
  get(server, '/files/{path*}', ({ params }) => params.path)
  get(server, '/stream', () => stream(chunks()))
  get(server, '/boom', () => {
    throw new Error('boom')
  })
  get(server, '/boom-late', () => stream(broken()))
  get(server, '/slow', async () => {
    await wait(10_000)
    return 'slow'
  })
  get(server, '/who', (request) => {
    if (!BARE) Object.assign(request.malti, { consumer: ' st ', context: 'plan=pro' })
    return 'who'
  })
  get(server, '/who-null', () => {
    libmalti.setConsumer(null)
    return 'who-null'
  })
  get(server, '/code/{code}', ({ params }, h) => h.response('').code(Number(params.code)))
  get(server, '/renamed', () => {
    libmalti.setEndpoint('/custom/{x}')
    return 'renamed'
  })
  get(server, '/later', async ({ query }) => {
    await wait(20)
    libmalti.setConsumer(query.name)
    return query.name
  })
}

const tenants = {
  name: 'tenants',
  register: async (plugin) => {
    if (!BARE) await plugin.register(malti)
    get(plugin, '/orders/{order_id}', ({ params }) => params.order_id)
  },
}

async function main() {
  if (!BARE) await server.register(malti)
  // The application's own error handler.
  server.ext('onPreResponse', ({ response }, h) =>
    response.isBoom && response.output.statusCode === 500 ? h.response(response.message).code(500) : h.continue,
  )
  routes()
  await server.register(tenants, { routes: { prefix: '/tenants/{tenant}' } })
  await server.initialize()
  await server.start()
  serve(server.listener)
}

main()
