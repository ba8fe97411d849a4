// Nest with telemetry: one line, and a controller's route under its whole path. Plain JavaScript, where
// decorators are called; with TypeScript they are written as always, and the line is the same.
//
// Needs libmalti, @nestjs/core, @nestjs/common, @nestjs/platform-express, rxjs, reflect-metadata.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node nest.cjs

require('reflect-metadata')
const { Controller, Get, Module, Req } = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const malti = require('libmalti/express')

class Orders {
  getOrder(request) {
    request.malti.consumer = `user-${request.params.user}`
    return request.params
  }
}
Req()(Orders.prototype, 'getOrder', 0)
Reflect.decorate([Get(':order')], Orders.prototype, 'getOrder', {
  value: Orders.prototype.getOrder,
})
Controller('users/:user/orders')(Orders)

class AppModule {}
Module({ controllers: [Orders] })(AppModule)

async function main() {
  const app = await NestFactory.create(AppModule, { logger: ['error'] })
  // On Fastify: await app.register(require('libmalti/fastify'))
  app.use(malti())
  // Nest raises a signal again when it is done, which would end the process without its exit hooks.
  app.enableShutdownHooks([], { useProcessExit: true })
  await app.listen(process.env.PORT ?? 3000)
  console.log(`port ${app.getHttpServer().address().port}`)
}

main()
