//! Why a capture can't be read, with the place in the file.

use std::{io, path::PathBuf};

/// What stopped the reading; packets before it are good.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file can't be opened.
    #[error("can't open {}", path.display())]
    Open {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file can't be read on.
    #[error("can't read on at byte {offset}")]
    Read {
        /// Of the record that was being read.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing in it, not even a header.
    #[error("the file is empty")]
    Empty,
    /// Neither pcap nor pcapng.
    #[error("not a pcap or pcapng capture: it begins with {first}")]
    NotACapture {
        /// Up to eight bytes in hexadecimal.
        first: String,
    },
    /// The file ends within a header, a record or a block.
    #[error(
        "the file is cut off: the {what} at byte {offset} needs {needed} bytes and has {found} (packets before it: {packets})"
    )]
    CutOff {
        /// The part that is incomplete.
        what: &'static str,
        /// Where that part begins.
        offset: u64,
        /// Whole packets before it.
        packets: u64,
        /// Bytes that the part needs, as far as is known.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// More bytes than the capture's snap length, or than any tool writes.
    #[error(
        "packet {packet} at byte {offset} claims {length} captured bytes, but the snap length is {limit}"
    )]
    TooLong {
        /// Its number, from 1.
        packet: u64,
        /// Where its record begins.
        offset: u64,
        /// What its record claims.
        length: u32,
        /// What the header allows.
        limit: u32,
    },
    /// A block whose length can't be right.
    #[error("the pcapng block at byte {offset} has a bad length of {length} bytes")]
    BlockLength {
        /// Where it begins.
        offset: u64,
        /// What it claims.
        length: u32,
    },
    /// A block whose contents contradict its lengths.
    #[error("the pcapng {what} at byte {offset} is malformed")]
    Block {
        /// Its kind.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// A packet block of the form that pcapng gave up in 2005.
    #[error(
        "the pcapng block at byte {offset} is of the obsolete type 2: convert the capture with `editcap`"
    )]
    Obsolete {
        /// Where it begins.
        offset: u64,
    },
    /// A packet of an interface that its section doesn't describe.
    #[error(
        "packet {packet} at byte {offset} is of interface {interface}, but the section describes {known}"
    )]
    Interface {
        /// Its number, from 1.
        packet: u64,
        /// Where its block begins.
        offset: u64,
        /// As the block says, from 0.
        interface: u32,
        /// How many the section has described so far.
        known: usize,
    },
    /// A kind of network that has no Ethernet frames and no IP packets to judge.
    #[error(
        "packet {packet} has link type {link}: only Ethernet (1), raw IP (101, 228, 229) and Linux cooked (113, 276) can be judged"
    )]
    LinkType {
        /// Its number, from 1.
        packet: u64,
        /// The number in the registry of link types.
        link: u32,
    },
    /// Fewer bytes than the link header has.
    #[error("packet {packet} has {length} bytes, fewer than the {needed} of its cooked header")]
    LinkHeader {
        /// Its number, from 1.
        packet: u64,
        /// Captured bytes.
        length: usize,
        /// Bytes of the header.
        needed: usize,
    },
}
