'use strict'
// The routes of the suite in Express; EXPRESS names the package of another major version.

const http = require('node:http')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream')
const express = require(process.env.EXPRESS ?? 'express')
const libmalti = require('libmalti')
const malti = require('libmalti/express')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

function application() {
  const made = express()
  made.set('env', 'test')
  if (!BARE) made.use(malti())
  return made
}

const app = application()

const notByThis = (req, res) => res.status(405).type('text').send('not by this method')

app
  .route('/users/:user_id')
  .get((req, res) => res.type('text').send(req.params.user_id))
  .all(notByThis)
app.post('/items', express.json(), (req, res) => res.status(201).type('text').send('created'))
// How a catch-all is written is what differs by version.
app.get(process.env.EXPRESS ? '/files/:path(*)' : '/files/*path', (req, res) => {
  res.type('text').send(req.path)
})

const tenants = application()
tenants.get('/orders/:order_id', (req, res) => res.type('text').send(req.params.order_id))
app.use('/tenants/:tenant', tenants)

app.get('/stream', (req, res) => {
  pipeline(Readable.from(chunks()), res, () => {})
})
app.get('/boom', () => {
  throw new Error('boom')
})
app.get('/boom-late', (req, res, next) => {
  const body = Readable.from(broken())
  body.on('error', next).pipe(res)
})
app.get('/slow', async (req, res) => {
  await wait(10_000)
  res.send('slow')
})
app.get('/who', (req, res) => {
  if (!BARE) Object.assign(req.malti, { consumer: ' st ', context: 'plan=pro' })
  res.type('text').send('who')
})
app.get('/who-null', (req, res) => {
  libmalti.setConsumer(null)
  res.type('text').send('who-null')
})
app.get('/code/:code', (req, res) => res.status(Number(req.params.code)).end())
app.get('/renamed', (req, res) => {
  libmalti.setEndpoint('/custom/{x}')
  res.type('text').send('renamed')
})
app.get('/later', async (req, res) => {
  await wait(20)
  libmalti.setConsumer(req.query.name)
  res.type('text').send(req.query.name)
})

app.use((error, req, res, next) => {
  if (res.headersSent) return next(error)
  if (error.type === 'entity.parse.failed') {
    return res.status(422).type('text').send('not JSON')
  }
  return res.status(500).type('text').send(error.message)
})

serve(http.createServer(app))
