// Koa with telemetry: one line, and a router's route under its whole path.
//
// Needs libmalti, koa, @koa/router.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node koa.mjs

import Router from '@koa/router'
import Koa from 'koa'
import malti from 'libmalti/koa'

const app = new Koa()
app.use(malti())

const orders = new Router({ prefix: '/users/:user/orders' })
orders.get('/:order', (ctx) => {
  ctx.state.malti.consumer = `user-${ctx.params.user}`
  ctx.body = ctx.params
})
app.use(orders.routes()).use(orders.allowedMethods())

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`port ${server.address().port}`)
})
process.once('SIGTERM', () => server.close())
