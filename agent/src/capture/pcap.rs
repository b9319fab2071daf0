//! The classic format: one header, then records of one link type; in four byte orders and precisions.

use std::{io::Read, time::Duration};

use pcap_parser::{LegacyPcapBlock, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header};

use super::{CaptureError, Packet, order::Order, source::Source};

/// What the file's header says of all its records.
pub(super) struct Pcap {
    header: PcapHeader,
    order: Order,
    /// Most bytes that a packet may have.
    limit: u32,
}

impl Pcap {
    pub(super) fn begins_with(magic: &[u8]) -> bool {
        matches!(
            magic,
            [0xd4, 0xc3, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0xc3, 0xd4]
                | [0x4d, 0x3c, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0x3c, 0x4d]
        )
    }

    pub(super) fn open<R: Read>(source: &mut Source<R>) -> Result<Self, CaptureError> {
        let Ok((_, header)) = parse_pcap_header(source.need(HEADER, "file header", 0)?) else {
            return Err(CaptureError::NotACapture { first: "a broken pcap header".into() });
        };
        source.advance();
        let order = if header.is_bigendian() { Order::Big } else { Order::Little };
        let limit = snap_limit(header.snaplen);
        Ok(Self { header, order, limit })
    }

    /// The next packet, or `None` at the end; `packets` have been read before it.
    pub(super) fn packet<R: Read>(
        &self,
        source: &mut Source<R>,
        packets: u64,
    ) -> Result<Option<Packet>, CaptureError> {
        if source.fill(RECORD_HEADER)?.is_empty() {
            return Ok(None);
        }
        let length = self.order.word(source.need(RECORD_HEADER, "packet header", packets)?, CAPTURED);
        let offset = source.offset();
        if length > self.limit {
            return Err(CaptureError::TooLong { packet: packets + 1, offset, length, limit: self.limit });
        }
        let record = source.need(RECORD_HEADER + length as usize, "packet", packets)?;
        let parse = match self.order {
            Order::Little => parse_pcap_frame,
            Order::Big => parse_pcap_frame_be,
        };
        let Ok((_, block)) = parse(record) else {
            let (needed, found) = (u64::from(length), record.len() as u64);
            return Err(CaptureError::CutOff { what: "packet", offset, packets, needed, found });
        };
        let packet = self.of(&block);
        source.advance();
        Ok(Some(packet))
    }

    fn of(&self, block: &LegacyPcapBlock<'_>) -> Packet {
        let fraction = u64::from(block.ts_usec);
        let fraction = if self.header.is_nanosecond_precision() {
            Duration::from_nanos(fraction)
        } else {
            Duration::from_micros(fraction)
        };
        Packet {
            time: Duration::from_secs(block.ts_sec.into()) + fraction,
            direction: None,
            link: self.header.network.0.cast_unsigned() & LINK_TYPE,
            bytes: block.data.to_vec(),
            original_length: block.origlen,
        }
    }
}

/// A snap length of 0 is none.
pub(super) fn snap_limit(snap: u32) -> u32 {
    if snap == 0 { LONGEST_PACKET } else { snap.min(LONGEST_PACKET) }
}

const HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Where a record header tells how much of the packet follows.
const CAPTURED: usize = 8;

/// libpcap's `MAXIMUM_SNAPLEN`: what tools write when they are told to keep all of a packet.
const LONGEST_PACKET: u32 = 262_144;

/// The upper bits of the field tell the length of a frame check sequence (draft-ietf-opsawg-pcap, section 4).
const LINK_TYPE: u32 = 0xffff;
