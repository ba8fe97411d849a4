'use strict'
// The demo's Express server: tickets of customers. Its only telemetry is the middleware's line.

const { Readable } = require('node:stream')
const { setTimeout: wait } = require('node:timers/promises')
const express = require('express')
const { stats } = require('libmalti')
const malti = require('libmalti/express')

const BOARD_TAKES_MS = 90
const TOKENS = new Map([
  ['Bearer acme-token', 'acme'],
  ['Bearer globex-token', 'globex'],
])

const app = express()
// Without the stacks of errors that are thrown on purpose.
app.set('env', 'test')
app.use(malti())

const caller = (req) => TOKENS.get(req.get('Authorization'))

app.get('/health', (req, res) => res.json({ status: 'healthy' }))

app
  .route('/tickets')
  .get((req, res) => res.json([1, 2, 3]))
  .post((req, res) => {
    req.malti.consumer = caller(req)
    req.malti.context = `ticket, ${req.get('X-Request-Id')}`
    res.status(201).json({ status: 'open' })
  })
  .all((req, res) => res.sendStatus(405))

app.get('/tickets/:ticket_id', (req, res) => {
  const id = Number(req.params.ticket_id)
  return id <= 100 ? res.json({ id }) : res.sendStatus(404)
})

// A body that takes its time, which counts, although the head is out at once.
app.get('/board', (req, res) => {
  async function* columns() {
    for (const column of ['open', 'waiting', 'done']) {
      await wait(BOARD_TAKES_MS / 3 + 1)
      yield `${column}\n`
    }
  }
  Readable.from(columns()).pipe(res)
})

const labels = express.Router({ mergeParams: true })
labels
  .route('/:label')
  .put((req, res) => res.json(req.params))
  .delete((req, res) => res.status(204).end())
app.use('/projects/:project/labels', labels)

app.get('/attachments/*path', (req, res) => {
  const who = caller(req)
  if (who === undefined) return res.sendStatus(401)
  req.malti.consumer = who
  return who === 'acme' ? res.send(req.params.path.join('/')) : res.sendStatus(403)
})

app.get('/priorities/:ticket_id', (req) => {
  throw new Error(`the priority of ${req.params.ticket_id} is unknown (on purpose)`)
})

// Listeners run in order: the client's was there first, so the figures are those after its end.
process.on('exit', () => process.stdout.write(`${JSON.stringify(stats())}\n`))

const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`READY ${server.address().port}\n`)
})
process.once('SIGTERM', () => server.close())
