'use strict'
// flushOnSignal beside the listeners of others; what it delivers is in the fault matrix.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { test } = require('node:test')
const { receiver, run } = require('./harness.js')

/** How a program ends that gets `signals` one after the other, and what it has said. */
async function ended(t, source, env, signals = ['SIGTERM']) {
  const program = `
    const malti = require('libmalti')
    malti.record('GET', '/x', 200, 1)
    ${source}
    setInterval(() => {}, 1000)
    console.log('ready')`
  const app = run(t, process.execPath, ['-e', program], env)
  for (const signal of signals) {
    assert.equal(await app.line(), 'ready')
    // Deno's child.kill sends one signal and no other.
    process.kill(app.child.pid, signal)
  }
  return app.end()
}

test('each signal that is named ends the process as it would have, once', async (t) => {
  for (const [call, signal] of [
    ['malti.flushOnSignal()', 'SIGTERM'],
    ['malti.flushOnSignal("SIGINT", "SIGTERM"); malti.flushOnSignal("SIGINT")', 'SIGINT'],
  ]) {
    const server = await receiver(t)
    const end = await ended(t, call, server.env, [signal])
    assert.deepEqual(end, { status: null, signal, errors: '' })
    assert.equal((await server.records()).length, 1)
  }
})

// A program as process 1, as in a container.
const CONTAINER = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child']
const none = spawnSync('unshare', [...CONTAINER, 'true']).status !== 0 && 'unshare makes no process 1 here'

test('process 1 ends too, which no signal of its own kills', { skip: none }, async (t) => {
  const server = await receiver(t)
  const program = `
    const malti = require('libmalti')
    malti.record('GET', '/x', 200, 1)
    malti.flushOnSignal()
    setInterval(() => {}, 1000)
    console.log('ready', process.pid)`
  const app = run(t, 'unshare', [...CONTAINER, process.execPath, '-e', program], server.env)
  assert.equal(await app.line(), 'ready 1')
  // Its parent hands no signal on.
  const child = fs.readFileSync(`/proc/${app.child.pid}/task/${app.child.pid}/children`, 'utf8')
  process.kill(Number(child), 'SIGTERM')
  assert.deepEqual(await app.end(), { status: 128 + 15, signal: null, errors: '' })
  assert.equal((await server.records()).length, 1)
})

test('a listener of the application keeps the process, and may end it later', async (t) => {
  const server = await receiver(t)
  const source = `
    malti.flushOnSignal()
    let count = 0
    process.on('SIGTERM', () => {
      if (++count === 2) process.exit(7)
      malti.record('GET', '/y', 200, 1)
      console.log('ready')
    })`
  const { status } = await ended(t, source, server.env, ['SIGTERM', 'SIGTERM'])
  assert.equal(status, 7)
  assert.equal((await server.records()).length, 2)
})

// Deno asks listeners in the order in which they came, whatever prependListener says.
const skip = 'deno' in process.versions
test('who ends the process where nobody else listens, as signal-exit, sees nobody', { skip }, async (t) => {
  const source = `
    process.on('SIGTERM', function listener() {
      if (process.listeners('SIGTERM').length > 1) return
      process.removeListener('SIGTERM', listener)
      process.kill(process.pid, 'SIGTERM')
    })
    malti.flushOnSignal()`
  const { signal } = await ended(t, source, (await receiver(t)).env)
  assert.equal(signal, 'SIGTERM')
})

test('without the call nothing listens', async (t) => {
  const source = `if (process.listenerCount('SIGTERM') > 0) process.exit(8)`
  assert.equal((await ended(t, source, (await receiver(t)).env)).signal, 'SIGTERM')
})

test('a worker thread gets no signals, and is told so', async (t) => {
  const source = `
    const { Worker } = require('node:worker_threads')
    const source = "require('libmalti').flushOnSignal()"
    new Worker(source, { eval: true }).on('error', ({ message }) => console.log(message))`
  const app = run(t, process.execPath, ['-e', source], (await receiver(t)).env)
  assert.match(await app.line(), /main thread/)
})
