'use strict'
// Makes the packages of a release: the binding's own, and one for each platform with its library.
//
//   node pack.js FOLDER TARGET=LIBRARY…     e.g. target/npm x86_64-unknown-linux-gnu=libmalti.so

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../..')

/** What the library is built for, by Rust's names, and npm's. `lib/native.js` looks for these. */
const PLATFORMS = {
  'x86_64-unknown-linux-gnu': { os: 'linux', cpu: 'x64', libc: 'glibc' },
  'aarch64-unknown-linux-gnu': { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  'x86_64-unknown-linux-musl': { os: 'linux', cpu: 'x64', libc: 'musl' },
  'aarch64-unknown-linux-musl': { os: 'linux', cpu: 'arm64', libc: 'musl' },
  'aarch64-apple-darwin': { os: 'darwin', cpu: 'arm64' },
  'x86_64-pc-windows-gnu': { os: 'win32', cpu: 'x64' },
}
const FILES = { linux: 'libmalti.so', darwin: 'libmalti.dylib', win32: 'malti.dll' }

function nameOf({ os, cpu, libc }) {
  const suffix = { glibc: '-gnu', musl: '-musl' }[libc] ?? ''
  return `@malti/${os}-${cpu}${suffix}`
}

function cargoVersion() {
  return /^version = "(.*)"$/m.exec(fs.readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8'))[1]
}

function write(folder, manifest, files) {
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  for (const [name, source] of Object.entries(files)) {
    fs.cpSync(source, path.join(folder, name), { recursive: true })
  }
  return folder
}

function main(staging, manifest) {
  const names = Object.values(PLATFORMS).map(nameOf)
  // They stand only in what is published: no registry has the packages of a checkout's version, so
  // that nothing could install from it.
  const optionalDependencies = Object.fromEntries(names.map((name) => [name, manifest.version]))
  const files = manifest.files.map((name) => [name, path.join(__dirname, name)])
  return write(path.join(staging, 'libmalti'), { ...manifest, optionalDependencies }, Object.fromEntries(files))
}

function platform(staging, target, library, { version, license, repository, engines }) {
  const { os, cpu, libc } = PLATFORMS[target]
  const name = nameOf({ os, cpu, libc })
  const file = FILES[os]
  const manifest = {
    name,
    version,
    description: `The native library of libmalti for ${[os, cpu, libc].filter(Boolean).join(' ')}`,
    license,
    repository,
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    files: [file],
    // A library is loaded from a file of its own, never out of Yarn's archives.
    preferUnplugged: true,
  }
  const folder = path.join(staging, target)
  write(folder, manifest, { [file]: library, LICENSE: path.join(__dirname, 'LICENSE') })
  const about = 'It is installed with `libmalti`, which loads it; there is nothing else to do with it.'
  fs.writeFileSync(path.join(folder, 'README.md'), `# ${name}\n\n${manifest.description}. ${about}\n`)
  return folder
}

/** Packs libraries, named by their targets, into `out`. Returns the archives' names. */
function pack(out, libraries) {
  const manifest = require('./package.json')
  if (manifest.version !== cargoVersion()) {
    throw new Error(`package.json has version ${manifest.version}, Cargo.toml ${cargoVersion()}`)
  }
  const staging = path.join(out, 'staging')
  fs.rmSync(out, { recursive: true, force: true })
  const folders = [main(staging, manifest)]
  for (const [target, library] of Object.entries(libraries)) {
    if (!(target in PLATFORMS)) throw new Error(`there is no package for ${target}`)
    folders.push(platform(staging, target, library, manifest))
  }
  const command = ['pack', '--json', '--ignore-scripts', '--pack-destination', out, ...folders]
  execFileSync('npm', command, { stdio: ['ignore', 'ignore', 'inherit'] })
  fs.rmSync(staging, { recursive: true })
  return fs.readdirSync(out).sort()
}

module.exports = { PLATFORMS, nameOf, pack }

if (require.main === module) {
  const [out, ...pairs] = process.argv.slice(2)
  const folder = path.resolve(out)
  for (const name of pack(folder, Object.fromEntries(pairs.map((pair) => pair.split('='))))) {
    console.log(`${name}  ${fs.statSync(path.join(folder, name)).size.toLocaleString('en')} bytes`)
  }
}
