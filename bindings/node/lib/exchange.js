'use strict'
// One request and its answer on node:http, whatever framework stands between.

const { AsyncLocalStorage } = require('node:async_hooks')
const { client, begun, fault, lost, recordRequest } = require('./client.js')

// nginx's status for a client that went away before the answer.
const CLIENT_GONE = 499
const SERVER_ERROR = 500
/** What fails at a connection that its client resets. On Deno a file's error has no other mark. */
const CONNECTION_CALL = /^(read|write|shutdown)/
/** By the codes of errors that have a status other than 400. */
const REFUSALS = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
}
/** HTTP/2's code for a stream that its client does not want any more. */
const CANCEL = 8

/** Of a connection, the exchanges whose answers wait behind another one's. */
const WAITING = Symbol('waiting')
/**
 * Of the listener to a response's end, the exchange. Known by name, so that two copies of this package
 * in a process record a request once.
 */
const MARK = Symbol.for('libmalti.exchange')
/** And what one copy's middleware begins another's `setConsumer` finds. */
const CURRENT = Symbol.for('libmalti.current')
const current = (globalThis[CURRENT] ??= new AsyncLocalStorage())

/** Whether it was the client that ended the connection. */
function hasLeft({ socket }, res) {
  // An answer that the application destroys with an error, of a file perhaps, takes its connection along.
  const { errored } = socket
  const broken = CONNECTION_CALL.test(errored?.syscall) && errored !== res.errored
  return socket.readableEnded || broken
}

/** The same of an HTTP/2 stream, or of its session, which breaks with all of its streams. */
function hasLeftStream(stream, session) {
  return stream.rstCode === CANCEL || (session?.destroyed && stream.errored?.syscall !== undefined)
}

/** What Node itself answers, beside the response, to a request that it can't read to its end. */
function refusal({ errored }) {
  const code = errored?.code
  return REFUSALS[code] ?? (code?.startsWith?.('HPE_') ? 400 : undefined)
}

/** A value of the application's as text; empty: it is nothing, or has none. */
function text(value) {
  if (value === undefined || value === null) return ''
  try {
    return String(value)
  } catch (error) {
    fault('what the application said has no text', error)
    return ''
  }
}

/** What `route` says of a request; empty: nothing, or it fails. */
function patternOf(route, req) {
  try {
    return text(route(req))
  } catch (error) {
    fault("a request's route was not found out", error)
    return ''
  }
}

/** The status that went out: an application can set another one afterwards, to no effect. */
function sentStatus(res, stream) {
  const sent = stream ? stream.sentHeaders?.[':status'] : res._header?.slice(9, 12)
  return Number(sent) || res.statusCode
}

function pathOf(target) {
  const mark = target.indexOf('?')
  return mark < 0 ? target : target.slice(0, mark)
}

/** What the application says of the request that it is answering: `req.malti`. */
class Exchange {
  consumer = undefined
  context = undefined
  endpoint = undefined
  #req
  #res
  /** HTTP/2's, which the request and the stream forget when they are closed. */
  #stream
  #session
  #route
  #target
  #peer
  #waiting
  #started = performance.now()
  #ended = false

  constructor(req, res, route, end) {
    const { stream } = req
    this.#req = req
    this.#res = res
    this.#stream = stream
    this.#session = stream?.session
    this.#route = route
    this.#target = req.originalUrl ?? req.url
    // A socket that is closed has forgotten it.
    this.#peer = client.readsPeer ? req.socket?.remoteAddress : undefined
    const listener = () => this.#end()
    listener[MARK] = this
    // Node's `once` allocates more than all of this.
    res.on('close', listener)
    if (end !== 'close') res.on(end, listener)
    if (res.socket === null && stream === undefined) this.#wait(req.socket)
  }

  /** Behind another answer (pipelining) a response has no socket yet, and hears nothing of that one's end. */
  #wait(socket) {
    if (typeof socket?.once !== 'function') return
    if (socket[WAITING] === undefined) {
      const waiting = (socket[WAITING] = new Set())
      socket.once('close', () => {
        for (const exchange of waiting) if (exchange.#res.socket === null) exchange.#end()
      })
    }
    this.#waiting = socket[WAITING].add(this)
  }

  /** A middleware that is further in knows the route too, and better. */
  refine(route) {
    const outer = this.#route
    if (route !== outer) this.#route = (req) => patternOf(route, req) || patternOf(outer, req)
  }

  #end() {
    if (this.#ended) return
    this.#ended = true
    this.#waiting?.delete(this)
    const elapsed = performance.now() - this.#started
    try {
      const req = this.#req
      recordRequest(
        req.method,
        text(this.endpoint) || patternOf(this.#route, req) || pathOf(this.#target),
        this.#status(),
        elapsed * 1000,
        text(this.consumer),
        text(this.context),
        req.rawHeaders,
        this.#target,
        this.#peer,
      )
    } catch (error) {
      lost(error)
    }
  }

  #status() {
    const res = this.#res
    const stream = this.#stream
    // Node lets a response that was destroyed end as if it were whole, but leaves it its connection.
    const destroyed = stream === undefined && res.socket?.destroyed === true
    const whole = stream ? stream.rstCode === 0 && !stream.aborted : res.writableFinished && !destroyed
    if (whole) return sentStatus(res, stream)
    // Of an answer that never had its turn nothing went out, complete or not.
    const unsent = this.#waiting !== undefined && res.socket === null
    const unanswered = this.#unanswered()
    if (unanswered !== undefined) {
      return (stream ?? res).headersSent && !unsent ? sentStatus(res, stream) : unanswered
    }
    // The server broke it off, or a stand-in for a connection has no notion of it.
    return res.writableEnded && !stream && !destroyed && !unsent ? sentStatus(res) : SERVER_ERROR
  }

  /** The status that a client without an answer has for itself to thank. Undefined: the server was at fault. */
  #unanswered() {
    const stream = this.#stream
    if (stream ? hasLeftStream(stream, this.#session) : hasLeft(this.#req, this.#res)) return CLIENT_GONE
    return stream ? undefined : refusal(this.#req.socket)
  }
}

/** The exchange that a response is the end of; undefined: it is not followed. */
function exchangeOf(res) {
  if (res.listenerCount('close') === 0) return undefined
  return res.listeners('close').find((listener) => MARK in listener)?.[MARK]
}

/**
 * Follows a request to its end, once. `route` gives the pattern that it matched, in normal form, at
 * the end; undefined: none. `end` is an event of `res` that is its end too. Null: it is followed
 * already, or not recorded. `req.malti` is there in any case.
 */
function follow(req, res, route, end = 'close') {
  const around = exchangeOf(res)
  if (around !== undefined) {
    around.refine(route)
    return null
  }
  // What lets a websocket's handshake through a router makes up an answer for it.
  if (req.upgrade || !(client.recording || begun())) {
    req.malti ??= {}
    return null
  }
  const exchange = new Exchange(req, res, route, end)
  // Express's requests have it from their prototype.
  if (!('malti' in Object.getPrototypeOf(req))) req.malti = exchange
  return exchange
}

/**
 * Names the caller of the request that is being answered, before headers and query. Outside a
 * request it does nothing, as its siblings.
 */
function setConsumer(consumer) {
  const exchange = current.getStore()
  if (exchange) exchange.consumer = consumer
}

/** Adds free text to the record of the request that is being answered. */
function setContext(context) {
  const exchange = current.getStore()
  if (exchange) exchange.context = context
}

/** Sets the endpoint of the request that is being answered, in place of the route's pattern. */
function setEndpoint(endpoint) {
  const exchange = current.getStore()
  if (exchange) exchange.endpoint = endpoint
}

module.exports = {
  CLIENT_GONE,
  SERVER_ERROR,
  current,
  exchangeOf,
  follow,
  pathOf,
  patternOf,
  text,
  setConsumer,
  setContext,
  setEndpoint,
}
