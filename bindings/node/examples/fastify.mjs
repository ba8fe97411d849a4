// Fastify with telemetry: one line, and a plugin's route under its whole path.
//
// Needs libmalti, fastify.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node fastify.mjs

import fastify from 'fastify'
import malti from 'libmalti/fastify'

const app = fastify()
await app.register(malti)

async function orders(routes) {
  routes.get('/:order', async (request) => {
    request.malti.consumer = `user-${request.params.user}`
    return request.params
  })
}
app.register(orders, { prefix: '/users/:user/orders' })

await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`port ${app.server.address().port}`)
process.once('SIGTERM', () => app.close())
