'use strict'
// One call of record; one span of OpenTelemetry from its start to its end that says the same; one
// observation of a histogram of prom-client by method, endpoint and status. Prints a list of figures
// for each, in nanoseconds by the clock; the n-th ones are measured in turn, there and back. Those with
// a number are percentiles of one call, in permille.

const malti = require('libmalti')
const { Histogram } = require('prom-client')
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

/** What `work` gives, some times over, with all that it recorded delivered. */
async function rounds(delivered, work) {
  const found = []
  let had = await delivered()
  for (let round = 0; round < ROUNDS; round++) {
    found.push(work())
    const has = await delivered()
    if (has - had !== CALLS) throw new Error(`${has - had} of ${CALLS} delivered`)
    had = has
  }
  return found
}

/** Of one call, in the median of some rounds, which leaves out what else runs and most collections of garbage. */
async function cost({ record, delivered }) {
  const spent = await rounds(delivered, () => {
    const began = process.hrtime.bigint()
    for (const call of WORK) record(call)
    return Number(process.hrtime.bigint() - began)
  })
  return median(spent) / CALLS
}

function times(record) {
  return WORK.map((call) => {
    const began = process.hrtime.bigint()
    record(call)
    return Number(process.hrtime.bigint() - began)
  })
}

/** Of one call, by permille, without what the clock itself takes. */
async function percentiles({ record, delivered }) {
  const clock = median(times(() => {}))
  const all = (await rounds(delivered, () => times(record))).flat().sort((a, b) => a - b)
  return [500, 990, 999].map((permille) => [permille, all[(all.length / 1000) * permille] - clock])
}

function subjects() {
  const { provider, delivered } = tracing()
  const tracer = provider.getTracer('bench')
  malti.init()
  return {
    ours: {
      record({ method, endpoint, status, us, consumer }) {
        malti.record(method, endpoint, status, us, consumer)
      },
      async delivered() {
        await malti.flush(60_000)
        return malti.stats().sent
      },
    },
    theirs: {
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
    },
    prometheus: histogram(),
  }
}

function histogram() {
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

async function main() {
  const alive = setInterval(() => {}, 1000)
  const all = subjects()
  const names = Object.keys(all)
  const figures = {}
  const add = (name, figure) => (figures[name] ??= []).push(figure)
  for (let pair = 0; pair < WARMING + PAIRS; pair++) {
    const there = []
    for (const name of names) there.push(await cost(all[name]))
    for (const name of names.toReversed()) {
      const figure = (there[names.indexOf(name)] + (await cost(all[name]))) / 2
      if (pair >= WARMING) add(name, figure)
    }
  }
  for (const name of names) {
    for (const [permille, ns] of await percentiles(all[name])) add(`${name}_${permille}`, ns)
  }
  console.log(JSON.stringify(figures))
  clearInterval(alive)
}

main()
