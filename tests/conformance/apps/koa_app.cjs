'use strict'
// The routes of the suite in Koa with @koa/router.

const http = require('node:http')
const { Readable } = require('node:stream')
const { text } = require('node:stream/consumers')
const Router = require('@koa/router')
const Koa = require('koa')
const libmalti = require('libmalti')
const malti = require('libmalti/koa')
const { BARE, serve, wait, chunks, broken } = require('./serving.cjs')

const router = new Router()

router.get('/users/:user_id', (ctx) => (ctx.body = ctx.params.user_id))
router.post('/items', async (ctx) => {
  try {
    JSON.parse(await text(ctx.req))
    ctx.status = 201
    ctx.body = 'created'
  } catch {
    ctx.status = 422
    ctx.body = 'not JSON'
  }
})
router.get('/files/*path', (ctx) => (ctx.body = ctx.path))

const tenants = new Router()
if (!BARE) tenants.use(malti())
tenants.get('/orders/:order_id', (ctx) => (ctx.body = ctx.params.order_id))
router.use('/tenants/:tenant', tenants.routes())

router.get('/stream', (ctx) => (ctx.body = Readable.from(chunks())))
router.get('/boom', () => {
  throw new Error('boom')
})
router.get('/boom-late', (ctx) => (ctx.body = Readable.from(broken())))
router.get('/slow', async (ctx) => {
  await wait(10_000)
  ctx.body = 'slow'
})
router.get('/who', (ctx) => {
  if (!BARE) Object.assign(ctx.req.malti, { consumer: ' st ', context: 'plan=pro' })
  ctx.body = 'who'
})
router.get('/who-null', (ctx) => {
  libmalti.setConsumer(null)
  ctx.body = 'who-null'
})
router.get('/code/:code', (ctx) => {
  ctx.status = Number(ctx.params.code)
  ctx.body = ''
})
router.get('/renamed', (ctx) => {
  libmalti.setEndpoint('/custom/{x}')
  ctx.body = 'renamed'
})
router.get('/later', async (ctx) => {
  await wait(20)
  libmalti.setConsumer(ctx.query.name)
  ctx.body = ctx.query.name
})

const app = new Koa()
app.silent = true
if (!BARE) app.use(malti())
app.use(router.routes()).use(router.allowedMethods())
serve(http.createServer(app.callback()))
