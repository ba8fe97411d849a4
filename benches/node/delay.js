'use strict'
// The 99th percentile of the event loop's delay (`monitorEventLoopDelay`, its resolution of 1 ms
// included) while records are made and batches leave, and in a loop that does the same without
// recording. Prints a list of figures for each, in nanoseconds; the n-th ones are a pair, measured
// in turn (ours, bare, bare, ours).

const { monitorEventLoopDelay } = require('node:perf_hooks')
const { setTimeout: wait } = require('node:timers/promises')
const malti = require('libmalti')

const PAIRS = 15
const WARMING = 1
/** The 99th percentile is that of some hundred ticks then. */
const PHASE_MS = 1000
/** Of a millisecond: enough for some batches in each phase. */
const CALLS = 20

async function p99(record) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  const ticks = setInterval(() => {
    for (let i = 0; i < CALLS; i++) record('GET', '/api/v1/customers/{id}', 200, i, 'consumer-1')
  }, 1)
  histogram.enable()
  await wait(PHASE_MS)
  histogram.disable()
  clearInterval(ticks)
  return histogram.percentile(99)
}

async function ours() {
  const before = malti.stats().sent
  const found = await p99(malti.record)
  if (malti.stats().sent === before) throw new Error('nothing was sent meanwhile')
  const alive = setInterval(() => {}, 1000)
  await malti.flush(60_000)
  clearInterval(alive)
  const { recorded, sent } = malti.stats()
  if (sent !== recorded) throw new Error(`${sent} of ${recorded} delivered`)
  return found
}

const bare = () => p99(() => true)

async function main() {
  malti.init()
  const figures = { ours: [], bare: [] }
  for (let pair = 0; pair < WARMING + PAIRS; pair++) {
    const [a, b, c, d] = [await ours(), await bare(), await bare(), await ours()]
    if (pair < WARMING) continue
    figures.ours.push((a + d) / 2)
    figures.bare.push((b + c) / 2)
  }
  console.log(JSON.stringify(figures))
}

main()
