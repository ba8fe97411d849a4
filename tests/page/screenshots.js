'use strict'
// The README's pictures of the page: records of an hour, delivered by `malti send`.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { MALTI, ROOT, browserPath, launch, open, receiver } = require('./harness.js')
const { records } = require('./traffic.js')

const FOLDER = path.join(ROOT, 'docs/images')

/** Sends lines as one would send a file. */
async function deliver(url, lines) {
  const env = { ...process.env, MALTI_URL: url, MALTI_API_KEY: 'any' }
  const child = spawn(MALTI, ['send'], { env, stdio: ['pipe', 'ignore', 'inherit'] })
  child.stdin.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`malti send ended with ${status}`)
}

async function main() {
  if (!browserPath()) throw new Error('there is no chromium (make doctor)')
  const server = await receiver()
  const browser = await launch()
  try {
    await deliver(server.url, records(60_000, 3600, Date.now()))
    for (const colorScheme of ['light', 'dark']) {
      const viewport = { width: 1200, height: 1120 }
      const options = { colorScheme, viewport, deviceScaleFactor: 1.4 }
      const { page, complaints } = await open(browser, server.url, '/?range=1h', options)
      await page.locator('#endpoints tbody tr').nth(5).waitFor()
      if (complaints.length) throw new Error(complaints.join('\n'))
      const file = path.join(FOLDER, `receive-${colorScheme}.png`)
      await page.screenshot({ path: file, animations: 'disabled' })
      console.log(path.relative(ROOT, file))
    }
  } finally {
    await browser.close()
    await server.end()
  }
}

main().catch((error) => {
  console.error(`screenshots: ${error.message}`)
  process.exitCode = 1
})
