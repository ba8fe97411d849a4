'use strict'
// What holds whatever the framework: a test file brings an application with the routes named here.

const assert = require('node:assert/strict')
const http = require('node:http')
const { once } = require('node:events')
const { ask, brief, delivered, leave, until, wait } = require('./harness.js')
const malti = require('libmalti')

const STREAMS_MS = 120

/** The records that have come since the last time, once there are `count`. */
function reader() {
  let seen = 0
  return async (server, count) => {
    const fresh = await delivered(server, seen, count)
    seen += fresh.length
    assert.equal(fresh.length, count, fresh.map(brief).join('\n'))
    return fresh
  }
}

/** The body of `GET /stream`. */
async function* pieces() {
  yield 'a'
  await wait(STREAMS_MS)
  yield 'b'
}

/** The body of `GET /breaks`. */
async function* breaking() {
  yield 'a'
  await wait(10)
  throw new Error('on purpose')
}

let waiting = 0

/** The handler of `GET /waits`: it never answers. */
function forever() {
  waiting += 1
  return new Promise(() => {})
}

/** The handler of `GET /said`. */
async function said(name) {
  await wait(Math.random() * 20)
  await new Promise((resolve) => process.nextTick(resolve))
  malti.setConsumer(name)
  malti.setContext(`context of ${name}`)
  malti.setEndpoint('/said/{name}')
  return name
}

/**
 * Asks the application on `port`, whose `GET /own` says the consumer "own" by the request's object;
 * `GET /boom` throws; `/things/{thing}` has a GET, and a 405 for DELETE under `refused`.
 */
async function holds({ server, port, news, refused }) {
  const things = [
    ['GET', '/things/7?user_id=q', 200],
    ['HEAD', '/things/7', 200],
    ['GET', '/own', 200],
    ['GET', '/boom', 500],
    ['GET', '/nope/7', 404],
    ['DELETE', '/things/7', refused.status],
  ]
  for (const [method, target, status] of things) {
    assert.equal(await ask(port, target, { method }), status, `${method} ${target}`)
  }
  assert.deepEqual((await news(server, things.length)).map(brief), [
    'GET /things/{thing} 200 q',
    'HEAD /things/{thing} 200 anonymous',
    'GET /own 200 own',
    'GET /boom 500 anonymous',
    'GET /nope/7 404 anonymous',
    `DELETE ${refused.endpoint} ${refused.status} anonymous`,
  ])
}

/** Answers are timed to the end of their bodies, whoever ends them. */
async function ends({ server, port, news }) {
  await ask(port, '/stream')
  const [whole] = await news(server, 1)
  assert.equal(brief(whole), 'GET /stream 200 anonymous')
  assert.ok(whole.response_time >= STREAMS_MS - 10, whole.response_time)

  await leave(port, '/stream')
  assert.equal(brief((await news(server, 1))[0]), 'GET /stream 200 anonymous')

  const before = waiting
  await leave(
    port,
    '/waits',
    until(
      () => '/waits to begin',
      () => waiting > before,
    ),
  )
  assert.equal(brief((await news(server, 1))[0]), 'GET /waits 499 anonymous')

  const request = http.get({ host: '127.0.0.1', port, path: '/breaks', agent: false })
  const [answer] = await once(request, 'response')
  answer.on('error', () => {}).resume()
  await new Promise((resolve) => answer.once('close', resolve))
  assert.equal(brief((await news(server, 1))[0]), 'GET /breaks 500 anonymous')
}

/** What the application says reaches its own request. */
async function interleaves({ server, port, news }) {
  const names = Array.from({ length: 100 }, (_, number) => `caller-${number}`)
  await Promise.all(names.map((name) => ask(port, `/said?name=${name}`)))
  const records = await news(server, names.length)
  assert.deepEqual(new Set(records.map(({ consumer }) => consumer)), new Set(names))
  for (const { consumer, context, endpoint } of records) {
    assert.equal(`${context}, ${endpoint}`, `context of ${consumer}, /said/{name}`)
  }
}

/** The three as tests; `start` gives the port, and what a 405 is like where there is none. */
function contract(test, name, start) {
  const asked = { refused: { status: 405, endpoint: '/things/{thing}' } }
  test(`${name}: patterns, callers, errors, HEAD, 405`, async () => {
    Object.assign(asked, await start())
    await holds(asked)
  })
  test(`${name}: the end of an answer`, () => ends(asked))
  test(`${name}: a hundred requests at once`, () => interleaves(asked))
}

module.exports = { breaking, contract, forever, pieces, reader, said }
