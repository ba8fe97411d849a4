'use strict'
// The routes of the suite in Hono on @hono/node-server.

const { Readable } = require('node:stream')
const { createAdaptorServer } = require('@hono/node-server')
const { Hono } = require('hono')
const libmalti = require('libmalti')
const malti = require('libmalti/hono')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

function application() {
  const made = new Hono()
  if (!BARE) made.use(malti())
  return made
}

const stream = (c, body) => c.body(Readable.toWeb(Readable.from(body, { objectMode: false })))

const app = application()
app.get('/users/:user_id{[0-9]+}', (c) => c.text(c.req.param('user_id')))
app.all('/users/:user_id{[0-9]+}', (c) => c.text('not by this method', 405))
app.post('/items', async (c) => {
  try {
    await c.req.json()
  } catch {
    return c.text('not JSON', 422)
  }
  return c.text('created', 201)
})
app.get('/files/:path{.+}', (c) => c.text(c.req.param('path')))

const tenants = application()
tenants.get('/orders/:order_id', (c) => c.text(c.req.param('order_id')))
app.route('/tenants/:tenant', tenants)

app.get('/stream', (c) => stream(c, chunks()))
app.get('/boom', () => {
  throw new Error('boom')
})
app.get('/boom-late', (c) => stream(c, broken()))
app.get('/slow', async (c) => {
  await wait(10_000)
  return c.text('slow')
})
app.get('/who', (c) => {
  if (!BARE) Object.assign(c.get('malti'), { consumer: ' st ', context: 'plan=pro' })
  return c.text('who')
})
app.get('/who-null', (c) => {
  libmalti.setConsumer(null)
  return c.text('who-null')
})
app.get('/code/:code', (c) => c.body('', Number(c.req.param('code'))))
app.get('/renamed', (c) => {
  libmalti.setEndpoint('/custom/{x}')
  return c.text('renamed')
})
app.get('/later', async (c) => {
  await wait(20)
  libmalti.setConsumer(c.req.query('name'))
  return c.text(c.req.query('name'))
})

app.onError((error, c) => c.text(error.message, 500))

serve(createAdaptorServer(app))
