'use strict'
// Three worker threads that record, of which the first is terminated meanwhile; started by a test.

const { once } = require('node:events')
const fs = require('node:fs')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const malti = require('libmalti')

const SHARE = 200
/** Between records, so that some are sent while others come. */
const PAUSE_MS = 1

async function main() {
  // While this thread has the client, all of it is one ledger.
  malti.record('GET', '/main', 200, 1, 'main')
  const returned = new Int32Array(new SharedArrayBuffer(4))
  const workers = [0, 1, 2].map((number) => new Worker(__filename, { workerData: { number, returned } }))
  const ends = workers.map((worker) => once(worker, 'exit'))
  await once(workers[0], 'message')
  await workers[0].terminate()
  await Promise.all(ends)
  await malti.flush(60_000)
  // Behind the library's own hook: on Deno a terminated worker may go on for a moment until then.
  process.on('exit', () => {
    const { recorded, sent } = malti.stats()
    fs.writeSync(1, `${JSON.stringify({ recorded, sent, returned: returned[0] + 1 })}\n`)
  })
}

function worker({ number, returned }) {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  // The first would go on for ever.
  for (let n = 0; number === 0 || n < SHARE; n++) {
    malti.record('GET', '/worker', 200, 1, `${number} ${n}`)
    Atomics.add(returned, 0, 1)
    if (number === 0 && n === SHARE / 2) parentPort.postMessage('in the middle')
    Atomics.wait(pause, 0, 0, PAUSE_MS)
  }
}

if (isMainThread) main()
else worker(workerData)
