'use strict'
// One Request and its Response, where there is no response of node's own that tells of its end.

const { client, begun, lost, recordRequest } = require('./client.js')
const { CLIENT_GONE, SERVER_ERROR, pathOf, patternOf, text } = require('./exchange.js')

/** How many reads a body that is there as a whole takes: its one piece, and its end. */
const READS = 2
const LATER = Symbol('later')

/** Path and query of an absolute URL. */
function targetOf(url) {
  return url.slice(url.indexOf('/', url.indexOf('//') + 2))
}

/** What the application says of the request that it is answering: `c.var.malti`. */
class FetchExchange {
  consumer = undefined
  context = undefined
  endpoint = undefined
  #request
  #target
  #peer
  #route
  #started = performance.now()
  #ended = false
  #left = () => this.end(CLIENT_GONE)

  constructor(request, peer, route) {
    this.#request = request
    this.#target = targetOf(request.url)
    this.#peer = peer
    this.#route = route
    request.signal?.addEventListener('abort', this.#left)
  }

  /** Whether `request` is this one as a mounted application gets it, with a part of its path. */
  isAround(request) {
    if (this.#ended || request.method !== this.#request.method) return false
    return this.#target.endsWith(targetOf(request.url))
  }

  /** Records the request, once. */
  end(status) {
    if (this.#ended) return
    this.#ended = true
    const request = this.#request
    request.signal?.removeEventListener('abort', this.#left)
    const elapsed = performance.now() - this.#started
    try {
      recordRequest(
        request.method,
        text(this.endpoint) || patternOf(this.#route, request) || pathOf(this.#target),
        status,
        elapsed * 1000,
        text(this.consumer),
        text(this.context),
        [...request.headers].flat(),
        this.#target,
        this.#peer,
      )
    } catch (error) {
      lost(error)
    }
  }

  /** The response to send in place of `response`: the same, and at its body's end this one's. */
  async answered(response) {
    if (this.#ended) return response
    // From here on a client that leaves keeps the answer's status.
    this.#request.signal?.removeEventListener('abort', this.#left)
    const { body } = response
    if (body === null || body.locked || this.#request.method === 'HEAD') {
      this.end(response.status)
      return response
    }
    const reader = body.getReader()
    const chunks = []
    const turn = new Promise((resolve) => setImmediate(resolve, LATER))
    let pending
    for (let reads = 0; reads < READS; reads++) {
      pending = reader.read()
      const read = await Promise.race([pending, turn]).catch(() => LATER)
      if (read === LATER) break
      pending = undefined
      if (read.done) {
        // As a stream it would lose its length.
        this.end(response.status)
        return new Response(chunks[0] ?? new Uint8Array(), response)
      }
      chunks.push(read.value)
    }
    return new Response(this.#rest(reader, chunks, pending, response.status), response)
  }

  #rest(reader, chunks, pending, status) {
    return new ReadableStream({
      pull: async (controller) => {
        if (chunks.length > 0) return controller.enqueue(chunks.shift())
        try {
          const { done, value } = await (pending ?? reader.read())
          pending = undefined
          if (!done) return controller.enqueue(value)
          this.end(status)
          return controller.close()
        } catch (error) {
          this.end(SERVER_ERROR)
          return controller.error(error)
        }
      },
      cancel: (reason) => {
        this.end(status)
        return reader.cancel(reason)
      },
    })
  }
}

/** Follows a request to its end. `route` gives its pattern then. Null: nothing is recorded. */
function followFetch(request, peer, route) {
  return client.recording || begun() ? new FetchExchange(request, peer, route) : null
}

module.exports = { FetchExchange, followFetch }
