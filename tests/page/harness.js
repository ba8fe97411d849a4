'use strict'
// A receiver, a browser that looks at its page, and what both are asked.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { chromium } = require('playwright-core')

const ROOT = path.resolve(__dirname, '../..')
const MALTI = process.env.MALTI_RECEIVER ?? path.join(ROOT, 'target/release/malti')
/** Long enough for a slow machine; nothing waits that long where things go well. */
const PATIENCE_MS = 60_000

/** Where the browser is; undefined: there is none. */
function browserPath() {
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const places = names.flatMap((name) => folders.map((folder) => path.join(folder, name)))
  return places.find((place) => fs.existsSync(place))
}

/** A receiver on a port of its own: { url, send(records), get(path), end() }. */
async function receiver(...args) {
  const child = spawn(MALTI, ['receive', '--listen', '127.0.0.1:0', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const [line] = await once(readline.createInterface({ input: child.stdout }), 'line')
  const { url } = JSON.parse(line)
  return {
    url,
    async send(records) {
      const answer = await fetch(`${url}/api/v1/ingest`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': 'any' },
        body: JSON.stringify({ requests: records }),
      })
      if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`)
      await answer.arrayBuffer()
    },
    get: async (place) => (await fetch(url + place)).json(),
    async end() {
      child.kill()
      await ended
    },
  }
}

const launch = () =>
  chromium.launch({
    executablePath: browserPath(),
    // Without them it does not run as root, nor in a container whose /dev/shm is small.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  })

/** A page of the receiver, in a browser that complains of nothing and asks nobody else. */
async function open(browser, url, place = '/', options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('request', (request) => {
    if (!request.url().startsWith(`${url}/`)) complaints.push(`asked for ${request.url()}`)
  })
  await page.goto(url + place)
  return { page, complaints, close: () => context.close() }
}

module.exports = { MALTI, PATIENCE_MS, ROOT, browserPath, launch, open, receiver }
