'use strict'
// One call of record; one span of OpenTelemetry from its start to its end that says the same; one
// observation of a histogram of prom-client. `record.js MEASURE` prints figures as JSON:
//
//   times          nanoseconds of a call by the clock, the n-th ones measured in turn, there and back; and its
//                  percentiles, those names with a number, in permille
//   memory NAME    bytes of a record that waits; nobody takes it. Needs --expose-gc
//   count NAME N   nothing: for callgrind, N calls

const { CALLS, NAMES, WORK, recorder } = require('./recorders.js')

const PAIRS = 15
/** The first ones compile. */
const WARMING = 3
const ROUNDS = 20
const PERMILLE = [500, 990, 999]
/** So many that what else the process grows by is little of it. */
const WAITING = 200_000

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

function waits(record) {
  return WORK.map((call) => {
    const began = process.hrtime.bigint()
    record(call)
    return Number(process.hrtime.bigint() - began)
  })
}

/** Of one call, without what the clock itself takes. */
async function percentiles({ record, delivered }) {
  const clock = median(waits(() => {}))
  const all = (await rounds(delivered, () => waits(record))).flat().sort((a, b) => a - b)
  return PERMILLE.map((permille) => all[(all.length / 1000) * permille] - clock)
}

async function times() {
  const all = NAMES.map((name) => [name, recorder(name)]).filter(([, one]) => one)
  const figures = {}
  const add = (name, figure) => (figures[name] ??= []).push(figure)
  for (let pair = 0; pair < WARMING + PAIRS; pair++) {
    const there = new Map()
    for (const [name, one] of all) there.set(name, await cost(one))
    for (const [name, one] of all.toReversed()) {
      const figure = (there.get(name) + (await cost(one))) / 2
      if (pair >= WARMING) add(name, figure)
    }
  }
  for (const [name, one] of all) {
    const found = await percentiles(one)
    for (const [i, permille] of PERMILLE.entries()) add(`${name}_${permille}`, found[i])
  }
  return figures
}

function fill(record, count) {
  for (let i = 0; i < count; i++) record(WORK[i % CALLS])
}

function memory(name) {
  const { record } = recorder(name, { kept: 2 * WAITING })
  const resident = () => {
    gc()
    return process.memoryUsage.rss()
  }
  fill(record, WAITING / 10)
  const before = resident()
  fill(record, WAITING)
  return { bytes: [(resident() - before) / WAITING] }
}

function count(name, calls) {
  fill(recorder(name, { kept: 2 * calls }).record, Number(calls))
  return {}
}

async function main([measure, ...rest]) {
  const alive = setInterval(() => {}, 1000)
  console.log(JSON.stringify(await { times, memory, count }[measure](...rest)))
  clearInterval(alive)
  process.exit()
}

main(process.argv.slice(2))
