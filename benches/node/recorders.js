'use strict'
// What else a program could keep the facts of a request with, and what each is given. Those that are
// not installed are left out. Each has `record`, and `delivered`: how many have left it, all of them.

/** As many as OpenTelemetry's queue holds. */
const CALLS = 2000
const METHODS = ['GET', 'POST', 'PUT', 'DELETE']
const WORK = Array.from({ length: CALLS }, (_, i) => ({
  method: METHODS[i % 4],
  endpoint: `/api/v1/customers/{id}/r${String(i % 37).padStart(2, '0')}`,
  status: i % 9 ? 200 : 500,
  us: (i % 900) * 1000,
  consumer: `consumer-${String(i % 211).padStart(3, '0')}`,
}))

function libmalti() {
  const malti = require('libmalti')
  malti.init()
  return {
    record({ method, endpoint, status, us, consumer }) {
      malti.record(method, endpoint, status, us, consumer)
    },
    async delivered() {
      await malti.flush(60_000)
      return malti.stats().sent
    },
  }
}

function span(options) {
  const { provider, delivered } = require('./tracing.js').tracing(options)
  const tracer = provider.getTracer('bench')
  return {
    record({ method, endpoint, status, consumer }) {
      const attributes = {
        'http.request.method': method,
        'http.route': endpoint,
        'http.response.status_code': status,
        'user.id': consumer,
      }
      tracer.startSpan(endpoint, { attributes }).end()
    },
    delivered,
  }
}

/** By method, endpoint and status. */
function histogram() {
  const { Histogram } = require('prom-client')
  const labelNames = ['method', 'endpoint', 'status']
  const name = 'http_request_duration_seconds'
  const kept = new Histogram({ name, help: 'Bench', labelNames, registers: [] })
  return {
    record({ method, endpoint, status, us }) {
      kept.observe({ method, endpoint, status }, us / 1e6)
    },
    async delivered() {
      const { values } = await kept.get()
      const counts = values.filter(({ metricName }) => metricName.endsWith('_count'))
      return counts.reduce((sum, { value }) => sum + value, 0)
    },
  }
}

const RECORDERS = {
  libmalti,
  'OpenTelemetry span': span,
  'prom-client histogram': histogram,
}

/** `options` are those of tracing.js. */
function recorder(name, options) {
  try {
    return RECORDERS[name](options)
  } catch (error) {
    if (name !== 'libmalti' && error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

module.exports = { CALLS, WORK, NAMES: Object.keys(RECORDERS), recorder }
