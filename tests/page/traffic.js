'use strict'
// Requests as services have them: busy and rare endpoints, a day's ups and downs, and a time in
// which one of them is ill. The same each time.

/** [service, method, endpoint, share of all, milliseconds that half of them take] */
const ENDPOINTS = [
  ['shop', 'GET', '/products', 22, 18],
  ['shop', 'GET', '/products/{product_id}', 19, 12],
  ['shop', 'GET', '/search', 9, 85],
  ['shop', 'POST', '/carts/{cart_id}/items', 7, 24],
  ['shop', 'GET', '/carts/{cart_id}', 8, 15],
  ['shop', 'DELETE', '/carts/{cart_id}/items/{item_id}', 2, 14],
  ['shop', 'POST', '/orders', 3.2, 140],
  ['shop', 'GET', '/orders/{order_id}', 5, 31],
  ['payments', 'POST', '/charges', 3.1, 310],
  ['payments', 'GET', '/charges/{charge_id}', 2.2, 40],
  ['payments', 'POST', '/refunds', 0.4, 420],
  ['payments', 'POST', '/webhooks/{provider}', 2.6, 9],
  ['stock', 'GET', '/items/{sku}', 12, 4],
  ['stock', 'POST', '/reservations', 3.1, 22],
  ['stock', 'DELETE', '/reservations/{reservation_id}', 0.9, 11],
  ['stock', 'GET', '/warehouses/{warehouse_id}/bins/{bin_id}', 1.6, 7],
  ['reports', 'GET', '/reports/daily', 0.3, 2400],
  ['reports', 'GET', '/exports/{export_id}', 0.2, 5200],
]
/** Who calls, and how often. */
const CONSUMERS = [
  ['web', 46],
  ['ios', 21],
  ['android', 19],
  ['acme', 6],
  ['globex', 4.5],
  ['Müller, Söhne', 2],
  ['umbrella', 1.1],
  ['nightly-export', 0.4],
]

/** A generator of numbers in [0, 1) (mulberry32). */
function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function chosen(list, share, draw) {
  let left = draw * list.reduce((sum, one) => sum + share(one), 0)
  for (const one of list) {
    left -= share(one)
    if (left < 0) return one
  }
  return list[0]
}

/** So many records of the `seconds` that end at `end` (milliseconds since 1970), in order. */
function records(number, seconds, end, seed = 1) {
  const draw = random(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())
  // When it is as busy as it can be, and when the payments' provider is away: parts of the time.
  const busy = (part) => 0.62 + 0.25 * Math.sin(part * 5 - 1) + 0.08 * Math.sin(part * 37)
  const ill = (part) => part > 0.58 && part < 0.68
  const parts = []
  while (parts.length < number) {
    const part = draw()
    if (draw() < busy(part)) parts.push(part)
  }
  return parts
    .sort((a, b) => a - b)
    .map((part) => {
      const [service, method, endpoint, , half] = chosen(ENDPOINTS, (one) => one[3], draw())
      const [consumer] = chosen(CONSUMERS, (one) => one[1], draw())
      const fails = ill(part) && (endpoint === '/charges' || endpoint === '/orders')
      const luck = draw()
      let status = { POST: 201, DELETE: 204 }[method] ?? 200
      if (fails ? luck < 0.55 : luck < 0.003) status = fails ? 503 : 500
      else if (luck < 0.03) status = method === 'GET' ? 404 : 422
      else if (luck < 0.045 && method === 'GET') status = 304
      const slow = (fails ? 9 : 1) * (draw() < 0.02 ? 6 : 1)
      return {
        service,
        method,
        endpoint,
        status,
        response_time: Math.round(half * slow * Math.exp(0.45 * normal())),
        consumer,
        node: `node-${1 + Math.floor(draw() * 3)}`,
        created_at: new Date(end - (1 - part) * seconds * 1000).toISOString(),
      }
    })
}

module.exports = { CONSUMERS, ENDPOINTS, records }
