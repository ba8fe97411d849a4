'use strict'
// What a request is measured with. Each function starts its subject and gives what that does to an
// application, by framework, and `delivered()`: how many requests have left it, all of them.

const CLIENT_ID = '00000000-0000-4000-8000-000000000000'

function libmalti() {
  const malti = require('libmalti')
  malti.init()
  return {
    http: (server) => malti.instrument(server, { endpoint: () => '/users/{id}' }),
    express: (app) => app.use(require('libmalti/express')()),
    fastify: (app) => app.register(require('libmalti/fastify')),
    koa: (app) => app.use(require('libmalti/koa')()),
    hono: (app) => app.use(require('libmalti/hono')()),
    hapi: (server) => server.register(require('libmalti/hapi')),
    async delivered() {
      await malti.flush(60_000)
      return malti.stats().sent
    },
  }
}

/** Its exporter only counts, and the headers of traces are not asked for. */
function opentelemetry() {
  const { tracing } = require('./tracing.js')
  const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')
  const { provider, delivered } = tracing()
  // Has every server of node:http instrumented.
  new HttpInstrumentation().setTracerProvider(provider)
  return { delivered }
}

/** It sends to APITALLY_HUB_BASE_URL, and says how much has gone there to nobody else. */
function apitally() {
  const settings = { clientId: CLIENT_ID, env: 'bench' }
  return {
    express: (app) => require('apitally/express').useApitally(app, settings),
    fastify: (app) => app.register(require('apitally/fastify').apitallyPlugin, settings),
    koa: (app) => require('apitally/koa').useApitally(app, settings),
  }
}

/** How many requests the histogram of a middleware for Prometheus has. */
async function counted() {
  const { register } = require('prom-client')
  const { values } = await register.getSingleMetric('http_request_duration_seconds').get()
  const counts = values.filter(({ metricName }) => metricName?.endsWith('_count'))
  return counts.reduce((sum, { value }) => sum + value, 0)
}

const prometheus = {
  'express-prom-bundle': () => ({
    express: (app) => app.use(require('express-prom-bundle')({ includeMethod: true, includePath: true })),
    delivered: counted,
  }),
  'fastify-metrics': () => ({
    fastify: (app) => app.register(require('fastify-metrics'), { defaultMetrics: { enabled: false } }),
    delivered: counted,
  }),
}

module.exports = { bare: () => ({}), libmalti, apitally, ...prometheus, opentelemetry }
