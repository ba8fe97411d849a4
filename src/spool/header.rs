//! The header of a file: whose it is.

use std::fs;
use std::process;

use super::Settings;
use crate::sys::{REGION_BYTES, Region};

pub(crate) const HEADER_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"MALTISP\n";
const VERSION: u32 = 1;
/// Set, outside of the checksum, when the owner stopped and left something behind.
pub(super) const CLEAN_AT: u64 = 20;
const CHECKED_FROM: usize = 32;
/// Bytes that are kept of node and service.
const NAME_MAX: usize = 1_900;

/// A process, told from those that had its number before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    /// Clock ticks since boot.
    pub(super) started: u64,
    /// Of the pid namespace.
    pub(super) namespace: u64,
    pub(super) boot: [u8; 16],
}

impl Owner {
    pub(super) fn this_process() -> Owner {
        Owner {
            pid: process::id(),
            started: started(process::id()).unwrap_or(0),
            namespace: namespace(),
            boot: boot(),
        }
    }

    /// Whether it is known to be gone; where its number means nothing here, its lock alone tells.
    pub(super) fn is_gone(&self) -> bool {
        let me = Owner::this_process();
        // A file of this process that nobody has locked is of a program that it was before an exec.
        self.boot != me.boot
            || self.namespace != me.namespace
            || self.pid == me.pid
            || started(self.pid) != Some(self.started)
    }
}

/// Field 22 of its stat, behind the name, which may hold anything.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let text = str::from_utf8(&stat[behind_name..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    // A zombie has ended, but for its parent's notice.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(unix)]
fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino())
}

#[cfg(not(unix))]
fn namespace() -> u64 {
    0
}

fn boot() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut id = [0; 16];
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
        let pair = str::from_utf8(pair).unwrap_or("0");
        *byte = u8::from_str_radix(pair, 16).unwrap_or(0);
    }
    id
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) chunks: u32,
    /// Random: each chunk's mark is made of it.
    pub(super) file_id: u64,
    pub(super) owner: Owner,
    pub(super) clean: bool,
    pub(super) identity: [u8; 16],
    pub(super) service: String,
    pub(super) node: String,
}

impl Header {
    pub(super) fn new(settings: &Settings, chunks: u32, file_id: u64) -> Header {
        Header {
            chunks,
            file_id,
            owner: Owner::this_process(),
            clean: false,
            identity: settings.identity,
            service: kept(&settings.service),
            node: kept(&settings.node),
        }
    }

    /// The whole file's length.
    pub(super) fn length(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.chunks) * REGION_BYTES as u64
    }

    /// What a chunk of it that is in use begins with.
    pub(super) fn mark(&self, index: u32) -> u64 {
        Region::mark_of(self.file_id, index)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.file_id.to_le_bytes());
        body.extend(self.owner.pid.to_le_bytes());
        body.extend(self.chunks.to_le_bytes());
        body.extend(self.owner.started.to_le_bytes());
        body.extend(self.owner.namespace.to_le_bytes());
        body.extend(self.owner.boot);
        body.extend(self.identity);
        for name in [&self.service, &self.node] {
            body.extend((name.len() as u16).to_le_bytes());
            body.extend(name.as_bytes());
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((REGION_BYTES as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(u32::from(self.clean).to_le_bytes());
        body.resize(HEADER_BYTES - CHECKED_FROM, 0);
        bytes.extend(crc32fast::hash(&body).to_le_bytes());
        bytes.resize(CHECKED_FROM, 0);
        bytes.extend(body);
        bytes
    }

    /// `None`: not a header of this version, or damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let mut fields = Fields(bytes);
        let magic: [u8; 8] = fields.take()?;
        let version = u32::from_le_bytes(fields.take()?);
        let region = u32::from_le_bytes(fields.take()?);
        fields.take::<4>()?;
        let clean = u32::from_le_bytes(fields.take()?) == 1;
        let checksum = u32::from_le_bytes(fields.take()?);
        let body = &bytes[CHECKED_FROM..];
        let whole = (magic, version, region) == (MAGIC, VERSION, REGION_BYTES as u32)
            && checksum == crc32fast::hash(body);
        let mut fields = Fields(body);
        let file_id = u64::from_le_bytes(fields.take()?);
        let pid = u32::from_le_bytes(fields.take()?);
        let chunks = u32::from_le_bytes(fields.take()?);
        let owner = Owner {
            pid,
            started: u64::from_le_bytes(fields.take()?),
            namespace: u64::from_le_bytes(fields.take()?),
            boot: fields.take()?,
        };
        let header = Header {
            chunks,
            file_id,
            owner,
            clean,
            identity: fields.take()?,
            service: fields.name()?,
            node: fields.name()?,
        };
        whole.then_some(header)
    }
}

/// Reads one field after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let (name, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(name.to_vec()).ok()
    }
}

fn kept(name: &str) -> String {
    name[..name.floor_char_boundary(NAME_MAX)].to_owned()
}
