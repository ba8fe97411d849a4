//! One request as it is kept: its fields, their limits, and the packed form in which the buffer holds it.
//!
//! Packed, a record is a 24-byte header and the bytes of its fields, 8-aligned:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `created_at`, microseconds since 1970 UTC, little-endian |
//! | 8–11 | response time in whole milliseconds |
//! | 12–13 | whole length in bytes, a multiple of 8 |
//! | 14–15 | status; the highest bit says that it is settled, for whoever finds it in a durable file |
//! | 16–23 | lengths of method, endpoint, consumer, context |

/// The bytes of a field that are kept; what the server keeps (500 code points) always fits.
pub const FIELD_MAX: usize = 2_000;
/// The largest response time in milliseconds: the server's column is a 32-bit integer.
pub const RESPONSE_TIME_MAX_MS: u32 = i32::MAX as u32;
/// The latest `created_at`, 9999-12-31T23:59:59.999999Z, in microseconds since 1970 UTC.
pub const CREATED_AT_MAX_US: i64 = 253_402_300_799_999_999;

const HEADER: usize = 24;
/// Where a packed record says that it is settled: [`DONE`] in this byte.
pub(crate) const DONE_AT: usize = 15;
pub(crate) const DONE: u8 = 0x80;
/// The largest packed record.
pub const PACKED_MAX: usize = (HEADER + 4 * FIELD_MAX + 7) & !7;

/// What of a field is looked at.
#[inline]
pub(crate) fn kept(text: &[u8]) -> &[u8] {
    &text[..text.len().min(FIELD_MAX)]
}

/// One request, its text still as the host gave it (raw bytes, at most [`FIELD_MAX`] each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// HTTP method, as given.
    pub method: &'a [u8],
    /// Route pattern or path, as given.
    pub endpoint: &'a [u8],
    /// HTTP status, 100–999.
    pub status: u16,
    /// Response time in whole milliseconds, at most [`RESPONSE_TIME_MAX_MS`].
    pub response_time_ms: u32,
    /// Who called; empty: `anonymous`.
    pub consumer: &'a [u8],
    /// Free text; empty: absent.
    pub context: &'a [u8],
    /// When the response ended, microseconds since 1970 UTC, 0–[`CREATED_AT_MAX_US`].
    pub created_at_us: i64,
}

impl<'a> RawRecord<'a> {
    /// Bytes that [`pack`](Self::pack) writes.
    #[inline]
    pub fn packed_len(&self) -> usize {
        (HEADER
            + self.method.len()
            + self.endpoint.len()
            + self.consumer.len()
            + self.context.len()
            + 7)
            & !7
    }

    /// Writes the packed form to the start of `out`, which must hold [`packed_len`](Self::packed_len) bytes.
    #[inline(always)]
    pub fn pack(&self, out: &mut [u8]) {
        let len = self.packed_len();
        let Some((head, mut text)) = out[..len].split_first_chunk_mut::<HEADER>() else {
            return;
        };
        head[0..8].copy_from_slice(&self.created_at_us.to_le_bytes());
        head[8..12].copy_from_slice(&self.response_time_ms.to_le_bytes());
        head[12..14].copy_from_slice(&(len as u16).to_le_bytes());
        head[14..16].copy_from_slice(&self.status.to_le_bytes());
        head[16..18].copy_from_slice(&(self.method.len() as u16).to_le_bytes());
        head[18..20].copy_from_slice(&(self.endpoint.len() as u16).to_le_bytes());
        head[20..22].copy_from_slice(&(self.consumer.len() as u16).to_le_bytes());
        head[22..24].copy_from_slice(&(self.context.len() as u16).to_le_bytes());
        for field in [self.method, self.endpoint, self.consumer] {
            text = put(text, field);
        }
        if !self.context.is_empty() {
            put(text, self.context);
        }
    }

    /// Length of the packed record at the start of `bytes`.
    pub(crate) fn packed_len_at(bytes: &[u8]) -> usize {
        usize::from(u16::from_le_bytes([bytes[12], bytes[13]]))
    }

    /// Reads the record at the start of `bytes` and its packed length; `None` where there is no whole record.
    #[inline]
    pub fn unpack(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let head = bytes.first_chunk::<HEADER>()?;
        let u16_at = |i: usize| u16::from_le_bytes([head[i], head[i + 1]]);
        let len = usize::from(u16_at(12));
        let mut rest = bytes.get(HEADER..len)?;
        let mut field = |i: usize| {
            let (text, tail) = rest.split_at_checked(usize::from(u16_at(16 + 2 * i)))?;
            rest = tail;
            Some(text)
        };
        let record = RawRecord {
            method: field(0)?,
            endpoint: field(1)?,
            consumer: field(2)?,
            context: field(3)?,
            status: u16_at(14) & !(u16::from(DONE) << 8),
            response_time_ms: u32::from_le_bytes([head[8], head[9], head[10], head[11]]),
            created_at_us: i64::from_le_bytes([
                head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7],
            ]),
        };
        Some((record, len))
    }
}

/// Copies `field` to the start of `out` and returns what is left of it. A field is mostly short: two overlapping words
/// are written sooner than memcpy is called.
#[inline(always)]
pub(crate) fn put<'o>(out: &'o mut [u8], field: &[u8]) -> &'o mut [u8] {
    let (to, rest) = out.split_at_mut(field.len());
    let short = copy_ends::<16>(to, field)
        || copy_ends::<8>(to, field)
        || copy_ends::<4>(to, field)
        || copy_ends::<2>(to, field);
    if !short {
        to.copy_from_slice(field);
    }
    rest
}

/// Copies by the first and the last `N` bytes, where that is all.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    if from.len() > 2 * N || from.len() != to.len() {
        return false;
    }
    let (Some(first), Some(start)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) else {
        return false;
    };
    *start = *first;
    if let (Some(last), Some(end)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
        *end = *last;
    }
    true
}

/// Whether the packed record at the start of `bytes` is settled.
pub(crate) fn is_done(bytes: &[u8]) -> bool {
    bytes.get(DONE_AT).is_some_and(|byte| byte & DONE != 0)
}

/// Of packed records, whatever is settled of them; never 0.
pub(crate) fn checksum(packed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut rest = packed;
    while let Some((_, len)) = RawRecord::unpack(rest).filter(|(_, len)| *len > DONE_AT) {
        hasher.update(&rest[..DONE_AT]);
        hasher.update(&[rest[DONE_AT] & !DONE]);
        hasher.update(&rest[DONE_AT + 1..len]);
        rest = &rest[len..];
    }
    hasher.finalize().max(1)
}

/// The records packed one behind the other in `bytes`.
pub fn packed(mut bytes: &[u8]) -> impl Iterator<Item = RawRecord<'_>> {
    std::iter::from_fn(move || {
        let (record, len) = RawRecord::unpack(bytes)?;
        bytes = &bytes[len..];
        Some(record)
    })
}
