'use strict'
// The packages of a release, and a registry on loopback that has them and nothing else.

const { execFileSync } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')
const { PLATFORMS, pack } = require('../pack.js')
const { standIn } = require('./binaries.js')
const { ROOT, listening } = require('./harness.js')

const ARCH = { x64: 'x86_64', arm64: 'aarch64' }[process.arch]
/** What this machine runs; the library of a build on glibc. */
const TARGET = process.platform === 'linux' ? `${ARCH}-unknown-linux-gnu` : `${ARCH}-apple-darwin`

const SUFFIX = process.platform === 'darwin' ? 'dylib' : 'so'
const LIBRARY = process.env.MALTI_LIBRARY ?? path.join(ROOT, `target/release/libmalti.${SUFFIX}`)

/** Packs the library that is tested, and stand-ins for those of other platforms, into `folder`. */
function packed(folder) {
  const others = fs.mkdtempSync(path.join(os.tmpdir(), 'libmalti-'))
  const libraries = Object.entries(PLATFORMS).map(([target, platform]) => {
    if (target === TARGET) return [target, LIBRARY]
    const file = path.join(others, target)
    fs.writeFileSync(file, standIn(platform))
    return [target, file]
  })
  pack(folder, Object.fromEntries(libraries))
  fs.rmSync(others, { recursive: true })
  return folder
}

/** A registry of the archives in `folder`: its address. */
async function registry(owner, folder) {
  const answers = new Map()
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.tgz'))) {
    const archive = fs.readFileSync(path.join(folder, file))
    const text = execFileSync('tar', ['-xzOf', path.join(folder, file), 'package/package.json'], { encoding: 'utf8' })
    const manifest = JSON.parse(text)
    const { name, version } = manifest
    const tarball = `/${name}/-/${name.split('/').pop()}-${version}.tgz`
    const sums = {
      integrity: `sha512-${crypto.createHash('sha512').update(archive).digest('base64')}`,
      shasum: crypto.createHash('sha1').update(archive).digest('hex'),
    }
    answers.set(tarball, () => archive)
    answers.set(`/${name}`, (host) => {
      const dist = { ...sums, tarball: `http://${host}${tarball}` }
      const versions = { [version]: { ...manifest, dist } }
      const time = { [version]: '2020-01-01T00:00:00.000Z' }
      return JSON.stringify({ name, 'dist-tags': { latest: version }, versions, time })
    })
  }
  const server = http.createServer((req, res) => {
    const answer = answers.get(decodeURIComponent(req.url))
    res.statusCode = answer ? 200 : 404
    if (typeof answer?.() === 'string') res.setHeader('Content-Type', 'application/json')
    res.end(answer?.(req.headers.host))
  })
  return `http://127.0.0.1:${await listening(owner, server)}/`
}

module.exports = { LIBRARY, TARGET, packed, registry }
