'use strict'
// The examples start, answer, and leave the records that they promise.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { ROOT, ask, brief, receiver, run } = require('./harness.js')

const EXAMPLES = path.join(ROOT, 'bindings/node/examples')

/** Nest's hooks for the end listen to signals that Deno does not let anybody listen to. */
const skipped = (name) => name === 'nest.cjs' && 'Deno' in globalThis

for (const name of fs.readdirSync(EXAMPLES)) {
  test(name, { concurrency: true, skip: skipped(name) }, async (t) => {
    // As in an application's own folder, where the packages are beside it.
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'example-'))
    t.after(() => fs.rmSync(folder, { recursive: true }))
    fs.copyFileSync(path.join(EXAMPLES, name), path.join(folder, name))
    fs.writeFileSync(path.join(folder, 'package.json'), '{}')
    fs.symlinkSync(path.join(__dirname, 'node_modules'), path.join(folder, 'node_modules'))

    const server = await receiver(t)
    const env = { ...server.env, MALTI_CLEAN_MODE: '0', PORT: '0' }
    const app = run(t, process.execPath, [path.join(folder, name)], env)
    const port = Number(/^port (\d+)$/.exec(await app.line())?.[1])
    assert.equal(await ask(port, '/users/7/orders/9?x=1'), 200)
    assert.equal(await ask(port, '/nope'), 404)
    app.child.kill('SIGTERM')
    const { errors } = await app.end()
    assert.equal(errors, '')
    assert.deepEqual((await server.records()).map(brief), [
      'GET /users/{user}/orders/{order} 200 user-7',
      'GET /nope 404 anonymous',
    ])
  })
}
