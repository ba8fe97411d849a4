'use strict'
// What a shared library is built for, read from the file itself, in npm's words.

/** Values of ELF's e_machine, Mach-O's cputype and PE's Machine. */
const ELF_CPU = { 0x3e: 'x64', 0xb7: 'arm64' }
const MACHO_CPU = { 0x01000007: 'x64', 0x0100000c: 'arm64' }
const PE_CPU = { 0x8664: 'x64', 0xaa64: 'arm64' }

const MACHO_64 = 0xfeedfacf
const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_NEEDED = 1
const DT_STRTAB = 5

const u64 = (bytes, at) => Number(bytes.readBigUInt64LE(at))

/** The names of the libraries that a 64-bit, little-endian ELF file needs. */
function needed(bytes) {
  const [start, size, count] = [u64(bytes, 32), bytes.readUInt16LE(54), bytes.readUInt16LE(56)]
  const segments = Array.from({ length: count }, (_, index) => {
    const at = start + index * size
    const [type, offset] = [bytes.readUInt32LE(at), u64(bytes, at + 8)]
    return { type, offset, address: u64(bytes, at + 16), length: u64(bytes, at + 32) }
  })
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (dynamic === undefined) return []
  const entries = Array.from({ length: dynamic.length / 16 }, (_, index) => {
    const at = dynamic.offset + index * 16
    return [u64(bytes, at), u64(bytes, at + 8)]
  })
  const [, table] = entries.find(([tag]) => tag === DT_STRTAB)
  const holder = segments.find(
    ({ type, address, length }) => type === PT_LOAD && table >= address && table < address + length,
  )
  const strings = table - holder.address + holder.offset
  return entries
    .filter(([tag]) => tag === DT_NEEDED)
    .map(([, offset]) => bytes.toString('latin1', strings + offset, bytes.indexOf(0, strings + offset)))
}

function libcOf(names) {
  if (names.includes('libc.so.6')) return 'glibc'
  return names.some((name) => /^libc\.(so$|musl-)/.test(name)) ? 'musl' : undefined
}

function read(bytes) {
  if (bytes.toString('latin1', 0, 6) === '\x7fELF\x02\x01') {
    return { os: 'linux', cpu: ELF_CPU[bytes.readUInt16LE(18)], libc: libcOf(needed(bytes)) }
  }
  if (bytes.readUInt32LE(0) === MACHO_64) return { os: 'darwin', cpu: MACHO_CPU[bytes.readUInt32LE(4)] }
  const pe = bytes.toString('latin1', 0, 2) === 'MZ' ? bytes.readUInt32LE(60) : bytes.length
  if (bytes.toString('latin1', pe, pe + 4) === 'PE\0\0') return { os: 'win32', cpu: PE_CPU[bytes.readUInt16LE(pe + 4)] }
  return undefined
}

/** Such as "linux x64 glibc"; where that is not known, "no library". */
function builtFor(bytes) {
  let found
  try {
    found = read(bytes)
  } catch {
    // It is shorter than it says.
  }
  return found === undefined ? 'no library' : described(found)
}

const described = ({ os, cpu = 'an unknown processor', libc }) => [os, cpu, libc].filter(Boolean).join(' ')

module.exports = { builtFor, described }
