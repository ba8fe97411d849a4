'use strict'

const { init, record, flush, shutdown, stats, library } = require('./client.js')
const { setConsumer, setContext, setEndpoint } = require('./exchange.js')
const { instrument } = require('./http.js')
const { flushOnSignal } = require('./signal.js')

/** The native library's version. */
function version() {
  return library().version
}

module.exports = {
  init,
  record,
  flush,
  shutdown,
  flushOnSignal,
  stats,
  setConsumer,
  setContext,
  setEndpoint,
  instrument,
  version,
}
