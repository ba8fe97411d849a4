'use strict'
// What a layer of an Express router was given as its path. Express keeps of a mount no more than
// what it takes to match, except in the newest routers; and what a request matched are values.

const { normalize } = require('./client.js')

const PROBE = 'malti-probe'
const shapes = new WeakMap()

/** A route's or mount's path, as it was written, in normal form. */
function written(path) {
  return path === '' ? '' : normalize('express', String(path))
}

/** The end of the group that starts at `start` of a regular expression's source. */
function groupEnd(source, start) {
  let depth = 0
  let inClass = false
  for (let at = start; at < source.length; at++) {
    const char = source[at]
    if (char === '\\') at++
    else if (inClass) inClass = char !== ']'
    else if (char === '[') inClass = true
    else if (char === '(') depth++
    else if (char === ')' && --depth === 0) return at
  }
  return source.length
}

/** Express 4: the path that path-to-regexp 0.1 has made a regular expression of. */
function unmade(source, names) {
  const body = source
    .replace(/^\^/, '')
    .replace(/\\\/\?\(\?=\\\/\|\$\)$/, '')
    .replace(/\\\/\?\$$/, '')
  let path = ''
  for (let at = 0; at < body.length; at++) {
    const char = body[at]
    if (char === '\\') {
      path += body[++at]
    } else if (char === '(') {
      const end = groupEnd(body, at)
      const group = body.slice(at, end + 1)
      const name = names.shift() ?? 0
      if (group.startsWith('(?:\\/')) path += '/'
      path += group === '(.*)' ? '*' : `{${name}}`
      at = body[end + 1] === '?' ? end + 1 : end
    } else {
      path += char
    }
  }
  return normalize('plain', path || '/')
}

/** Express 5 before its routers kept paths: each parameter is where a probe comes back as its value. */
function probed(matcher, matched) {
  const segments = matched.split('/')
  for (const [name, value] of Object.entries(matcher(matched).params)) {
    if (Array.isArray(value)) {
      // A wildcard's segments; where they are is sure enough, and what they are must not be told.
      const first = segments.lastIndexOf(encodeURIComponent(value[0]))
      segments.splice(first < 0 ? 1 : first, first < 0 ? Infinity : value.length, `{${name}}`)
      continue
    }
    const at = segments.findIndex((_, index) => {
      if (segments[index] === '' || segments[index].startsWith('{')) return false
      const tried = matcher(segments.with(index, PROBE).join('/'))
      return tried && String(tried.params[name]) === PROBE
    })
    const partly = segments.findIndex((part) => !part.startsWith('{') && part.includes(value))
    if (at >= 0) segments[at] = `{${name}}`
    else if (partly >= 0) segments[partly] = `{${name}}`
  }
  return normalize('plain', segments.join('/'))
}

/** The regular expressions that Express 4 has made one of, for a list of paths. */
function alternatives(source, flags) {
  const parts = source.split('|^')
  try {
    return parts.map((part, index) => new RegExp(index === 0 ? part : `^${part}`, flags))
  } catch {
    // It was in a group or a class of the application's own expression.
    return [new RegExp(source, flags)]
  }
}

/** One [match, pattern] for each path of a layer; `match(path)` gives the text that it matched. */
function shapeOf(layer) {
  if (layer.regexp) {
    const names = layer.keys.map((key) => key.name)
    if (layer.keys.length === 0 && layer.regexp.fast_slash) return [[() => '', () => '']]
    return alternatives(layer.regexp.source, layer.regexp.flags).map((regexp) => {
      const { source } = regexp
      let pattern
      const count = new RegExp(`${source}|`).exec('').length - 1
      const own = names.splice(0, count)
      return [(path) => regexp.exec(path)?.[0], () => (pattern ??= unmade(source, own))]
    })
  }
  if (layer.slash) return [[() => '', () => '']]
  return layer.matchers.map((matcher, index) => {
    const path = Array.isArray(layer.rawPath) ? layer.rawPath[index] : layer.rawPath
    let pattern = path === undefined ? undefined : written(path)
    const match = (target) => matcher(target).path
    return [match, (matched) => (pattern ??= probed(matcher, matched))]
  })
}

/** What of `path` a layer takes, and the pattern that it has for it; undefined: it does not match. */
function matchOf(layer, path) {
  let shape = shapes.get(layer)
  if (shape === undefined) shapes.set(layer, (shape = shapeOf(layer)))
  for (const [match, pattern] of shape) {
    const matched = match(path)
    if (matched !== undefined) return { matched, pattern: pattern(matched) }
  }
  return undefined
}

module.exports = { matchOf, written }
