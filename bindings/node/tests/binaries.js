'use strict'
// The smallest files that say what a library is built for, as linkers write that.

const NEEDS = { glibc: 'libc.so.6', musl: 'libc.so' }

/** A header, one segment that is loaded, the dynamic section, and the names that it points to. */
function elf(cpu, libc) {
  const [HEADERS, DYNAMIC, STRINGS, BASE] = [64, 64 + 2 * 56, 64 + 2 * 56 + 3 * 16, 0x10000]
  const strings = Buffer.from(`\0${NEEDS[libc]}\0`)
  const bytes = Buffer.alloc(STRINGS + strings.length)
  const u64 = (value, at) => bytes.writeBigUInt64LE(BigInt(value), at)
  bytes.write('\x7fELF\x02\x01\x01', 'latin1')
  bytes.writeUInt16LE({ x64: 62, arm64: 183 }[cpu], 18)
  u64(HEADERS, 32)
  bytes.writeUInt16LE(56, 54)
  bytes.writeUInt16LE(2, 56)
  for (const [index, [type, offset, length]] of [
    [1, 0, bytes.length],
    [2, DYNAMIC, 3 * 16],
  ].entries()) {
    const at = HEADERS + index * 56
    bytes.writeUInt32LE(type, at)
    u64(offset, at + 8)
    u64(BASE + offset, at + 16)
    u64(length, at + 32)
  }
  for (const [index, [tag, value]] of [
    [1, 1],
    [5, BASE + STRINGS],
    [0, 0],
  ].entries()) {
    u64(tag, DYNAMIC + index * 16)
    u64(value, DYNAMIC + index * 16 + 8)
  }
  strings.copy(bytes, STRINGS)
  return bytes
}

function macho(cpu) {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32LE(0xfeedfacf, 0)
  bytes.writeUInt32LE(0x01000000 + { x64: 7, arm64: 12 }[cpu], 4)
  return bytes
}

function pe(cpu) {
  const bytes = Buffer.alloc(128)
  bytes.write('MZ', 'latin1')
  bytes.writeUInt32LE(64, 60)
  bytes.write('PE\0\0', 64, 'latin1')
  bytes.writeUInt16LE({ x64: 0x8664, arm64: 0xaa64 }[cpu], 68)
  return bytes
}

/** Something in the place of a library for a platform of npm's. */
function standIn({ os, cpu, libc }) {
  return { linux: elf, darwin: macho, win32: pe }[os](cpu, libc)
}

module.exports = { standIn }
