'use strict'
// A process that records, starts another by child_process, and records again; started by a test.

const child = require('node:child_process')
const { once } = require('node:events')
const malti = require('libmalti')

const SHARE = 5

function record(from) {
  for (let n = from; n < from + SHARE; n++) malti.record('GET', '/x', 200, 1, `${process.pid} ${n}`)
}

const WAYS = {
  fork: () => child.fork(__filename, ['child']),
  exec: () => child.exec(`"${process.execPath}" "${__filename}" child`),
}

async function parent(way) {
  record(0)
  const [status] = await once(WAYS[way](), 'exit')
  process.exitCode = status
  record(SHARE)
}

const [, , way] = process.argv
if (way === 'child') record(0)
else parent(way)
