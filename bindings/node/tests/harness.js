'use strict'
// What the tests talk to: the receiver, programs of their own, servers that they start.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const net = require('node:net')
const path = require('node:path')
const readline = require('node:readline')
const { after } = require('node:test')
const { setTimeout: wait } = require('node:timers/promises')
const malti = require('libmalti')

const ROOT = path.resolve(__dirname, '../../..')
const RECEIVER = process.env.MALTI_RECEIVER ?? path.join(ROOT, 'target/release/malti')
/** Long enough for a slow machine; nothing waits that long where things go well. */
const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 60_000)

// Settings of whoever runs the tests are none of theirs.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('MALTI_') && name !== 'MALTI_LIBRARY') delete process.env[name]
}

/** Waits for `condition` to give something true, and gives that. */
async function until(what, condition) {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await condition()
    if (found) return found
    if (performance.now() > end) throw new Error(`still waiting for ${what()}`)
    await wait(10)
  }
}

/** In a test's place for what lives until all tests of a file have run. */
function wholeFile() {
  const ends = []
  after(async () => {
    await malti.shutdown()
    for (const end of ends.reverse()) await end()
  })
  return { after: (end) => ends.push(end) }
}

/** A program and its output; it ends with the test, or with the file's tests. */
function run(owner, command, args, env = {}, cwd = __dirname) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  const ended = once(child, 'close')
  owner.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    child,
    line: async () => {
      const { value, done } = await lines.next()
      if (done) throw new Error(`it ended: ${errors}`)
      return value
    },
    /** All lines that are still to come. */
    rest: async () => {
      const rest = []
      for (let next; !(next = await lines.next()).done; ) rest.push(next.value)
      return rest.join('\n')
    },
    /** { status, signal, errors } */
    end: async () => {
      const [status, signal] = await ended
      return { status, signal, errors }
    },
  }
}

/** `malti receive`: its address, and what it has got. */
async function receiver(owner) {
  const args = ['receive', '--listen', '127.0.0.1:0', '--json']
  const { url } = JSON.parse(await run(owner, RECEIVER, args).line())
  const records = async () => (await (await fetch(`${url}/api/records?after=0`)).json()).records
  return {
    url,
    records,
    settings: { url, api_key: 'key', service_name: 'test', node: 'n1', log: 'error' },
    env: { MALTI_URL: url, MALTI_API_KEY: 'key', MALTI_SERVICE_NAME: 'test', MALTI_LOG: 'error' },
    /** Its records, once there are `count`. */
    has: async (count) => {
      let found = []
      const enough = async () => (found = await records()).length >= count
      await until(() => `${count} records; there are\n${found.map(brief).join('\n')}`, enough)
      return found
    },
  }
}

/** The port of a server that listens until the tests end. */
async function listening(owner, server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  owner.after(() => {
    server.closeAllConnections?.()
    server.close()
  })
  return server.address().port
}

/** Delivers all, and gives the records from the `from`th on, once there are `count` of them. */
async function delivered(server, from, count) {
  // A client has its answer before the server knows that.
  const { recorded } = malti.stats()
  await until(
    () => `${from + count} records, from ${recorded}`,
    () => malti.stats().recorded >= from + count,
  )
  await malti.flush(PATIENCE_MS)
  return (await server.has(from + count)).slice(from)
}

/** One request on a connection of its own; the answer's status. */
async function ask(port, target, { method = 'GET', headers = {}, body } = {}) {
  const request = http.request({ host: '127.0.0.1', port, path: target, method, headers, agent: false })
  request.end(body)
  const [answer] = await once(request, 'response')
  answer.resume()
  await new Promise((resolve) => answer.once('close', resolve))
  return answer.statusCode
}

/** Sends a request and leaves when `data` has come, or without it once the server has the request. */
async function leave(port, target, got) {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await (got ?? once(socket, 'data'))
  socket.destroy()
}

/** A record without what is different each time. */
const brief = ({ method, endpoint, status, consumer }) => `${method} ${endpoint} ${status} ${consumer}`

module.exports = { ROOT, ask, brief, delivered, leave, listening, receiver, run, until, wait, wholeFile }
