'use strict'
// Ways in: CommonJS and ESM over one core, where the library is looked for, settings.

const assert = require('node:assert/strict')

const { after, test } = require('node:test')
const { brief, receiver, run } = require('./harness.js')
const malti = require('libmalti')

test('both kinds of module are one', async () => {
  const esm = await import('libmalti')
  assert.equal(esm.default, malti)
  for (const name of Object.keys(malti)) assert.equal(esm[name], malti[name], name)
  for (const name of ['express', 'fastify', 'hapi', 'hono', 'koa']) {
    const entry = await import(`libmalti/${name}`)
    assert.equal(entry.default, require(`libmalti/${name}`))
  }
})

test('the version is that of the package', () => {
  assert.equal(malti.version(), require('libmalti/package.json').version)
})

test('settings that can not be used are named', () => {
  assert.throws(() => malti.init({ batch_sise: 5 }), { name: 'TypeError', message: /"batch_size"/ })
  assert.throws(() => malti.init({ batch_size: 'x' }), { name: 'RangeError', message: /batch_size/ })
  assert.throws(() => malti.init({ url: {} }), { name: 'TypeError', message: /url/ })
  assert.throws(() => malti.init('x'), { name: 'TypeError', message: 'settings is an object' })
  assert.throws(() => malti.init({ logger: {} }), { name: 'TypeError', message: /logger/ })
})

test('an application runs without a library', async (t) => {
  const program = `
    const malti = require('libmalti')
    const server = malti.instrument(require('node:http').createServer((q, s) => {
      q.malti.consumer = 'x'
      s.end('fine')
    }))
    server.listen(0, '127.0.0.1', async () => {
      const answers = []
      for (const path of ['/a', '/b']) {
        answers.push(await (await fetch('http://127.0.0.1:' + server.address().port + path)).text())
      }
      console.log(answers.join())
      server.close()
    })`
  const app = run(t, process.execPath, ['-e', program], { MALTI_LIBRARY: '/nowhere/lib.so' })
  assert.equal(await app.line(), 'fine,fine')
  const { status, errors } = await app.end()
  assert.equal(status, 0)
  assert.equal(errors.match(/nothing is recorded/g).length, 1, errors)
})

test('lines go to a logger', async (t) => {
  const program = `
    const malti = require('libmalti')
    const lines = []
    const logger = {}
    for (const level of ['error', 'warn', 'info', 'debug']) {
      logger[level] = (line) => lines.push(level + ' ' + line)
    }
    malti.init({ logger, log: 'warn', api_key: 'k', url: 'http://127.0.0.1:1' })
    console.log(JSON.stringify(lines))`
  const app = run(t, process.execPath, ['-e', program])
  const lines = JSON.parse(await app.line())
  assert.ok(
    lines.some((line) => line.startsWith('warn service_name is not set')),
    lines,
  )
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
})

test('init, record, flush, stats, shutdown', async (t) => {
  const server = await receiver(t)
  assert.equal(malti.init(server.settings), true)
  assert.throws(() => malti.init({ ...server.settings, batch_size: 7 }), /another batch_size/)
  assert.equal(malti.record('GET', '/a/{b}', 200, 1500, 'alice', 'note'), true)
  assert.equal(malti.record('GET', '/a/{b}', 404, 1500), false)
  assert.throws(() => malti.record('GET', '/', '200', 1), TypeError)
  assert.equal(await malti.flush(60_000), true)
  const [{ method, endpoint, status, consumer, context }] = await server.records()
  assert.deepEqual([method, endpoint, status, consumer, context], ['GET', '/a/{b}', 200, 'alice', 'note'])
  const { recorded, sent, filtered } = malti.stats()
  assert.deepEqual([recorded, sent, filtered], [1, 1, 1])
  assert.equal(await malti.shutdown(60_000), true)
  assert.equal(malti.record('GET', '/', 200, 1), false)
  assert.equal(malti.stats().state, 'stopped')
  await assert.rejects(malti.flush('soon'), TypeError)
})

after(() => malti.shutdown())

test('faults of the application and of its logger cost no answer and no record', async (t) => {
  const server = await receiver(t)
  const program = `
    const malti = require('libmalti')
    const logger = { error() {}, info() {}, debug() {}, warn(line) { console.log(line); throw new Error('logger') } }
    malti.init({ logger, clean_mode: false })
    const strange = { toString() { throw Symbol('text') } }
    const endpoint = (req) => {
      if (req.url.startsWith('/throws')) throw new Error(req.url)
      return req.url === '/symbol' ? Symbol('route') : '/consumer'
    }
    const app = malti.instrument(require('node:http').createServer((q, s) => {
      malti.setConsumer(q.url === '/consumer' ? strange : 'me')
      s.end('fine')
    }), { endpoint })
    app.listen(0, '127.0.0.1', async () => {
      for (const path of ['/throws/1', '/throws/2', '/symbol', '/consumer']) {
        await (await fetch('http://127.0.0.1:' + app.address().port + path, { headers: { connection: 'close' } })).text()
      }
      app.close()
    })`
  const app = run(t, process.execPath, ['-e', program], server.env)
  assert.equal(
    await app.rest(),
    "a request's route was not found out: /throws/1 (said once)\n" +
      'what the application said has no text: Symbol(text) (said once)',
  )
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  assert.deepEqual((await server.records()).map(brief), [
    'GET /throws/1 200 me',
    'GET /throws/2 200 me',
    'GET Symbol(route) 200 me',
    'GET /consumer 200 anonymous',
  ])
})

test('two copies of the package share the request', async (t) => {
  const server = await receiver(t)
  const program = `
    const malti = require('libmalti')
    for (const file of Object.keys(require.cache)) delete require.cache[file]
    const copy = require('libmalti')
    const app = copy.instrument(malti.instrument(require('node:http').createServer((q, s) => {
      if (copy !== malti) copy.setConsumer('me')
      s.end('fine')
    })))
    app.listen(0, '127.0.0.1', async () => {
      await (await fetch('http://127.0.0.1:' + app.address().port + '/x')).text()
      app.close()
    })`
  const app = run(t, process.execPath, ['-e', program], server.env)
  assert.deepEqual(await app.end(), { status: 0, signal: null, errors: '' })
  assert.deepEqual((await server.records()).map(brief), ['GET /x 200 me'])
})
