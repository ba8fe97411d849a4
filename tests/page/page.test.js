'use strict'
// The receiver's page in a real browser, over real requests.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const { after, before, test } = require('node:test')
const { setTimeout: wait } = require('node:timers/promises')
const { browserPath, launch, open, receiver } = require('./harness.js')
const { records } = require('./traffic.js')

const skip = !browserPath() && 'there is no chromium'
/** What a browser would make of these, were they ever taken for more than text. */
const HOSTILE = [
  '/x"onmouseover="document.title=1',
  "/'%3Cb%3E",
  '/{a}&amp;<!--',
  '/\u202eabc\u2066',
  '/javascript:1',
]

let browser
before(async () => {
  if (!skip) browser = await launch()
})
after(() => browser?.close())

/**
 * A test with a receiver of its own that holds `sent`, and a way to open its page. The browser must
 * not complain, but of what `run` gives.
 */
function about(what, sent, run, ...args) {
  test(what, { skip }, async (t) => {
    const server = await receiver(...args)
    t.after(() => server.end())
    if (sent.length) await server.send(sent)
    const opened = []
    t.after(async () => {
      for (const { close } of opened) await close()
    })
    const expected = await run({
      server,
      async look(place, options) {
        const one = await open(browser, server.url, place, options)
        opened.push(one)
        await one.page.locator('#state.live').waitFor()
        return one.page
      },
    })
    assert.deepEqual(
      opened.flatMap(({ complaints }) => complaints).filter((text) => !expected?.test(text)),
      [],
    )
  })
}

const record = (changes) => ({
  ...{ service: 'shop', method: 'GET', endpoint: '/a', status: 200, response_time: 5 },
  ...{ consumer: 'acme' },
  ...changes,
})
const minutes = (number = 600) => records(number, 200, Date.now())
/** The names in a table, as they stand there. */
const names = (page, table) =>
  page.locator(`#${table} tbody th bdi:first-of-type`).allTextContents()
const tile = (page, title) =>
  page.locator(`#tiles div:has(dt:text-is("${title}")) dd span`).textContent()
/** Waits until what `read` gives passes `right`. */
async function until(read, right, what) {
  const end = performance.now() + 60_000
  for (;;) {
    const value = await read()
    if (right(value)) return value
    if (performance.now() > end) assert.fail(`still ${JSON.stringify(value)}, not ${what}`)
    await wait(50)
  }
}
const pressed = (page, name) => page.getByRole('button', { name, exact: true, pressed: true })

about('nothing has arrived: what to set, and then the figures', [], async ({ server, look }) => {
  const page = await look('/')
  await page.getByRole('heading', { name: 'Nothing arrived yet' }).waitFor()
  assert.equal(
    await page.locator('#exports').textContent(),
    `export MALTI_URL=${server.url}\nexport MALTI_API_KEY=any-key\nexport MALTI_SERVICE_NAME=my-service`,
  )
  assert.equal(await page.locator('#content').isVisible(), false)
  await server.send([record({})])
  await page.locator('#content').waitFor()
  assert.equal(await page.locator('#empty').isVisible(), false)
  assert.equal(await tile(page, 'Requests'), '1')
})

about(
  'the settings are those of a service that has a key',
  [],
  async ({ look }) => {
    const page = await look('/')
    const text = await page.locator('#empty').textContent()
    assert.match(text, /MALTI_API_KEY=YOUR_KEY\n.*MALTI_SERVICE_NAME='the shop'/)
    assert.doesNotMatch(text, /secret/)
  },
  '--key',
  'secret=the shop',
)

about('every endpoint and consumer is there, with its figures', minutes(), async (t) => {
  const { server, look } = t
  const hostile = HOSTILE.map((text) => record({ endpoint: text, consumer: text }))
  await server.send(hostile)
  const page = await look('/')
  const stored = (await server.get('/api/records')).records
  for (const [table, key] of [
    ['endpoints', ({ service, method, endpoint }) => [service, method, endpoint].join(' ')],
    ['consumers', ({ consumer }) => consumer],
  ]) {
    const rows = await page.locator(`#${table} tbody tr`).evaluateAll((all) =>
      all.map((row) => {
        const name = [...row.cells[0].firstChild.children].map((part) => part.textContent)
        return [
          name.length > 1 ? [name[2], name[0], name[1]].join(' ') : name[0],
          row.cells[1].textContent,
        ]
      }),
    )
    const counts = new Map()
    for (const one of stored) counts.set(key(one), (counts.get(key(one)) ?? 0) + 1)
    const expected = [...counts].map(([name, count]) => [name, String(count)])
    assert.deepEqual(rows.sort(), expected.sort())
  }
  assert.equal(await tile(page, 'Requests'), String(stored.length))
  const failed = stored.filter(({ status }) => status >= 500).length
  const share = (100 * failed) / stored.length
  assert.equal(await tile(page, '5xx'), failed ? `${share.toFixed(1)} %` : '0 %')
  assert.equal(await page.title(), 'malti receive')
  for (const id of ['requests', 'latency', 'heat']) {
    assert.ok(await page.locator(`#${id}-chart svg[role=img] path[class]`).count())
    assert.match(await page.locator(`#${id}-text`).textContent(), /\d/)
  }
  const rows = await page.locator('#records tbody tr').count()
  assert.equal(rows, 30)
})

about(
  'figures change while requests arrive, and not while it is paused',
  minutes(100),
  async (t) => {
    const { server, look } = t
    const page = await look('/')
    const total = () => tile(page, 'Requests')
    await until(total, (text) => text === '100', '100')
    await server.send([record({ endpoint: '/new', consumer: 'newcomer' })])
    await until(total, (text) => text === '101', '101')
    assert.ok((await names(page, 'endpoints')).includes('/new'))
    assert.ok((await names(page, 'consumers')).includes('newcomer'))

    await page.getByRole('button', { name: 'Pause' }).click()
    await page.locator('#state.paused').waitFor()
    const asked = []
    page.on('request', (request) => asked.push(request.url()))
    await server.send([record({})])
    // Another page shows that time enough has passed for this one to have asked.
    const other = await look('/')
    for (const count of [103, 104, 105]) {
      await server.send([record({})])
      await until(
        () => tile(other, 'Requests'),
        (text) => text === String(count),
        count,
      )
    }
    assert.equal(await total(), '101')
    assert.deepEqual(asked, [])
    await page.getByRole('button', { name: 'Pause' }).click()
    await until(total, (text) => text === '105', '105')
  },
)

about(
  'choosing goes into the address, survives a reload, and back leads back',
  minutes(),
  async (t) => {
    const page = await t.look('/')
    const { records: stored } = await t.server.get('/api/records')
    const count = (right) => String(stored.filter(right).length)
    const total = (text) =>
      until(
        () => tile(page, 'Requests'),
        (now) => now === text,
        text,
      )
    const isSearch = ({ service, endpoint }) => service === 'shop' && endpoint === '/search'

    await page.getByRole('button', { name: /GET.*\/search/ }).click()
    await total(count(isSearch))
    const consumers = await names(page, 'consumers')
    const callers = stored.filter(isSearch).map(({ consumer }) => consumer)
    assert.deepEqual(new Set(consumers), new Set(callers))
    await page.locator('#consumers').getByRole('button', { name: 'web', exact: true }).click()
    const isBoth = (one) => isSearch(one) && one.consumer === 'web'
    await total(count(isBoth))
    await until(
      () => page.locator('#records tbody td.path').allTextContents(),
      (paths) => paths.length > 0 && paths.every((path) => path === '/search'),
      'records of /search alone',
    )
    const address = new URL(page.url()).searchParams
    assert.deepEqual(Object.fromEntries(address), {
      ...{ service: 'shop', method: 'GET', endpoint: '/search', consumer: 'web' },
    })

    await page.reload()
    await total(count(isBoth))
    await pressed(page, 'web').waitFor()

    await page.goBack()
    await total(count(isSearch))
    await page.goBack()
    await total(String(stored.length))
    await page.goForward()
    await total(count(isSearch))
    // A chip takes its choice away, and leaves the service.
    await page.getByRole('button', { name: 'No longer only GET /search' }).click()
    await total(count(({ service }) => service === 'shop'))

    await page.getByLabel('Service').selectOption('payments')
    await page.getByLabel('Status').selectOption('5xx')
    await total(count(({ service, status }) => service === 'payments' && status >= 500))
    await page.getByRole('button', { name: '24 h' }).click()
    await pressed(page, '24 h').waitFor()
    assert.equal(new URL(page.url()).search, '?range=24h&service=payments&status=5xx')
  },
)

about('tables sort by keyboard and say so', minutes(), async ({ look }) => {
  const page = await look('/')
  const head = page.locator('#endpoints').getByRole('columnheader', { name: 'p95' })
  const p95 = async () =>
    (await page.locator('#endpoints tbody tr td:nth-child(7)').allTextContents()).map((text) =>
      text.endsWith(' ms') ? Number.parseFloat(text) : 1000 * Number.parseFloat(text),
    )
  const sorted = (up) => (values) =>
    values.length > 1 &&
    values.every((one, at) => !at || (up ? values[at - 1] <= one : values[at - 1] >= one))
  assert.equal(await head.getAttribute('aria-sort'), null)
  await head.getByRole('button').focus()
  await page.keyboard.press('Enter')
  await until(
    () => head.getAttribute('aria-sort'),
    (sort) => sort === 'descending',
    'descending',
  )
  await until(p95, sorted(false), 'the slowest first')
  await page.keyboard.press('Space')
  await until(
    () => head.getAttribute('aria-sort'),
    (sort) => sort === 'ascending',
    'ascending',
  )
  await until(p95, sorted(true), 'the fastest first')
  assert.equal(await page.locator('#endpoints [aria-sort]').count(), 1)
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'p95')

  // From the first thing on the page to the tables, and a row by the keyboard alone.
  await page.reload()
  await page.locator('#state.live').waitFor()
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the tables')
  await page.keyboard.press('Enter')
  const first = page.locator('#endpoints tbody tr').first().getByRole('button')
  await first.focus()
  const outline = () => first.evaluate((button) => getComputedStyle(button).outlineStyle)
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Tab')
  assert.equal(await outline(), 'solid')
  await page.keyboard.press('Enter')
  await page.locator('#endpoints tr.chosen').waitFor()
  assert.ok(new URL(page.url()).searchParams.has('endpoint'))
})

about('a row that is pointed at stays where it is', [], async ({ server, look }) => {
  await server.send([record({}), record({}), record({ endpoint: '/b' })])
  const page = await look('/')
  await page.getByRole('button', { name: '/b' }).hover()
  await server.send([1, 2, 3].map(() => record({ endpoint: '/b' })))
  const counts = () => page.locator('#endpoints tbody td:nth-child(2)').allTextContents()
  await until(counts, (now) => now.join() === '2,4', 'the new figures in the old order')
  await page.mouse.move(0, 0)
  await server.send([record({ endpoint: '/b' })])
  await until(counts, (now) => now.join() === '5,2', 'the new order')
})

about(
  'what is older can be looked back at',
  records(50, 200, Date.now() - 2 * 3600e3),
  async (t) => {
    const page = await t.look('/')
    await page.getByText('None of the 50 records received is of this time.').waitFor()
    await page.getByRole('button', { name: 'Look back further' }).click()
    await pressed(page, '1 h').waitFor()
    await page.getByRole('button', { name: 'Look back further' }).click()
    await until(
      () => tile(page, 'Requests'),
      (text) => text === '50',
      '50',
    )
  },
)

about('the charts can be read as a table', minutes(), async ({ look }) => {
  const page = await look('/')
  await page.getByText('The charts as a table').click()
  const cells = page.locator('#figures tbody tr td:nth-child(2)')
  const numbers = await until(
    () => cells.allTextContents(),
    (texts) => texts.length > 0,
    'rows',
  )
  const sum = numbers.reduce((all, text) => all + Number(text), 0)
  assert.equal(String(sum), await tile(page, 'Requests'))
  // A chart says what is under the pointer.
  const box = await page.locator('#requests-chart svg[role=img]').boundingBox()
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
  const reading = await page.locator('#requests-text').textContent()
  assert.match(reading, /^\d\d:\d\d:\d\d {2}· {2}\d+ requests?/)
})

about('it fits 400 pixels, and follows the theme', minutes(), async ({ look }) => {
  const narrow = { width: 400, height: 800 }
  for (const colorScheme of ['light', 'dark']) {
    const page = await look('/?consumer=web', { viewport: narrow, colorScheme })
    await page.locator('#tiles dd').first().waitFor()
    const width = () => page.evaluate(() => document.documentElement.scrollWidth)
    assert.equal(await width(), 400)
    const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = (color) => color.match(/\d+/g).every((part) => part > 200)
    assert.equal(light(await back()), colorScheme === 'light')
    const other = colorScheme === 'light' ? 'dark' : 'light'
    await page.getByLabel('Theme').selectOption(other)
    assert.equal(light(await back()), other === 'light')
    await page.reload()
    assert.equal(light(await back()), other === 'light')
  }
})

about('long names take a few lines, and are whole where one points at them', [], async (t) => {
  const long = (letter) => letter.repeat(500)
  await t.server.send([
    record({ endpoint: `/${long('e').slice(1)}`, consumer: long('c'), service: long('s') }),
    record({ endpoint: '/short', consumer: 'brief', service: 'shop' }),
  ])
  const query = new URLSearchParams({ consumer: long('c') })
  for (const width of [400, 1280]) {
    const page = await t.look(`/?${query}`, { viewport: { width, height: 800 } })
    await page.locator('#records tbody tr .name').first().waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width)
    const shown = await page.locator('.name').evaluateAll((all) =>
      all.map((name) => ({
        lines: name.clientHeight / Number.parseFloat(getComputedStyle(name).lineHeight),
        text: name.textContent,
        title: name.title,
      })),
    )
    for (const { lines, text, title } of shown) {
      assert.ok(lines < 3.5, `${lines} lines of ${text.slice(0, 5)} at ${width} px`)
      assert.equal(title, text)
    }
    const whole = shown.filter(({ text }) => text.length === 500)
    // Of the endpoints, of the consumers, of the records, and what is chosen.
    assert.ok(whole.length >= 6, `${whole.length} names of 500 characters`)
    const tall = await page
      .locator('tbody tr, #chosen button')
      .evaluateAll((all) => all.map((one) => one.clientHeight).filter((height) => height > 200))
    assert.deepEqual(tall, [])
  }
})

about('axe finds nothing to mend', minutes(), async ({ server, look }) => {
  const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
  const empty = await receiver()
  const judge = async (page, what) => {
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() => globalThis.axe.run())
    const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
    assert.deepEqual(found, [], what)
  }
  try {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1280, 400]) {
        const viewport = { width, height: 900 }
        const options = { colorScheme, viewport, bypassCSP: true }
        const page = await look('/?endpoint=%2Fsearch&method=GET&service=shop', options)
        await page.getByText('The charts as a table').click()
        await page.locator('#figures tbody tr').first().waitFor()
        await judge(page, `${colorScheme}, ${width} px`)
      }
      const { page, close } = await open(browser, empty.url, '/', { colorScheme, bypassCSP: true })
      await page.locator('#empty').waitFor()
      await judge(page, `${colorScheme}, empty`)
      await close()
    }
  } finally {
    await empty.end()
  }
  assert.ok((await server.get('/api/records?limit=1')).records.length)
})

about('a receiver that goes and comes back', minutes(10), async ({ server, look }) => {
  const page = await look('/')
  await page.route('**/api/**', (route) => route.abort())
  await page.locator('#state.lost').waitFor()
  await page.unroute('**/api/**')
  await server.send([record({})])
  await until(
    () => tile(page, 'Requests'),
    (text) => text === '11',
    '11',
  )
  await page.locator('#state.live').waitFor()
  return /net::ERR_FAILED/
})

about('a thousand requests a second of a thousand endpoints', [], async ({ server, look }) => {
  const batch = (from) =>
    Array.from({ length: 100 }, (_, place) => {
      const number = (from + place) % 1000
      return record({
        endpoint: `/e/${String(number).padStart(4, '0')}`,
        consumer: `c${number % 40}`,
        status: number % 50 ? 200 : 500,
        response_time: (number * 7) % 900,
      })
    })
  await server.send(batch(0))
  const page = await look('/')
  await page.evaluate(() => {
    globalThis.tasks = []
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) globalThis.tasks.push(Math.round(duration))
    })
    observer.observe({ entryTypes: ['longtask'] })
  })
  let sent = 1
  const end = performance.now() + 6_000
  for (const begun = performance.now(); performance.now() < end; sent += 1) {
    await server.send(batch(100 * sent))
    await wait(Math.max(0, begun + 100 * sent - performance.now()))
  }
  const total = (100 * sent).toLocaleString('en')
  await until(
    () => tile(page, 'Requests'),
    (text) => text === total,
    total,
  )
  const tasks = await page.evaluate(() => globalThis.tasks)
  // Reported alone: how long they are is up to the machine.
  console.log(
    `${total} records in 6 s; tasks over 50 ms: ${tasks.length ? tasks.join(', ') : 'none'}`,
  )

  // All of them are found, though the document has a hundred at a time.
  const seen = new Set()
  await page.locator('#endpoints').getByRole('button', { name: 'Endpoint' }).click()
  for (let at = 1; ; at += 1) {
    const first = (at - 1) * 100
    const start = `/e/${String(first).padStart(4, '0')}`
    await until(
      () => names(page, 'endpoints'),
      (now) => now[0] === start,
      start,
    )
    for (const name of await names(page, 'endpoints')) seen.add(name)
    const next = page.locator('#endpoints .next')
    if (await next.isDisabled()) break
    assert.ok((await page.locator('#endpoints tbody tr').count()) <= 100)
    await next.click()
  }
  assert.equal(seen.size, 1000)
  await page.getByLabel('Search endpoints').fill('/E/0777')
  await until(
    () => names(page, 'endpoints'),
    (now) => now.join() === '/e/0777',
    '/e/0777 alone',
  )
  assert.equal(new URL(page.url()).searchParams.get('esearch'), '/E/0777')
})
