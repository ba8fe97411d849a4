'use strict'
// Rows of the fault matrix: how processes and threads end, and what becomes of their records.

const assert = require('node:assert/strict')
const net = require('node:net')
const { test } = require('node:test')
const { listening, receiver, run } = require('./harness.js')

const SHUTDOWN_TIMEOUT_MS = 300
const RECORDS = 5
/** Long enough for the slowest machine to start and end a process, and no end that has no limit. */
const NO_LIMIT_MS = 30_000

/** Prints a row and fails unless each record has arrived once, or is counted as dropped or killed. */
function account(row, recorded, records, { dropped = 0, killed = 0 } = {}) {
  const arrived = new Set(records.map(({ consumer }) => consumer))
  const twice = records.length - arrived.size
  const unaccounted = recorded - arrived.size - dropped - killed
  const counts = { recorded, delivered: arrived.size, twice, dropped, killed, unaccounted }
  console.log(
    `${row}: ${Object.entries(counts)
      .map((pair) => pair.reverse().join(' '))
      .join(', ')}`,
  )
  assert.deepEqual([twice, unaccounted], [0, 0], row)
}

/** Servers by their faults: the settings of who sends there, and what has arrived. */
const SERVERS = {
  up: (t) => receiver(t),
  down: async (t) => {
    const server = net.createServer()
    const port = await listening(t, server)
    await new Promise((resolve) => server.close(resolve))
    return faulty(port)
  },
  hanging: async (t) => {
    const sockets = []
    const port = await listening(
      t,
      net.createServer((socket) => sockets.push(socket.on('error', () => {}))),
    )
    t.after(() => {
      for (const socket of sockets) socket.destroy()
    })
    return faulty(port)
  },
}

function faulty(port) {
  const env = { MALTI_URL: `http://127.0.0.1:${port}`, MALTI_API_KEY: 'key', MALTI_SERVICE_NAME: 'test' }
  return { env, records: async () => [] }
}

const RECORD = `
  const malti = require('libmalti')
  const record = (from, to) => {
    for (let n = from; n < to; n++) malti.record('GET', '/x', 200, 1, process.pid + ' ' + n)
  }
  record(0, ${RECORDS});`
const STAY = 'setInterval(() => {}, 1000); process.kill(process.pid, "SIGTERM")'

// Row 10.
const ENDS = {
  return: ['', { status: 0, signal: null }],
  'process.exit': ['process.exit(3)', { status: 3, signal: null }],
  throw: ['throw new Error("on purpose")', { status: 1, signal: null }],
  rejection: ['Promise.reject(new Error("on purpose"))', { status: 1, signal: null }],
  'SIGTERM, handled': [`process.on("SIGTERM", () => process.exit(4)); ${STAY}`, { status: 4, signal: null }],
  'SIGTERM, flushOnSignal': [`malti.flushOnSignal(); ${STAY}`, { status: null, signal: 'SIGTERM' }],
  'SIGTERM, flushOnSignal, raised again by another': [
    `malti.flushOnSignal()
    process.once("SIGTERM", () => setImmediate(() => process.kill(process.pid, "SIGTERM"))); ${STAY}`,
    { status: null, signal: 'SIGTERM' },
  ],
}

for (const [end, [source, expected]] of Object.entries(ENDS)) {
  for (const [state, start] of Object.entries(SERVERS)) {
    test(`10. end by ${end}, server ${state}`, async (t) => {
      const server = await start(t)
      const env = { ...server.env, MALTI_LOG: 'warn', MALTI_SHUTDOWN_TIMEOUT: SHUTDOWN_TIMEOUT_MS / 1000 }
      // Where it has to deliver, a slow machine has time for it.
      if (state === 'up') delete env.MALTI_SHUTDOWN_TIMEOUT
      const started = performance.now()
      const { status, signal, errors } = await run(t, process.execPath, ['-e', RECORD + source], env).end()
      assert.ok(performance.now() - started < NO_LIMIT_MS)
      assert.deepEqual({ status, signal }, expected, errors)
      const [, dropped = 0] = /not delivered before shutdown: (\d+)/.exec(errors) ?? []
      account(`10 ${end}, ${state}`, RECORDS, await server.records(), { dropped: Number(dropped) })
    })
  }
}

for (const [state, start] of Object.entries(SERVERS)) {
  test(`10. SIGKILL, server ${state}: what waits in memory is lost, and nothing else`, async (t) => {
    const server = await start(t)
    const source = `
      malti.flush(${state === 'up' ? 60_000 : 100}).then(() => {
        record(${RECORDS}, ${2 * RECORDS})
        process.kill(process.pid, 'SIGKILL')
      })`
    const env = { ...server.env, MALTI_BATCH_INTERVAL: '60' }
    const { signal } = await run(t, process.execPath, ['-e', RECORD + source], env).end()
    assert.equal(signal, 'SIGKILL')
    const killed = state === 'up' ? RECORDS : 2 * RECORDS
    account(`10 SIGKILL, ${state}`, 2 * RECORDS, await server.records(), { killed })
  })
}

// Row 11.
// A worker of Bun's cluster does not end when it is disconnected.
test('11. the processes of a cluster have a client each', { skip: 'bun' in process.versions }, async (t) => {
  const server = await receiver(t)
  const app = run(t, process.execPath, [require.resolve('./cluster.js')], server.env)
  assert.equal(await app.line(), 'answered 20')
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  const records = await server.records()
  account('11 cluster', 20, records)
  assert.equal(new Set(records.map(({ context }) => context)).size, 2)
})

for (const way of ['fork', 'exec']) {
  test(`11. child_process.${way}: parent and child have a client each`, async (t) => {
    const server = await receiver(t)
    const { status, errors } = await run(t, process.execPath, [require.resolve('./parent.js'), way], server.env).end()
    assert.deepEqual([status, errors], [0, ''])
    account(`11 child_process.${way}`, 3 * RECORDS, await server.records())
  })
}

// Row 12.
test('12. three workers, one terminated in the middle', async (t) => {
  const server = await receiver(t)
  const env = { ...server.env, MALTI_BATCH_SIZE: '20', MALTI_BATCH_INTERVAL: '0.1' }
  const app = run(t, process.execPath, [require.resolve('./threads.js')], env)
  const { recorded, sent, returned } = JSON.parse(await app.line())
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  const records = await server.records()
  account('12 worker_threads', recorded, records)
  assert.equal(sent, recorded)
  // Who was terminated may have been so between the record and its count.
  assert.ok(recorded - returned === 0 || recorded - returned === 1, `${recorded}, ${returned}`)
})
