'use strict'
// The cases that every language runs, through the native module and from there to the end.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { ROOT } = require('./harness.js')
const malti = require('libmalti')
const { recordRequest } = require('../lib/client.js')
const { load } = require('../lib/native.js')

const native = load()
const read = (name) => JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/vectors', name), 'utf8'))
const BASE = { api_key: 'key', service_name: 'vectors', node: 'n1', log: 'off' }

/** Runs `work` with a client that writes to a file; the records of it. */
async function written(settings, work) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'malti-'))
  try {
    const file = path.join(folder, 'records')
    assert.equal(malti.init({ ...BASE, url: `file:${file}`, ...settings }), true)
    work()
    assert.equal(await malti.shutdown(60_000), true)
    const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trimEnd().split('\n') : []
    return lines.map((line) => JSON.parse(line))
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

test('routes', () => {
  const cases = read('route.json')
  assert.ok(cases.length > 100)
  for (const { dialect, pattern, expect } of cases) {
    assert.equal(native.normalizeRoute(dialect, pattern), expect, `${dialect} ${pattern}`)
  }
  assert.throws(() => native.normalizeRoute('klingon', '/'), RangeError)
})

/** As node:http gives the bytes of a header: each of them a character. */
function bytes(value) {
  const raw = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.hex, 'hex')
  return raw.toString('latin1')
}

test('consumers and contexts', async () => {
  const cases = read('consumer.json')
  assert.ok(cases.length > 60)
  for (const { name, config, state, headers, query, peer, expect, expect_context } of cases) {
    const list = headers.flatMap((pair) => pair.map(bytes))
    const target = `/?${bytes(query)}`
    const [record] = await written(config, () => {
      assert.ok(recordRequest('GET', '/', 200, 1, state, null, list, target, peer), name)
    })
    // What a record can't hold is cleaned away on its further way, which record.json is about.
    const cleaned = (text) => text.replace(/[<[]/g, '(').replace(/[>\]]/g, ')').slice(0, 500)
    if (expect !== undefined) assert.equal(record.consumer, cleaned(expect), name)
    if (expect_context !== undefined) {
      assert.equal(record.context ?? null, expect_context && cleaned(expect_context), name)
    }
  }
})

test('headers that a server should not let pass, and those that are long', async () => {
  const consumer = async (...headers) => {
    const [record] = await written({}, () => recordRequest('GET', '/', 200, 1, '', '', headers, '/'))
    return record.consumer
  }
  assert.equal(await consumer('X-Consumer-Id', 'a\0x-user-id\0b', 'user-id', 'c'), 'c')
  assert.equal(await consumer('user-id', ' '.repeat(5000), 'USER-ID', `${' '.repeat(5000)}d`), 'd')
})

test('what the rules read of a request', () => {
  const settings = { ...BASE, url: 'file:/dev/null' }
  const reads = (more) => {
    native.init({ ...settings, ...more })
    const [peer, ...names] = native.reads()
    native.shutdown(60_000)
    return [peer, names]
  }
  assert.deepEqual(reads({ consumer_headers: 'X-Tenant,x-user' }), [false, ['x-tenant', 'x-user']])
  const all = { consumer_headers: 'a', context_headers: 'B', use_ip_as_consumer: 'true' }
  assert.deepEqual(reads(all), [true, ['a', 'b', 'x-forwarded-for']])
  assert.deepEqual(native.reads(), [false])
})

/** A text of record.json; undefined: one that a JavaScript string can't be. */
function text(value) {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) {
    const parts = value.map(text)
    return parts.includes(undefined) ? undefined : parts.join('')
  }
  return value.repeat?.[0].repeat(value.repeat[1])
}

test('records', async () => {
  const isText = (name) => ['method', 'endpoint', 'consumer', 'context'].includes(name)
  const given = []
  let leftOut = 0
  for (const one of read('record.json').cases) {
    const entries = Object.entries(one.in).map(([k, v]) => [k, isText(k) ? text(v) : Number(v)])
    const fields = Object.fromEntries(entries)
    // Bytes that are no text, and a time that the caller gives, are for other hosts.
    const can = entries.every(([, value]) => value !== undefined) && !fields.created_at_unix_us
    if (can) given.push({ ...one, fields })
    else leftOut += 1
  }
  assert.ok(given.length > 70 && leftOut < 25, `${given.length} cases, ${leftOut} left out`)
  const records = await written({}, () => {
    for (const { name, fields, expect_status } of given) {
      const { method = '', endpoint = '', status, response_time_us, consumer, context } = fields
      const code = native.record(method, endpoint, status, response_time_us, consumer, context)
      assert.equal(code, { INVALID_ARGUMENT: -1, IGNORED: 1 }[expect_status], name)
    }
  })
  const kept = given.filter((one) => one.expect)
  assert.equal(records.length, kept.length)
  kept.forEach(({ name, expect }, index) => {
    const { service, node, created_at, ...record } = records[index]
    const { created_at: _, ...wanted } = expect
    for (const key of Object.keys(wanted)) if (isText(key)) wanted[key] = text(wanted[key])
    assert.deepEqual(record, wanted, name)
  })
})

test('arguments of the wrong type are named', () => {
  const wrong = [
    [() => native.record(1, '/', 200, 1), 'method is a string, not a number'],
    [() => native.record('GET', null, 200, 1), 'endpoint is a string, not null'],
    [() => native.record('GET', '/', '200', 1), 'status is a number, not a string'],
    [() => native.record('GET', '/', 200), 'responseTimeUs is a number, not undefined'],
    [() => native.record('GET', '/', 200, 1, {}), 'consumer is a string, not an object'],
    [() => native.record('GET', '/', 200, 1, '', 7n), 'context is a string, not another value'],
    [() => native.init({ batch_size: 5 }), 'batch_size is a string, not a number'],
    [() => native.init(null), 'settings is an object, not null'],
    [() => native.shutdown('x'), 'timeout is a number, not a string'],
  ]
  for (const [call, message] of wrong) assert.throws(call, { name: 'TypeError', message })
  const request = (headers, query) => native.recordRequest('GET', '/', 200, 1, '', '', headers, query)
  native.init({ ...BASE, url: 'file:/dev/null' })
  assert.throws(() => request([], ''), { message: 'headers is a string, not an object' })
  assert.throws(() => request('', 3), { message: 'query is a string, not a number' })
  assert.equal(request(undefined, undefined), undefined)
  assert.equal(native.record('GET', '/', 200.5, 1), -1)
  assert.equal(native.record('GET', '/', NaN, NaN), -1)
  assert.equal(native.shutdown(60_000), 0)
})
