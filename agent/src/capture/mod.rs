//! Packets from capture files: pcap and pcapng, read as a stream, each as a full Ethernet frame.

mod address;
mod error;
mod interface;
mod link;
mod order;
mod pcap;
mod pcapng;
mod reader;
mod source;

use std::{net::IpAddr, time::Duration};

use portreeve_common::Direction;

pub use address::direction_by_address;
pub use error::CaptureError;
pub use reader::Capture;

/// One captured packet, as the Ethernet frame that the programs would have seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Position in the capture, from 1, as `tcpdump --number` and Wireshark count.
    pub number: u64,
    /// Since the epoch, as captured. A pcapng simple packet has no time of its own: it gets the one before it.
    pub time: Duration,
    /// From the pcapng packet flags, else from a Linux cooked header; `None` where neither says.
    pub direction: Option<Direction>,
    /// From the destination address on. Packets without an Ethernet header get one that holds what is known.
    pub bytes: Vec<u8>,
    /// Length in bytes that `bytes` had on the wire.
    pub original_length: u32,
    /// The capture kept less than what was on the wire.
    pub truncated: bool,
}

impl Frame {
    /// The direction that the capture states, else the one that the addresses tell.
    #[must_use]
    pub fn direction_among(&self, locals: &[IpAddr]) -> Direction {
        self.direction.unwrap_or_else(|| direction_by_address(&self.bytes, locals))
    }
}

/// A packet as its file holds it, before its link header is made Ethernet.
struct Packet {
    time: Duration,
    direction: Option<Direction>,
    link: u32,
    bytes: Vec<u8>,
    original_length: u32,
}

#[cfg(test)]
mod tests;
