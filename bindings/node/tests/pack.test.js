'use strict'
// A package holds a library for the platform that it names, and no other.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { builtFor, described } = require('../binary.js')
const { PLATFORMS, pack } = require('../pack.js')
const { ROOT } = require('./harness.js')
const { standIn } = require('./binaries.js')
const { LIBRARY, TARGET } = require('./packages.js')

test('the library that is tested is one for this machine', () => {
  assert.equal(builtFor(fs.readFileSync(LIBRARY)), described(PLATFORMS[TARGET]))
})

test('each platform is told from the others', () => {
  for (const platform of Object.values(PLATFORMS)) assert.equal(builtFor(standIn(platform)), described(platform))
})

test('there is a package for each target that is built', () => {
  const [, targets] = /^TARGETS = \{$([^}]*)^\}$/m.exec(fs.readFileSync(path.join(ROOT, 'noxfile.py'), 'utf8'))
  const named = [...targets.matchAll(/^ +"(.+)": /gm)].map(([, target]) => target)
  assert.deepEqual(Object.keys(PLATFORMS).sort(), named.sort())
})

test('what is no library, or half of one, is none', () => {
  const half = standIn(PLATFORMS['x86_64-unknown-linux-musl']).subarray(0, 150)
  for (const bytes of [Buffer.from(''), Buffer.from('MZ'), fs.readFileSync(__filename), half]) {
    assert.equal(builtFor(bytes), 'no library')
  }
})

test("another platform's library is not packed", (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'libmalti-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'library')
  const platforms = Object.entries(PLATFORMS)
  for (const [index, [target, wanted]] of platforms.entries()) {
    const [, found] = platforms.at(index - 1)
    fs.writeFileSync(file, standIn(found))
    const message = `${file} is for ${described(found)}, not for ${described(wanted)}`
    assert.throws(() => pack(path.join(folder, 'out'), { [target]: file }), { message })
  }
})
