'use strict'
// What users get: the packages of a release, installed from a registry into a folder of their own.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { before, test } = require('node:test')
const { PLATFORMS, nameOf } = require('../pack.js')
const { receiver, run, wholeFile } = require('./harness.js')
const { packed, registry } = require('./packages.js')

/** Programs of package.json in `runtimes`, which are installed for the long tests alone. */
const RUNTIMES = path.join(__dirname, 'runtimes', 'node_modules')
const PNPM = path.join(RUNTIMES, '@pnpm/exe.linux-x64/pnpm')
const BUN = path.join(RUNTIMES, '@oven/bun-linux-x64/bin/bun')
const DENO = path.join(RUNTIMES, '@deno/linux-x64-glibc/deno')
/** Debian's folder of arm64's libraries, with which qemu runs programs for it. */
const ARM64 = '/usr/aarch64-linux-gnu'
const NODE_ARM64 = path.join(__dirname, 'runtimes/arm64/node_modules/node-22/bin/node')
const PROGRAM = fs.readFileSync(path.join(__dirname, 'flush_last.mjs'))
const VERSION = require('libmalti/package.json').version

const owner = wholeFile()
let address

function folder(owner) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'libmalti-'))
  owner.after(() => fs.rmSync(made, { recursive: true, force: true }))
  return made
}

before(async () => {
  const ready = process.env.NPM_PACKAGES ?? packed(path.join(folder(owner), 'packages'))
  address = await registry(owner, ready)
})

/** An application in a folder of its own, with no settings of whoever runs the tests. */
function application(t) {
  const place = folder(t)
  const within = (name) => path.join(place, name)
  const dependencies = { libmalti: VERSION }
  fs.writeFileSync(within('package.json'), JSON.stringify({ name: 'app', private: true, dependencies }))
  fs.writeFileSync(within('.npmrc'), `registry=${address}\nomit-lockfile-registry-resolved=true\n`)
  fs.writeFileSync(within('app.mjs'), PROGRAM)
  const env = { HOME: within('home'), XDG_CACHE_HOME: undefined, XDG_DATA_HOME: undefined, MALTI_LIBRARY: undefined }
  for (const name of Object.keys(process.env)) if (/^npm_config_/i.test(name)) env[name] = undefined
  return {
    within,
    run: async (command, args, more) => {
      const program = run(t, command, args, { ...env, ...more }, place)
      const output = await program.rest()
      return { ...(await program.end()), output }
    },
  }
}

/** What an install leaves has to record, and its lock file to be good on every platform. */
async function works(t, app, lock, [command, ...args] = [process.execPath]) {
  const text = fs.readFileSync(app.within(lock), 'utf8')
  for (const platform of Object.values(PLATFORMS)) assert.ok(text.includes(nameOf(platform)), text)
  // Bun and Deno always name a registry that is not npm's.
  if (command !== BUN && command !== DENO) assert.ok(!text.includes('127.0.0.1'), text)
  const server = await receiver(t)
  const { status, errors, output } = await app.run(command, [...args, 'app.mjs'], server.env)
  assert.deepEqual({ status, errors, output }, { status: 0, errors: '', output: 'true' })
  assert.equal((await server.records()).length, 1)
}

async function installs(app, command, args, env) {
  const { status, errors, output } = await app.run(command, args, env)
  assert.equal(status, 0, errors + output)
}

test('npm install, then npm ci', async (t) => {
  const app = application(t)
  await installs(app, 'npm', ['install'])
  const libraries = fs.readdirSync(app.within('node_modules/@malti'))
  assert.equal(libraries.length, 1, 'the library of this platform, and no other')
  await works(t, app, 'package-lock.json')
  await installs(app, 'npm', ['ci'])
  await works(t, app, 'package-lock.json')
})

test('a library that was left out is named, and how that comes about', async (t) => {
  const app = application(t)
  await installs(app, 'npm', ['install', '--omit=optional'])
  assert.ok(!fs.existsSync(app.within('node_modules/@malti')))
  const { status, errors } = await app.run(process.execPath, ['-e', "require('libmalti').version()"])
  assert.equal(status, 1)
  assert.match(errors, new RegExp(`the package @malti/${process.platform}-${process.arch}\\S* is not installed`))
  assert.match(errors, /optional dependency/)
})

test('a library of another platform is not taken for ours', async (t) => {
  const app = application(t)
  await installs(app, 'npm', ['install', '--os=win32', '--cpu=x64'])
  assert.deepEqual(fs.readdirSync(app.within('node_modules/@malti')), ['win32-x64'])
  const { errors } = await app.run(process.execPath, ['-e', "require('libmalti').version()"])
  assert.match(errors, /is not installed/)
})

/** What is missing to run a program for arm64 here. */
function arm64Lacks() {
  if (!process.env.NPM_PACKAGES) return 'the library for arm64 is not built'
  if (!fs.existsSync(NODE_ARM64)) return 'there is no Node for arm64'
  if (!fs.existsSync(path.join(ARM64, 'lib/libstdc++.so.6'))) return 'there is no libstdc++6-arm64-cross'
  return spawnSync('qemu-aarch64', ['--version']).error && 'there is no qemu-user'
}

test('arm64, under qemu', { skip: arm64Lacks() }, async (t) => {
  const app = application(t)
  await installs(app, 'npm', ['install', '--os=linux', '--cpu=arm64', '--libc=glibc'])
  assert.deepEqual(fs.readdirSync(app.within('node_modules/@malti')), ['linux-arm64-gnu'])
  await works(t, app, 'package-lock.json', ['qemu-aarch64', '-L', ARM64, NODE_ARM64])
})

test('pnpm install', { skip: !fs.existsSync(PNPM) && 'there is no pnpm' }, async (t) => {
  const app = application(t)
  await installs(app, PNPM, ['install'], { CI: 'false' })
  await works(t, app, 'pnpm-lock.yaml')
})

test('bun install, and Bun', { skip: !fs.existsSync(BUN) && 'there is no Bun' }, async (t) => {
  const app = application(t)
  await installs(app, BUN, ['install'])
  await works(t, app, 'bun.lock', [BUN])
})

test('deno install, and Deno', { skip: !fs.existsSync(DENO) && 'there is no Deno' }, async (t) => {
  const app = application(t)
  await installs(app, DENO, ['install'])
  await works(t, app, 'deno.lock', [DENO, 'run', '-A'])
})
