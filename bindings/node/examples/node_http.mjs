// node:http with telemetry: one line, and the routes by a table of its own.
//
// Needs libmalti.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node node_http.mjs

import http from 'node:http'
import { instrument } from 'libmalti'

const ORDER = /^\/users\/(\d+)\/orders\/(\d+)(\?|$)/

const server = http.createServer((req, res) => {
  const [, user, order] = ORDER.exec(req.url) ?? []
  if (!user) return res.writeHead(404).end()
  req.malti.consumer = `user-${user}`
  res.setHeader('Content-Type', 'application/json')
  return res.end(JSON.stringify({ user, order }))
})
instrument(server, {
  endpoint: (req) => (ORDER.test(req.url) ? '/users/{user}/orders/{order}' : undefined),
})

server.listen(process.env.PORT ?? 3000, () => console.log(`port ${server.address().port}`))
process.once('SIGTERM', () => server.close())
