'use strict'
// Delivery at a signal that ends the process without its exit hooks; only for who asks for it.

const { constants } = require('node:os')
const { isMainThread } = require('node:worker_threads')
const { end } = require('./client.js')

function deliver(signal) {
  // What others do with it is theirs. One that ends the process delivers; one that takes itself out
  // and raises the signal again, as Nest does, comes back here alone.
  if (process.listenerCount(signal) > 1) {
    // signal-exit raises it again at once where nobody but itself listens: it has to see what it
    // would see without us, or nobody would end the process.
    process.removeListener(signal, deliver)
    setImmediate(() => flushOnSignal(signal))
    return
  }
  end()
  process.removeListener(signal, deliver)
  // The kernel kills process 1 of a container by no signal of its own: it ends with the same status.
  if (process.pid === 1) process.exit(128 + constants.signals[signal])
  process.kill(process.pid, signal)
}

/**
 * Lets `signals` (SIGTERM where none is named) that nobody else listens to deliver what is left,
 * within `shutdown_timeout`, before the process dies of them as ever. Error: in a worker thread,
 * which gets no signals.
 */
function flushOnSignal(...signals) {
  if (!isMainThread) throw new Error('signals come to the main thread alone')
  for (const signal of signals.length > 0 ? signals : ['SIGTERM']) {
    // Others come after us, also those that were there before.
    if (!process.listeners(signal).includes(deliver)) process.prependListener(signal, deliver)
  }
}

module.exports = { flushOnSignal }
