//! The classic format: one header, then records of one link type; in four byte orders and precisions.

use std::{io::Read, time::Duration};

use pcap_parser::{LegacyPcapBlock, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header};

use super::{CaptureError, Packet, source::Source};

/// What the file's header says of all its records.
pub(super) struct Pcap {
    header: PcapHeader,
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
        let limit = if header.snaplen == 0 { LONGEST_PACKET } else { header.snaplen.min(LONGEST_PACKET) };
        Ok(Self { header, limit })
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
        let length = self.captured(source.need(RECORD_HEADER, "packet header", packets)?);
        let offset = source.offset();
        if length > self.limit {
            return Err(CaptureError::TooLong { packet: packets + 1, offset, length, limit: self.limit });
        }
        let record = source.need(RECORD_HEADER + length as usize, "packet", packets)?;
        let parse = if self.header.is_bigendian() { parse_pcap_frame_be } else { parse_pcap_frame };
        let Ok((_, block)) = parse(record) else {
            let (needed, found) = (u64::from(length), record.len() as u64);
            return Err(CaptureError::CutOff { what: "packet", offset, packets, needed, found });
        };
        let packet = self.judge(&block);
        source.advance();
        Ok(Some(packet))
    }

    fn judge(&self, block: &LegacyPcapBlock<'_>) -> Packet {
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

    /// `incl_len` of a record header, which is read before the packet is.
    fn captured(&self, record: &[u8]) -> u32 {
        let Some(&bytes) = record.get(8..).and_then(<[u8]>::first_chunk) else { return 0 };
        if self.header.is_bigendian() { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

const HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// libpcap's `MAXIMUM_SNAPLEN`: what tools write when they are told to keep all of a packet.
pub(super) const LONGEST_PACKET: u32 = 262_144;

/// The upper bits of the field tell the length of a frame check sequence (draft-ietf-opsawg-pcap, section 4).
const LINK_TYPE: u32 = 0xffff;
