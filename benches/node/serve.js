'use strict'
// Serves one framework's application with one subject until standard input ends: `serve.js
// FRAMEWORK SUBJECT`. Prints its port, then a number for each line that it reads: for "cpu" the CPU
// time of the process so far, in microseconds; for "delivered" how many requests have left the
// subject, all of them, or null where that is not known.

const readline = require('node:readline')

async function main(framework, subject) {
  // First: what instruments a module wants to see it loaded.
  const apply = require('./subjects.js')[subject]()
  const server = await require('./frameworks.js')[framework](apply)
  // Connections are kept while others are measured.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
  const asked = {
    cpu() {
      const { user, system } = process.cpuUsage()
      return user + system
    },
    delivered: apply.delivered ?? (() => null),
  }
  for await (const what of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await asked[what]()))
  }
  process.exit()
}

main(...process.argv.slice(2))
