'use strict'
// Finds and loads the native library, which is a Node-API module itself.

const fs = require('node:fs')
const path = require('node:path')

/** What the library's `face` must be; raised there when a function changes. */
const FACE = 4

const FILE = { darwin: 'libmalti.dylib', win32: 'malti.dll' }[process.platform] ?? 'libmalti.so'

function isMusl() {
  // Asking for the report looks up the names of open connections, unless told not to.
  const before = process.report.excludeNetwork
  process.report.excludeNetwork = true
  try {
    return process.report.getReport().header.glibcVersionRuntime === undefined
  } finally {
    process.report.excludeNetwork = before
  }
}

function platformPackage() {
  const libc = process.platform !== 'linux' ? '' : isMusl() ? '-musl' : '-gnu'
  return `@malti/${process.platform}-${process.arch}${libc}`
}

function locate() {
  if (process.env.MALTI_LIBRARY) return path.resolve(process.env.MALTI_LIBRARY)
  const name = platformPackage()
  try {
    return path.join(path.dirname(require.resolve(`${name}/package.json`)), FILE)
  } catch {
    const built = path.resolve(__dirname, '../../../target/release', FILE)
    if (fs.existsSync(built)) return built
    throw new Error(
      `libmalti has no native library here: the package ${name} is not installed. It is an optional ` +
        'dependency: installs that leave those out, a lock file or node_modules made on another ' +
        'platform, and bundlers that do not mark libmalti external are the usual causes. ' +
        'MALTI_LIBRARY names a library that is elsewhere.',
    )
  }
}

/** The library's functions. Throws where there is none to load; Node loads a file once. */
function load() {
  const file = locate()
  const loaded = { exports: {} }
  process.dlopen(loaded, file)
  if (loaded.exports.face !== FACE) {
    throw new Error(`${file} is of another version of libmalti (${loaded.exports.version})`)
  }
  return loaded.exports
}

module.exports = { load }
