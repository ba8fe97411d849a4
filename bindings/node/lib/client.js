'use strict'
// The life of the process-wide client, as this thread sees it. Its rules are the core's.

const { isMainThread } = require('node:worker_threads')
const { load } = require('./native.js')

const OK = 0
/** What the functions that record give back; any other value is a status. */
const KEPT = undefined
const DISABLED = 2
const TIMED_OUT = -6
/** How often a flush looks, in milliseconds: at first, and at most. */
const LOOK_MS = 2
const LOOK_MAX_MS = 50
const LOG_EVERY_MS = 1000

/** `recording` is what requests look at first. `readsPeer`: the rules want the other end's address. */
const client = { recording: false, readsPeer: false, settled: false }
/** By their lengths, which most others don't have, the names of the headers that the rules read, in small letters. */
const readNames = []

let native
let prepared = {}
let logger
let pulling = false
const said = new Set()

function library() {
  native ??= load()
  return native
}

/** Asks what the rules of the client that runs read of a request. */
function learn() {
  const [peer, ...names] = native.reads()
  client.readsPeer = peer
  readNames.length = 0
  for (const name of names) (readNames[name.length] ??= []).push(name)
}

function asText(key, value) {
  if (Array.isArray(value)) return value.map((item) => asText(key, item)).join(',')
  if (['string', 'number', 'boolean', 'bigint'].includes(typeof value)) return String(value)
  throw new TypeError(`${key} is a string, a number, a boolean or an array of these`)
}

function take(settings) {
  const { logger: given, ...keys } = settings
  const texts = {}
  for (const [key, value] of Object.entries(keys)) {
    if (value !== undefined && value !== null) texts[key] = asText(key, value)
  }
  if (given) {
    for (const level of ['error', 'warn', 'info', 'debug']) {
      if (typeof given[level] !== 'function') throw new TypeError(`logger has no function ${level}`)
    }
    logger = given
    // Asked once before init, the core keeps its lines for us.
    pullLog()
    if (!pulling) setInterval(pullLog, LOG_EVERY_MS).unref()
    pulling = true
  }
  const status = library().init(texts)
  client.settled = true
  client.recording = status !== DISABLED
  learn()
  pullLog()
}

function pullLog() {
  if (!logger) return
  let entry
  while ((entry = library().logNext())) {
    try {
      logger[entry[0]](entry[1])
    } catch {
      // A fault of the application's logger is not to end a request.
    }
  }
}

/** Says something of this binding's own, once. */
function once(line) {
  if (said.has(line)) return
  said.add(line)
  try {
    if (logger) logger.warn(line)
    else process.stderr.write(`malti: warn: ${line}\n`)
  } catch {
    // As in pullLog.
  }
}

/**
 * Starts the client with `settings` over those of the environment. True: requests are recorded.
 * TypeError, RangeError: a setting that is unknown or can't be used; Error: it runs with others.
 */
function init(settings = {}) {
  if (settings === null || typeof settings !== 'object') {
    throw new TypeError('settings is an object')
  }
  take({ ...prepared, ...settings })
  return client.recording
}

/** Settings for the start that is to come. */
function prepare(settings) {
  if (settings === undefined || Object.keys(settings).length === 0) return
  if (client.settled) once("settings that come after the client's start have no effect")
  else prepared = { ...prepared, ...settings }
}

/** Whether requests are recorded, after a start if there was none. Never throws. */
function begun() {
  if (!client.settled) {
    client.settled = true
    try {
      take(prepared)
    } catch (error) {
      // Another part of the process may have come first: its client serves us too.
      if (native?.flushBegin() >= 0) {
        client.recording = true
        learn()
        once(`the client that runs is used as it is: ${error.message}`)
      } else {
        once(`nothing is recorded: ${error.message}`)
      }
    }
  }
  return client.recording
}

/** Records one request. True: recorded. TypeError: an argument of the wrong type. */
function record(method, endpoint, status, responseTimeUs, consumer, context) {
  if (!client.recording && !begun()) return false
  // An argument that is not given costs less than one that is undefined.
  if (context === undefined) return native.record(method, endpoint, status, responseTimeUs, consumer) === KEPT
  return native.record(method, endpoint, status, responseTimeUs, consumer, context) === KEPT
}

/**
 * Those of a request's headers that the rules read, as the block that the core takes. The stand-ins
 * for requests that frameworks make may have none.
 */
function readOf(rawHeaders = []) {
  let block = ''
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (!readNames[name.length]?.includes(name.toLowerCase())) continue
    const value = rawHeaders[at + 1]
    // No server should let a NUL pass. In a block it would begin another header.
    if (!value.includes('\0')) block += `${name}\0${value}\0`
  }
  return block
}

/** The same for middleware, from a request's headers and target; faults are said once, never thrown. */
function recordRequest(method, endpoint, status, us, consumer, context, rawHeaders, target, peer) {
  try {
    const mark = target.indexOf('?')
    const query = mark < 0 ? '' : target.slice(mark + 1)
    const headers = readOf(rawHeaders)
    const code = native.recordRequest(method, endpoint, status, us, consumer, context, headers, query, peer)
    return code === KEPT
  } catch (error) {
    lost(error)
    return false
  }
}

/** A fault in the middle of a request: the first of its kind, for each may tell of its own request. */
function fault(kind, error) {
  if (said.has(kind)) return
  said.add(kind)
  let why = 'no text'
  try {
    why = String(error?.message ?? error)
  } catch {
    // What was thrown can't be told.
  }
  once(`${kind}: ${why} (said once)`)
}

/** A fault of telemetry that costs a record. */
function lost(error) {
  fault('a request was not recorded', error)
}

/** Of each dialect the patterns that were asked for, and what they are in normal form. */
const patterns = {}

/** A pattern in normal form; each is asked for once. */
function normalize(dialect, pattern) {
  const known = (patterns[dialect] ??= new Map())
  let normal = known.get(pattern)
  if (normal === undefined) {
    normal = library().normalizeRoute(dialect, pattern)
    known.set(pattern, normal)
  }
  return normal
}

/** Resolves when all that was recorded is delivered or counted, or time is up. */
function settle(timeoutMs) {
  const until = performance.now() + timeoutMs
  const ticket = native?.flushBegin() ?? null
  if (ticket === null || ticket < 0) return Promise.resolve(ticket === null)
  return new Promise((resolve) => {
    let wait = LOOK_MS
    const look = () => {
      const status = native.flushWait(ticket, 0)
      const left = until - performance.now()
      if (status !== TIMED_OUT || left <= 0) {
        pullLog()
        resolve(status >= OK)
        return
      }
      setTimeout(look, Math.min(wait, left))
      wait = Math.min(wait * 2, LOOK_MAX_MS)
    }
    look()
  })
}

/** Milliseconds, from what the caller gave. */
function duration(timeoutMs) {
  if (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs)) {
    throw new TypeError('timeoutMs is a number')
  }
  return Math.max(0, Math.min(timeoutMs, 3_600_000))
}

/**
 * Delivers what has been recorded so far. False: not within `timeoutMs`, or the server refuses.
 * Blocks nothing. The process lives until it resolves, for at a top-level await it would end with
 * status 13 otherwise.
 */
async function flush(timeoutMs = 5000) {
  const limit = duration(timeoutMs)
  try {
    // Other threads may have recorded where this one has not.
    library()
  } catch {
    return true
  }
  return settle(limit)
}

/** Delivers, then stops the client; `init` starts it again. False: not all was confirmed in time. */
async function shutdown(timeoutMs = 5000) {
  const until = performance.now() + duration(timeoutMs)
  if (!native) return true
  const before = await settle(until - performance.now())
  client.recording = false
  client.settled = true
  // What came while the first one waited.
  const delivered = await settle(until - performance.now())
  const status = native.shutdown(0)
  pullLog()
  return before && delivered && status >= OK
}

/** The ledger. */
function stats() {
  pullLog()
  return JSON.parse(library().stats())
}

/** What the end of the process does: it alone blocks, and not for longer than `shutdown_timeout`. */
function end() {
  if (!native) return
  native.exit()
  client.recording = false
  client.settled = true
  // Also what the end has to say: nobody can ask for it later.
  pullLog()
}

// A worker's share is given back by the library itself, since a worker that is terminated runs no
// more JavaScript.
if (isMainThread) process.on('exit', end)

module.exports = {
  client,
  library,
  init,
  prepare,
  begun,
  record,
  recordRequest,
  fault,
  lost,
  normalize,
  flush,
  shutdown,
  end,
  stats,
}
