'use strict'
// What the Node apps do beside their routes: say where they listen, leave the ledger behind.

const fs = require('node:fs')
const { setTimeout: wait } = require('node:timers/promises')
const libmalti = require('libmalti')

/** The app is to run as if there were no libmalti. */
const BARE = process.env.CONFORMANCE_BARE === '1'

// Listeners run in order: the client's was there first, so the figures are those after its end.
process.on('exit', () => {
  const file = process.env.CONFORMANCE_STATS
  if (file) fs.writeFileSync(file, JSON.stringify(libmalti.stats()))
})

/** Serves until SIGTERM. */
function serve(server) {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 512 }, () => {
    process.stdout.write(`READY ${server.address().port}\n`)
  })
  process.once('SIGTERM', () => server.close(() => process.exit()))
}

/** Three chunks, 100 ms apart. */
async function* chunks() {
  for (let number = 0; number < 3; number++) {
    if (number > 0) await wait(100)
    yield 'chunk\n'
  }
}

/** One chunk, then it raises. */
async function* broken() {
  yield 'chunk\n'
  await wait(20)
  throw new Error('boom-late')
}

module.exports = { BARE, serve, wait, chunks, broken }
