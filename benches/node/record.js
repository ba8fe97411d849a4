'use strict'
// One call of record, and one span of OpenTelemetry from its start to its end that says the same.
// Prints a list of figures for each, in nanoseconds by the clock; the n-th ones
// are a pair, measured in turn (ours, theirs, theirs, ours).

const malti = require('libmalti')
const { tracing } = require('./tracing.js')

const PAIRS = 15
/** The first ones compile. */
const WARMING = 3
/** As many as OpenTelemetry's queue holds. */
const CALLS = 2000
const ROUNDS = 20

const METHODS = ['GET', 'POST', 'PUT', 'DELETE']
const WORK = Array.from({ length: CALLS }, (_, i) => ({
  method: METHODS[i % 4],
  endpoint: `/api/v1/customers/{id}/r${String(i % 37).padStart(2, '0')}`,
  status: i % 9 ? 200 : 500,
  us: (i % 900) * 1000,
  consumer: `consumer-${String(i % 211).padStart(3, '0')}`,
}))

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]

/** Of one call, in the median of some rounds, which leaves out what else runs and most collections of garbage. */
async function cost({ all, delivered }) {
  const spent = []
  let had = await delivered()
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.hrtime.bigint()
    all()
    spent.push(Number(process.hrtime.bigint() - began))
    const has = await delivered()
    if (has - had !== CALLS) throw new Error(`${has - had} of ${CALLS} delivered`)
    had = has
  }
  return median(spent) / CALLS
}

function subjects() {
  const { provider, delivered } = tracing()
  const tracer = provider.getTracer('bench')
  const sent = async () => {
    await malti.flush(60_000)
    return malti.stats().sent
  }
  malti.init()
  return {
    ours: {
      delivered: sent,
      all() {
        for (const { method, endpoint, status, us, consumer } of WORK) {
          malti.record(method, endpoint, status, us, consumer)
        }
      },
    },
    theirs: {
      delivered,
      all() {
        for (const { method, endpoint, status, consumer } of WORK) {
          const attributes = {
            'http.request.method': method,
            'http.route': endpoint,
            'http.response.status_code': status,
            'user.id': consumer,
          }
          tracer.startSpan(endpoint, { attributes }).end()
        }
      },
    },
  }
}

async function main() {
  const alive = setInterval(() => {}, 1000)
  const { ours, theirs } = subjects()
  const figures = { ours: [], theirs: [] }
  for (let pair = 0; pair < WARMING + PAIRS; pair++) {
    const [a, b, c, d] = [await cost(ours), await cost(theirs), await cost(theirs), await cost(ours)]
    if (pair < WARMING) continue
    figures.ours.push((a + d) / 2)
    figures.theirs.push((b + c) / 2)
  }
  console.log(JSON.stringify(figures))
  clearInterval(alive)
}

main()
