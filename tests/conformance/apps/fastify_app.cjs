'use strict'
// The routes of the suite in Fastify.

const { Readable } = require('node:stream')
const fastify = require('fastify')
const libmalti = require('libmalti')
const malti = require('libmalti/fastify')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

const app = fastify()

function telemetry(instance) {
  if (BARE) instance.decorateRequest('malti', null)
  else instance.register(malti)
}

telemetry(app)
app.setErrorHandler((error, request, reply) => {
  if (error.code === 'FST_ERR_CTP_INVALID_JSON_BODY') return reply.code(422).send('not JSON')
  return reply.code(500).send(error.message)
})

app.register(async (routes) => {
  routes.get('/users/:user_id', async (request) => request.params.user_id)
  routes.delete('/users/:user_id', async (request, reply) => reply.code(405).send('not by this'))
  routes.post('/items', async (request, reply) => reply.code(201).send('created'))
  routes.get('/files/*', { config: {} }, async (request) => request.params['*'])
  routes.register(
    async (tenants) => {
      if (!BARE) tenants.register(malti)
      tenants.get('/orders/:order_id', async (request) => request.params.order_id)
    },
    { prefix: '/tenants/:tenant' },
  )
  routes.get('/stream', (request, reply) => reply.send(Readable.from(chunks())))
  routes.get('/boom', async () => {
    throw new Error('boom')
  })
  routes.get('/boom-late', (request, reply) => reply.send(Readable.from(broken())))
  routes.get('/slow', async () => {
    await wait(10_000)
    return 'slow'
  })
  routes.get('/who', async (request) => {
    if (request.malti) Object.assign(request.malti, { consumer: ' st ', context: 'plan=pro' })
    return 'who'
  })
  routes.get('/who-null', async () => {
    libmalti.setConsumer(null)
    return 'who-null'
  })
  routes.get('/code/:code', (request, reply) => reply.code(Number(request.params.code)).send(''))
  routes.get('/renamed', async () => {
    libmalti.setEndpoint('/custom/{x}')
    return 'renamed'
  })
  routes.get('/later', async (request) => {
    await wait(20)
    libmalti.setConsumer(request.query.name)
    return request.query.name
  })
})

app.ready((error) => {
  if (error) throw error
  serve(app.server)
})
