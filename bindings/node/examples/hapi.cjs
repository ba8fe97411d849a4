// hapi with telemetry: one line, and a plugin's route under its whole path.
//
// Needs libmalti, @hapi/hapi.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node hapi.cjs

const Hapi = require('@hapi/hapi')
const malti = require('libmalti/hapi')

const orders = {
  name: 'orders',
  register(server) {
    server.route({
      method: 'GET',
      path: '/{order}',
      handler: (request) => {
        request.malti.consumer = `user-${request.params.user}`
        return request.params
      },
    })
  },
}

async function main() {
  const server = Hapi.server({ port: process.env.PORT ?? 3000 })
  await server.register(malti)
  await server.register(orders, { routes: { prefix: '/users/{user}/orders' } })
  await server.start()
  console.log(`port ${server.info.port}`)
  process.once('SIGTERM', () => server.stop())
}

main()
