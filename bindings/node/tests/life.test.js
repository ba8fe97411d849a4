'use strict'
// The ends of processes and of workers: nothing is lost, and nobody is kept alive.

const assert = require('node:assert/strict')
const http = require('node:http')
const { test } = require('node:test')
const { listening, receiver, run } = require('./harness.js')

const PROGRAM = "const malti = require('libmalti'); malti.record('GET', '/x', 200, 1);"

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

test('a program may end with the wait for a flush', async (t) => {
  const server = await receiver(t)
  const program = run(t, process.execPath, [require.resolve('./flush_last.mjs')], server.env)
  assert.equal(await program.line(), 'true')
  assert.equal((await program.end()).status, 0)
})

test('a client keeps no process alive, nor does a flush that is over', async (t) => {
  const server = await receiver(t)
  const program = run(t, process.execPath, ['-e', `${PROGRAM} malti.flush(3_600_000)`], server.env)
  assert.equal((await program.end()).status, 0)
  assert.equal((await server.records()).length, 1)
})

test('a shutdown delivers what comes while it waits', async (t) => {
  // Slow enough that much comes before a first batch has arrived.
  const slow = http.createServer((req, res) => {
    req.resume()
    setTimeout(() => res.end(), 50)
  })
  const env = { MALTI_URL: `http://127.0.0.1:${await listening(t, slow)}`, MALTI_API_KEY: 'k', MALTI_SERVICE_NAME: 's' }
  const program = `
    let goesOn = true
    const work = () => {
      malti.record('GET', '/x', 200, 1)
      if (goesOn) setTimeout(work, 1)
    }
    work()
    malti.shutdown(60_000).then((delivered) => {
      goesOn = false
      const { recorded, sent } = malti.stats()
      console.log(delivered, recorded - sent)
    })`
  const app = run(t, process.execPath, ['-e', PROGRAM + program], env)
  assert.equal(await app.line(), 'true 0')
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
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

test('a flush delivers what other threads have recorded', async (t) => {
  const server = await receiver(t)
  const worker = `${PROGRAM} require('node:worker_threads').parentPort.postMessage('recorded'); setInterval(() => {}, 1000)`
  const program = `
    const malti = require('libmalti')
    const { Worker } = require('node:worker_threads')
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true })
    worker.once('message', async () => {
      const delivered = await malti.flush(60_000)
      console.log(delivered, malti.stats().sent)
      worker.terminate()
    })`
  const app = run(t, process.execPath, ['-e', program], { ...server.env, MALTI_BATCH_INTERVAL: '3600' })
  assert.equal(await app.line(), 'true 1')
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
})

// Deno's process may end before the thread of a worker that was terminated does.
const skip = 'Deno' in globalThis && 'Deno does not wait for the worker'
test('what a logger of a terminated worker can not be told is on standard error', { skip }, async (t) => {
  const worker = `
    const malti = require('libmalti')
    const ignore = () => {}
    const settings = { api_key: 'k', service_name: 's', url: 'http://127.0.0.1:1', shutdown_timeout: 0.2 }
    malti.init({ ...settings, logger: { error: ignore, warn: ignore, info: ignore, debug: ignore } })
    malti.record('GET', '/x', 200, 1)
    require('node:worker_threads').parentPort.postMessage('done')
    setInterval(() => {}, 1000)`
  const program = `
    const { Worker } = require('node:worker_threads')
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true })
    worker.once('message', () => worker.terminate())`
  const { status, errors } = await run(t, process.execPath, ['-e', program]).end()
  assert.equal(status, 0)
  assert.match(errors, /malti: warn: records not delivered before shutdown: 1/)
})
