'use strict'
// Next.js, built with the packages of a release and the very files that the documents show.
// The long tests alone install it, for its size.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { ROOT, ask, brief, receiver, run, wholeFile } = require('./harness.js')
const { packed } = require('./packages.js')

const INSTALLED = path.join(__dirname, 'next')
const skip = !fs.existsSync(path.join(INSTALLED, 'node_modules/next')) && 'there is no Next.js'

const [instrumentation, instrumentationNode] = shown('docs/integrations.md', /^```js\n(.*?)^```$/gms, '## Next.js')
const config = shown('bindings/node/README.md', /`((?:serverExternalPackages|outputFileTracingIncludes): .*?)`/g)

const APPLICATION = {
  'instrumentation.js': instrumentation,
  'instrumentation-node.js': instrumentationNode,
  'next.config.mjs': `export default { output: 'standalone', ${config.join(', ')} }`,
  'app/layout.js': 'export default ({ children }) => <html><body>{children}</body></html>',
  'app/users/[id]/page.js': 'export default async ({ params }) => <p>{(await params).id}</p>',
  'app/api/users/[id]/route.js': `
    import { setConsumer } from 'libmalti'
    export async function GET(request, { params }) {
      setConsumer((await params).id)
      return new Response('fine')
    }`,
  'app/files/[...path]/route.js': "export const GET = () => new Response('fine')",
  'server.mjs': `
    import http from 'node:http'
    import next from 'next'
    import { flushOnSignal } from 'libmalti'
    import './instrumentation-node.js'
    const app = next({ dev: false })
    await app.prepare()
    const server = http.createServer(app.getRequestHandler())
    flushOnSignal()
    server.listen(0, '127.0.0.1', () => console.log('http://127.0.0.1:' + server.address().port))`,
}

const NEXT = 'node_modules/.bin/next'
const SERVERS = {
  start: [NEXT, 'start', '--port', '0', '--hostname', '127.0.0.1'],
  'standalone server': ['.next/standalone/server.js'],
  'server of its own': ['server.mjs'],
}

const QUIET = { NEXT_TELEMETRY_DISABLED: '1' }
const owner = wholeFile()
/** On the file system of the packages, which are linked there: Next follows nothing out of its folder. */
const folder = path.join(ROOT, 'target/next')
const within = (name) => path.join(folder, name)

/** What a page shows, from its heading `from` on. */
function shown(page, pattern, from = '') {
  const text = fs.readFileSync(path.join(ROOT, page), 'utf8')
  return [...text.slice(text.indexOf(from)).matchAll(pattern)].map(([, found]) => found)
}

before(async () => {
  if (skip) return
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  owner.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  execFileSync('cp', ['-al', path.join(INSTALLED, 'node_modules'), folder])
  for (const file of ['package.json', 'package-lock.json']) fs.cpSync(path.join(INSTALLED, file), within(file))
  const archives = process.env.NPM_PACKAGES ?? packed(within('packages'))
  for (const archive of fs.readdirSync(archives)) {
    const [, name] = /^(libmalti|malti-.*?)-\d/.exec(archive)
    const place = within(`node_modules/${name.replace('malti-', '@malti/')}`)
    fs.mkdirSync(place, { recursive: true })
    execFileSync('tar', ['-xzf', path.join(archives, archive), '-C', place, '--strip-components=1'])
  }
  for (const [name, text] of Object.entries(APPLICATION)) {
    fs.mkdirSync(path.dirname(within(name)), { recursive: true })
    fs.writeFileSync(within(name), text)
  }
  const building = run(owner, process.execPath, [NEXT, 'build'], QUIET, folder)
  const output = await building.rest()
  const { status, errors } = await building.end()
  assert.equal(status, 0, output + errors)
})

for (const [name, command] of Object.entries(SERVERS)) {
  test(`Next.js, ${name}: routes, what the application says, delivery at SIGTERM`, { skip }, async (t) => {
    const server = await receiver(t)
    const env = { ...QUIET, ...server.env, MALTI_CLEAN_MODE: 'false', PORT: '0', HOSTNAME: '127.0.0.1' }
    const program = run(t, process.execPath, command, env, folder)
    let address
    while (!address) address = /http:\/\/127\.0\.0\.1:(\d+)/.exec(await program.line())
    // The first one may be before Next has loaded the hook.
    const targets = ['/users/1', '/users/7', '/api/users/8', '/files/a/b', '/nope/9']
    for (const target of targets) await ask(Number(address[1]), target)
    program.child.kill('SIGTERM')
    await program.end()
    assert.deepEqual((await server.records()).map(brief).slice(-4), [
      'GET /users/{id} 200 anonymous',
      'GET /api/users/{id} 200 8',
      'GET /files/{path} 200 anonymous',
      'GET /_not-found 404 anonymous',
    ])
  })
}
