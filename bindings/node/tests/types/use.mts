// Every export as an ES module has it; what must not compile is marked.

import { createServer, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import Hapi from '@hapi/hapi'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import malti, {
  flush,
  flushOnSignal,
  init,
  instrument,
  record,
  setConsumer,
  setContext,
  setEndpoint,
  shutdown,
  stats,
  version,
  type InstrumentOptions,
  type Logger,
  type Said,
  type Settings,
  type Stats,
} from 'libmalti'
import onExpress from 'libmalti/express'
import onFastify from 'libmalti/fastify'
import onHapi from 'libmalti/hapi'
import onHono from 'libmalti/hono'
import onKoa from 'libmalti/koa'

const logger: Logger = console
const settings: Settings = { logger, service_name: 'shop', batch_size: 10, methods: ['GET', 'POST'] }
const started: boolean = init(settings)
const recorded: boolean = record('GET', '/a/{b}', 200, 1500, 'alice', null)
record('GET', '/a/{b}', 200, 1500)
const delivered: boolean[] = [await flush(), await flush(100), await shutdown(), await shutdown(100)]
flushOnSignal()
flushOnSignal('SIGTERM', 'SIGINT')
setConsumer('alice')
setContext(7)
setEndpoint('/a/{b}')
const ledger: Stats = stats()
const sent: number = ledger.sent
const text: string = version()
const same: typeof flush = malti.flush

const options: InstrumentOptions = { endpoint: (req) => req.url, service_name: 'shop' }
const server: Server = instrument(
  createServer((req, res) => {
    const said: Said | undefined = req.malti
    if (req.malti) req.malti.consumer = 'alice'
    res.end(said?.endpoint)
  }),
  options,
)
instrument(createSecureServer())

const app = express()
app.use(onExpress())
app.use(onExpress({ service_name: 'shop' }))
app.get('/', (req, res) => {
  if (req.malti) req.malti.context = 'note'
  res.end()
})

const fast = fastify()
await fast.register(onFastify)
await fast.register(onFastify, { service_name: 'shop' })
fast.get('/', async (request) => {
  request.malti.consumer = 'alice'
})

const koa = new Koa()
koa.use(onKoa())
koa.use(onKoa({ service_name: 'shop' }))

const hono = new Hono()
hono.use(onHono())
hono.use(onHono({ service_name: 'shop' }))
hono.get('/', (c) => {
  c.get('malti').consumer = 'alice'
  return c.text('fine')
})

const hapi = Hapi.server()
await hapi.register(onHapi)
await hapi.register({ plugin: onHapi, options: { service_name: 'shop' } })
hapi.route({
  method: 'GET',
  path: '/',
  handler(request) {
    request.malti.consumer = 'alice'
    return 'fine'
  },
})

// @ts-expect-error
init({ service_name: { text: 'shop' } })
// @ts-expect-error
init({ logger: { error() {} } })
// @ts-expect-error
record('GET', '/a/{b}', '200', 1500)
// @ts-expect-error
record('GET', '/a/{b}', 200)
// @ts-expect-error
await flush('soon')
// @ts-expect-error
flushOnSignal(15)
// @ts-expect-error
instrument({})
// @ts-expect-error
ledger.unknown
// @ts-expect-error
app.use(onExpress({ logger: 'console' }))
// @ts-expect-error
koa.use(onKoa('shop'))

export { delivered, recorded, same, sent, server, started, text }
