'use strict'
// The types, as a consumer of every kind sees them, and the shape of the package.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { run, wholeFile } = require('./harness.js')
const { packed } = require('./packages.js')

const TYPES = path.join(__dirname, 'types')
const TOOLS = path.join(TYPES, 'node_modules', '.bin')
const owner = wholeFile()
let archive

function release() {
  if (archive) return archive
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'libmalti-'))
  owner.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  packed(folder)
  archive = path.join(
    folder,
    fs.readdirSync(folder).find((name) => name.startsWith('libmalti-')),
  )
  return archive
}

test('each package whose types are added to is one that installers link to ours, of any version', () => {
  const lib = path.resolve(__dirname, '../lib')
  const added = new Set()
  for (const name of fs.readdirSync(lib).filter((file) => file.endsWith('.d.ts'))) {
    const text = fs.readFileSync(path.join(lib, name), 'utf8')
    for (const [, module] of text.matchAll(/^declare module '([^']+)'/gm)) added.add(module)
  }
  added.delete('node:http')
  const { peerDependencies, peerDependenciesMeta } = require('libmalti/package.json')
  // A range would make installs fail beside the version that it leaves out.
  assert.deepEqual(peerDependencies, Object.fromEntries([...added].sort().map((name) => [name, '*'])))
  assert.deepEqual(peerDependenciesMeta, Object.fromEntries([...added].map((name) => [name, { optional: true }])))
})

for (const [what, tool, args] of [
  ['with the types of Node', 'tsc', () => ['--project', 'tsconfig.json']],
  ['without the types of Node', 'tsc', () => ['--project', 'bare.json']],
  ['the shape of the package', 'publint', () => ['run', release(), '--strict']],
  ['types where each resolution looks for them', 'attw', () => [release(), '--no-emoji', '--format', 'ascii']],
]) {
  const skip = !fs.existsSync(path.join(TOOLS, tool)) && `there is no ${tool}`
  test(`${tool}: ${what}`, { skip }, async (t) => {
    const program = run(t, path.join(TOOLS, tool), args(), {}, TYPES)
    const output = await program.rest()
    const { status, errors } = await program.end()
    assert.equal(status, 0, output + errors)
  })
}
