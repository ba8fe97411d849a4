'use strict'
// A cluster of two that answers 20 requests and ends; started by a test.

const cluster = require('node:cluster')
const { once } = require('node:events')
const http = require('node:http')
const malti = require('libmalti')

async function primary() {
  const workers = [cluster.fork(), cluster.fork()]
  const [[port]] = await Promise.all(workers.map((worker) => once(worker, 'message')))
  for (let number = 0; number < 20; number++) {
    await (await fetch(`http://127.0.0.1:${port}/${number}`, { headers: { Connection: 'close' } })).text()
  }
  console.log('answered 20')
  for (const worker of workers) worker.disconnect()
}

function worker() {
  const server = http.createServer((req, res) => {
    malti.setConsumer(req.url)
    malti.setContext(`worker ${cluster.worker.id}`)
    res.end()
  })
  malti.instrument(server, { endpoint: () => '/{number}' })
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
}

if (cluster.isPrimary) primary()
else worker()
