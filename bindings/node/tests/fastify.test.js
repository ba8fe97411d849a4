'use strict'
// Fastify 5.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const http = require('node:http')
const { before, test } = require('node:test')
const fastify = require('fastify')
const { brief, delivered, receiver, wholeFile } = require('./harness.js')
const libmalti = require('libmalti')
const malti = require('libmalti/fastify')

const owner = wholeFile()
let server

before(async () => {
  server = await receiver(owner)
  libmalti.init({ ...server.settings, clean_mode: false })
})

test('patterns, callers and errors, by connection and by inject', async () => {
  const app = fastify()
  await app.register(malti)
  app.get('/users/:user_id', async () => 'fine')
  app.register(
    async (tenants) => {
      await tenants.register(malti)
      tenants.get('/orders/:order_id(^\\d+$)', async (request) => {
        request.malti.consumer = 'own'
        return 'fine'
      })
    },
    { prefix: '/tenants/:tenant' },
  )
  app.post('/items', async (request) => {
    // Behind the reading of a body, where the context is easily lost.
    libmalti.setConsumer(request.body.name)
    return 'made'
  })
  app.get('/boom', async () => {
    throw new Error('boom')
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const url = `http://127.0.0.1:${app.server.address().port}`
  const post = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"name":"b"}' }
  for (const [target, init] of [
    ['/users/7?consumer_id=q'],
    ['/tenants/acme/orders/9'],
    ['/items', post],
    ['/boom'],
    ['/nope/3'],
  ]) {
    await (await fetch(url + target, init)).text()
  }
  assert.equal((await app.inject('/users/8')).statusCode, 200)
  await app.close()
  assert.deepEqual((await delivered(server, 0, 6)).map(brief), [
    'GET /users/{user_id} 200 q',
    'GET /tenants/{tenant}/orders/{order_id} 200 own',
    'POST /items 200 b',
    'GET /boom 500 anonymous',
    'GET /nope/3 404 anonymous',
    'GET /users/{user_id} 200 anonymous',
  ])
})

test("a websocket's handshake, which plugins let through the router, is no request", async () => {
  const app = fastify()
  await app.register(malti)
  app.get('/socket', (request, reply) => {
    reply.hijack()
    request.malti.consumer = 'me'
    request.raw.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  app.get('/after', async () => 'fine')
  app.server.on('upgrade', (req, socket) => {
    const res = new http.ServerResponse(req)
    res.assignSocket(socket)
    socket.on('end', () => socket.end()).resume()
    app.routing(req, res)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address()
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket' }
  const [answer, socket] = await once(http.get({ host: '127.0.0.1', port, path: '/socket', headers }), 'upgrade')
  assert.equal(answer.statusCode, 101)
  socket.destroy()
  await once(socket, 'close')
  await (await fetch(`http://127.0.0.1:${port}/after`)).text()
  await app.close()
  assert.deepEqual((await delivered(server, 6, 1)).map(brief), ['GET /after 200 anonymous'])
})
