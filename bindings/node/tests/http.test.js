'use strict'
// Servers without a framework.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const http = require('node:http')
const http2 = require('node:http2')
const net = require('node:net')
const { before, test } = require('node:test')
const { ask, brief, delivered, leave, listening, receiver, until, wait, wholeFile } = require('./harness.js')
const malti = require('libmalti')

/** Its responses do not tell what has gone out, nor whether they have had their turn. */
const BUN = 'bun' in process.versions
const skip = BUN && "Bun's responses do not tell"

const owner = wholeFile()
let server
let seen = 0

before(async () => {
  server = await receiver(owner)
  malti.init({ ...server.settings, clean_mode: false })
})

/** The records that have come since the last time, once there are `count`. */
async function news(count) {
  const fresh = await delivered(server, seen, count)
  seen += fresh.length
  assert.equal(fresh.length, count, fresh.map(brief).join('\n'))
  return fresh
}

test('each request is one record, timed to the end of its body', async () => {
  const app = http.createServer(async (req, res) => {
    res.statusCode = 201
    res.write('a')
    await wait(120)
    // Too late: the client has the other one.
    if (!BUN) res.statusCode = 500
    res.end('b')
  })
  // Twice is as good as once.
  malti.instrument(malti.instrument(app))
  const port = await listening(owner, app)
  assert.equal(await ask(port, '/a/b?x=1', { method: 'PUT', headers: { 'X-User-Id': 'u1' } }), 201)
  const [record] = await news(1)
  assert.equal(brief(record), 'PUT /a/b 201 u1')
  assert.ok(record.response_time >= 110, record.response_time)
})

test('a client that leaves is 499 before the answer, and keeps its status in the middle', async () => {
  const started = Promise.withResolvers?.() ?? withResolvers()
  const app = malti.instrument(
    http.createServer((req, res) => {
      if (req.url === '/begun') res.write('a')
      else started.resolve()
    }),
  )
  const port = await listening(owner, app)
  await leave(port, '/waits', started.promise)
  assert.deepEqual((await news(1)).map(brief), ['GET /waits 499 anonymous'])
  await leave(port, '/begun')
  assert.deepEqual((await news(1)).map(brief), ['GET /begun 200 anonymous'])
})

/** Sends requests at once, and leaves when `got` is true of what has come back. */
async function pipelined(port, targets, got) {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
  let back = ''
  socket.on('data', (data) => (back += data))
  await until(
    () => `what is awaited; there is ${back}`,
    () => got(back),
  )
  socket.destroy()
}

test('requests behind another one on a connection whose client leaves', { skip }, async () => {
  let begun = 0
  const app = http.createServer((req, res) => {
    begun += 1
    if (req.url === '/fine') res.end('done')
  })
  const port = await listening(owner, malti.instrument(app))
  // The last one's answer waits for its turn, and never has it.
  await pipelined(port, ['/fine', '/waits', '/behind', '/fine'], (back) => begun === 4 && back.endsWith('done'))
  assert.deepEqual((await news(4)).map(brief).sort(), [
    'GET /behind 499 anonymous',
    'GET /fine 200 anonymous',
    'GET /fine 499 anonymous',
    'GET /waits 499 anonymous',
  ])
  const targets = Array.from({ length: 30 }, () => '/fine')
  await pipelined(port, targets, (back) => back.split('done').length > targets.length)
  assert.ok((await news(targets.length)).every((record) => record.status === 200))
})

test('requests behind an answer whose connection the server breaks off', { skip }, async () => {
  const app = http.createServer((req, res) => {
    if (req.url === '/behind') res.end('done')
    if (req.url === '/last') req.socket.destroy()
  })
  const port = await listening(owner, malti.instrument(app))
  await pipelined(port, ['/waits', '/behind', '/last'], () => app.listening && malti.stats().recorded >= seen + 3)
  assert.deepEqual((await news(3)).map(brief).sort(), [
    'GET /behind 500 anonymous',
    'GET /last 500 anonymous',
    'GET /waits 500 anonymous',
  ])
})

test('an answer that the server breaks off is 500', async () => {
  const app = malti.instrument(
    http.createServer((req, res) => {
      res.write('a')
      if (req.url === '/error') setImmediate(() => res.destroy(new Error('on purpose')))
      else if (req.url === '/file') fs.createReadStream('/nowhere').on('error', (error) => res.destroy(error))
      else if (req.url === '/ended') setImmediate(() => res.destroy().end())
      else setImmediate(() => req.socket.destroy())
    }),
  )
  const port = await listening(owner, app)
  await Promise.allSettled(['/ended', '/error', '/file', '/socket'].map((target) => ask(port, target).catch(() => {})))
  assert.deepEqual((await news(4)).map(brief).sort(), [
    'GET /ended 500 anonymous',
    'GET /error 500 anonymous',
    'GET /file 500 anonymous',
    'GET /socket 500 anonymous',
  ])
})

test('a request that Node cannot read to its end has the status of its answer', async () => {
  const serve = async (settings) => {
    const app = http.createServer(settings, (req, res) => {
      if (req.url === '/begun') res.writeHead(202).flushHeaders()
      req.on('error', () => {}).resume()
    })
    return listening(owner, malti.instrument(app))
  }
  const fast = await serve({})
  const slow = await serve({ requestTimeout: 100, headersTimeout: 100, connectionsCheckingInterval: 10 })
  const requests = [
    [fast, '/begun', 'no chunk'],
    [fast, '/chunk', 'no chunk'],
    [slow, '/slow', ''],
  ]
  // Deno has no limit of these.
  if (!('Deno' in globalThis)) {
    requests.push([fast, '/extension', `1;${'e'.repeat(20_000)}`])
    requests.push([fast, '/trailer', `0\r\nX-Long: ${'t'.repeat(20_000)}\r\n`])
  }
  for (const [port, target, body] of requests) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    socket.write(`POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`)
    if (target === '/begun') await once(socket, 'data')
    if (body) socket.write(`${body}\r\n`)
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
  }
  const expected = [202, 400, 408, 413, 431].slice(0, requests.length)
  assert.deepEqual(
    (await news(requests.length)).map(({ endpoint, status }) => [endpoint, status]),
    requests.map(([, target], at) => [target, expected[at]]),
  )
})

test('what the application says reaches its own request, across timers and promises', async () => {
  const app = http.createServer(async (req, res) => {
    await wait(Math.random() * 20)
    await new Promise((resolve) => process.nextTick(resolve))
    malti.setConsumer(req.url.slice(1))
    malti.setContext(`context ${req.url}`)
    malti.setEndpoint('/{name}')
    res.end()
  })
  const port = await listening(owner, malti.instrument(app))
  const names = Array.from({ length: 100 }, (_, number) => `caller-${number}`)
  await Promise.all(names.map((name) => ask(port, `/${name}`)))
  const records = await news(100)
  assert.deepEqual(new Set(records.map(({ consumer }) => consumer)), new Set(names))
  for (const { consumer, context, endpoint } of records) {
    assert.equal(`${context} ${endpoint}`, `context /${consumer} /{name}`)
  }
  malti.setConsumer('outside of a request: nothing')
})

test('HTTP/2, and a stream that its client cancels', async () => {
  const app = http2.createServer((req, res) => {
    if (req.url !== '/done') return
    res.write('x')
    res.statusCode = 500
    res.end()
  })
  malti.instrument(app, { endpoint: (req) => `/h2${req.url}` })
  const port = await listening(owner, app)
  const client = http2.connect(`http://127.0.0.1:${port}`)
  const stream = client.request({ ':path': '/done', 'x-consumer-id': 'two' })
  stream.resume()
  await once(stream, 'close')
  const left = client.request({ ':path': '/left' })
  left.on('error', () => {})
  const got = once(app, 'stream')
  await got
  left.close(http2.constants.NGHTTP2_CANCEL)
  const records = await news(2)
  client.close()
  assert.deepEqual(records.map(brief), ['GET /h2/done 200 two', 'GET /h2/left 499 anonymous'])
})

test('HTTP/2: a connection that its client or the server breaks off, and a file that is not there', async () => {
  const app = http2.createServer((req, res) => {
    if (req.url === '/file') fs.createReadStream('/nowhere').on('error', (error) => res.destroy(error))
    else if (req.url === '/session') req.stream.session.destroy()
    else if (req.url === '/begun') res.write('a')
  })
  const port = await listening(owner, malti.instrument(app))
  for (const target of ['/file', '/session', '/begun', '/waits']) {
    const socket = net.connect(port, '127.0.0.1')
    const client = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => socket })
    client.on('error', () => {})
    const got = once(app, 'stream')
    const stream = client.request({ ':path': target }).on('error', () => {})
    await got
    if (target === '/begun') await once(stream, 'response')
    if (target === '/file' || target === '/session') await new Promise((resolve) => stream.once('close', resolve))
    socket.resetAndDestroy()
  }
  assert.deepEqual((await news(4)).map(brief), [
    'GET /file 500 anonymous',
    'GET /session 500 anonymous',
    'GET /begun 200 anonymous',
    'GET /waits 499 anonymous',
  ])
})

function withResolvers() {
  const made = {}
  made.promise = new Promise((resolve) => (made.resolve = resolve))
  return made
}

test('fetches on one connection, HEAD and a body', async () => {
  const app = http.createServer((req, res) => req.resume().on('end', () => res.end('x')))
  const port = await listening(owner, malti.instrument(app))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (const method of ['GET', 'HEAD', 'POST']) {
    const request = http.request({ port, host: '127.0.0.1', path: '/k', method, agent })
    request.end(method === 'POST' ? 'body' : undefined)
    const [answer] = await once(request, 'response')
    answer.resume()
    await once(answer, 'end')
  }
  agent.destroy()
  assert.deepEqual(
    (await news(3)).map(({ method }) => method),
    ['GET', 'HEAD', 'POST'],
  )
})

test('all servers of a process, by their prototype', async (t) => {
  const app = http.createServer((req, res) => res.end('x'))
  const port = await listening(owner, app)
  malti.instrument(http.Server.prototype, { endpoint: () => '/any' })
  t.after(() => delete http.Server.prototype.emit)
  await ask(port, '/a')
  // It is as good as instrumented.
  malti.instrument(app)
  await ask(port, '/b')
  assert.deepEqual((await news(2)).map(brief), ['GET /any 200 anonymous', 'GET /any 200 anonymous'])
})
