// Hono with telemetry: one line, and a sub-application's route under its whole path.
//
// Needs libmalti, hono, @hono/node-server.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node hono.mjs

import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import malti from 'libmalti/hono'

const app = new Hono()
app.use(malti())

const orders = new Hono()
orders.get('/:order', (c) => {
  c.get('malti').consumer = `user-${c.req.param('user')}`
  return c.json(c.req.param())
})
app.route('/users/:user/orders', orders)

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`port ${port}`)
})
process.once('SIGTERM', () => server.close())
