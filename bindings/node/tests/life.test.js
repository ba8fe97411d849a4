'use strict'
// The ends of processes and of workers: nothing is lost, and nobody is kept alive.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { receiver, run } = require('./harness.js')

const PROGRAM = "const malti = require('libmalti'); malti.record('GET', '/x', 200, 1);"

for (const [name, end, expected] of [
  ['return', '', { status: 0, signal: null }],
  ['process.exit', 'process.exit(3)', { status: 3, signal: null }],
  ['a throw', "throw new Error('on purpose')", { status: 1, signal: null }],
  ['a rejection', "Promise.reject(new Error('on purpose'))", { status: 1, signal: null }],
  [
    'SIGTERM that is handled',
    "process.on('SIGTERM', () => process.exit(4)); setInterval(() => {}, 1000); process.kill(process.pid, 'SIGTERM')",
    { status: 4, signal: null },
  ],
]) {
  test(`the end by ${name} delivers`, async (t) => {
    const server = await receiver(t)
    const { status, signal } = await run(t, process.execPath, ['-e', PROGRAM + end], server.env).end()
    assert.deepEqual({ status, signal }, expected)
    assert.equal((await server.records()).length, 1)
  })
}

test('an end waits no longer than shutdown_timeout for a server that is silent', async (t) => {
  const silent = require('node:net').createServer(() => {})
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const env = { MALTI_API_KEY: 'k', MALTI_URL: `http://127.0.0.1:${silent.address().port}` }
  const started = performance.now()
  const program = run(t, process.execPath, ['-e', PROGRAM], {
    ...env,
    MALTI_SERVICE_NAME: 's',
    MALTI_SHUTDOWN_TIMEOUT: '1',
  })
  const { status, errors } = await program.end()
  assert.equal(status, 0)
  assert.match(errors, /not delivered before shutdown: 1/)
  assert.ok(performance.now() - started < 30_000)
})

test('a logger of the application is told what the end could not deliver', async (t) => {
  const program = `
    const say = (line) => require('node:fs').writeSync(2, 'logger: ' + line)
    const settings = { api_key: 'k', service_name: 's', url: 'http://127.0.0.1:1', shutdown_timeout: 0.2 }
    require('libmalti').init({ ...settings, logger: { error: say, warn: say, info: say, debug: say } })
    require('libmalti').record('GET', '/x', 200, 1)`
  const { status, errors } = await run(t, process.execPath, ['-e', program], {}).end()
  assert.equal(status, 0)
  assert.match(errors, /logger: records not delivered before shutdown: 1/)
})

test('a flush that nobody waits for does not keep the process', async (t) => {
  const server = await receiver(t)
  const program = run(t, process.execPath, ['-e', `${PROGRAM} malti.flush(3_600_000)`], server.env)
  assert.equal((await program.end()).status, 0)
  assert.equal((await server.records()).length, 1)
})

test('workers share the client, and one that is terminated loses nothing', async (t) => {
  const server = await receiver(t)
  const program = `
    const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads')
    const { once } = require('node:events')
    const worker = () => {
      const malti = require('libmalti')
      for (let i = 0; i < 100; i++) malti.record('GET', '/w' + workerData, 200, 1)
      parentPort.postMessage('done')
      if (workerData === 1) setInterval(() => {}, 1000)
    }
    if (isMainThread) {
      const malti = require('libmalti')
      malti.record('GET', '/main', 200, 1)
      ;(async () => {
        const source = '(' + worker.toString() + ')()'
        const head = "const { workerData, parentPort } = require('node:worker_threads');"
        for (const number of [1, 2, 3]) {
          const one = new Worker(head + source, { eval: true, workerData: number })
          const exit = once(one, 'exit')
          await once(one, 'message')
          if (number === 1) await one.terminate()
          else await exit
        }
        const { recorded, state } = malti.stats()
        console.log(recorded, state !== 'stopped', malti.record('GET', '/after', 200, 1))
      })()
    }`
  const app = run(t, process.execPath, ['-e', program], server.env)
  assert.equal(await app.line(), '301 true true')
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  assert.equal((await server.records()).length, 302)
})

test('a worker that alone has used the client delivers at its end', async (t) => {
  const server = await receiver(t)
  const program = `
    const { Worker } = require('node:worker_threads')
    new Worker(${JSON.stringify(PROGRAM)}, { eval: true })`
  const app = run(t, process.execPath, ['-e', program], server.env)
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  assert.equal((await server.records()).length, 1)
})

test('the processes of a cluster have a client each', async (t) => {
  const server = await receiver(t)
  const app = run(t, process.execPath, [require.resolve('./cluster.js')], server.env)
  assert.equal(await app.line(), 'answered 20')
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  const records = await server.records()
  assert.equal(records.length, 20)
  assert.equal(new Set(records.map(({ consumer }) => consumer)).size, 2)
})
