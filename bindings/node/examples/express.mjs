// Express with telemetry: one line, and a router's route under its whole path.
//
// Needs libmalti, express.
// export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
// node express.mjs

import express from 'express'
import malti from 'libmalti/express'

const app = express()
app.use(malti())

const orders = express.Router({ mergeParams: true })
orders.get('/:order', (req, res) => {
  req.malti.consumer = `user-${req.params.user}`
  res.json(req.params)
})
app.use('/users/:user/orders', orders)

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`port ${server.address().port}`)
})
process.once('SIGTERM', () => server.close())
