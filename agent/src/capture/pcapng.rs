//! The block format: sections of either byte order, each with interfaces of their own link type and clock.

use std::{io::Read, time::Duration};

use pcap_parser::{Block, EnhancedPacketBlock, OptionCode, SimplePacketBlock, traits::PcapNGPacketBlock};
use portreeve_common::Direction;

use super::{
    CaptureError, Packet,
    interface::{Interface, option},
    order::Order,
    source::Source,
};

/// What has been read of the present section.
#[derive(Default)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Of the last packet that had a time.
    time: Duration,
}

impl Pcapng {
    pub(super) fn begins_with(magic: &[u8]) -> bool {
        magic.starts_with(&SECTION.to_le_bytes())
    }

    /// The next packet, or `None` at the end; `packets` have been read before it.
    pub(super) fn packet<R: Read>(
        &mut self,
        source: &mut Source<R>,
        packets: u64,
    ) -> Result<Option<Packet>, CaptureError> {
        while !source.fill(BLOCK_HEADER)?.is_empty() {
            let packet = self.block(source, packets)?;
            source.advance();
            if packet.is_some() {
                return Ok(packet);
            }
        }
        Ok(None)
    }

    fn block<R: Read>(
        &mut self,
        source: &mut Source<R>,
        packets: u64,
    ) -> Result<Option<Packet>, CaptureError> {
        let offset = source.offset();
        let header = source.need(BLOCK_HEADER, "block header", packets)?;
        if Self::begins_with(header) {
            self.order = Order::of_section(source.need(BLOCK_HEADER + 4, "section header", packets)?)
                .ok_or(CaptureError::Block { what: "section header", offset })?;
            self.interfaces.clear();
        }
        let header = source.need(BLOCK_HEADER, "block header", packets)?;
        let (kind, length) = (self.order.word(header, 0), self.order.word(header, 4));
        if length % 4 != 0 || !(SHORTEST_BLOCK..=LONGEST_BLOCK).contains(&length) {
            return Err(CaptureError::BlockLength { offset, length });
        }
        let bytes = source.need(length as usize, "block", packets)?;
        if self.order.word(bytes, length as usize - 4) != length {
            return Err(CaptureError::BlockLength { offset, length });
        }
        let at = At { offset, packet: packets + 1 };
        match kind {
            INTERFACE => self.describe(bytes, at),
            ENHANCED => self.enhanced(bytes, at).map(Some),
            SIMPLE => self.simple(bytes, at).map(Some),
            OBSOLETE => Err(CaptureError::Obsolete { offset }),
            _ => Ok(None),
        }
    }

    fn describe(&mut self, bytes: &[u8], at: At) -> Result<Option<Packet>, CaptureError> {
        let Some(Block::InterfaceDescription(block)) = self.order.block(bytes) else {
            return Err(CaptureError::Block { what: "interface description", offset: at.offset });
        };
        self.interfaces.push(Interface::new(&block, self.order));
        Ok(None)
    }

    fn enhanced(&mut self, bytes: &[u8], at: At) -> Result<Packet, CaptureError> {
        let Some(Block::EnhancedPacket(block)) = self.order.block(bytes) else {
            return Err(CaptureError::Block { what: "enhanced packet", offset: at.offset });
        };
        let interface = self.interface(block.if_id, at)?;
        if block.caplen > interface.limit {
            let (length, limit) = (block.caplen, interface.limit);
            return Err(CaptureError::TooLong { packet: at.packet, offset: at.offset, length, limit });
        }
        let time = interface.clock.time(u64::from(block.ts_high) << 32 | u64::from(block.ts_low));
        let link = interface.link;
        self.time = time;
        Ok(Packet {
            time,
            direction: self.direction(&block),
            link,
            bytes: block.packet_data().to_vec(),
            original_length: block.origlen,
        })
    }

    fn simple(&self, bytes: &[u8], at: At) -> Result<Packet, CaptureError> {
        let Some(Block::SimplePacket(block)) = self.order.block(bytes) else {
            return Err(CaptureError::Block { what: "simple packet", offset: at.offset });
        };
        let interface = self.interface(0, at)?;
        Ok(Packet {
            time: self.time,
            direction: None,
            link: interface.link,
            bytes: captured(&block, interface.limit).to_vec(),
            original_length: block.origlen,
        })
    }

    fn interface(&self, id: u32, at: At) -> Result<&Interface, CaptureError> {
        let known = self.interfaces.len();
        let missing = CaptureError::Interface { packet: at.packet, offset: at.offset, interface: id, known };
        self.interfaces.get(id as usize).ok_or(missing)
    }

    /// Bits 0 and 1 of `epb_flags`: 1 is inbound, 2 outbound.
    fn direction(&self, block: &EnhancedPacketBlock<'_>) -> Option<Direction> {
        let flags = option(&block.options, EPB_FLAGS)?;
        match self.order.word(flags.first_chunk::<4>()?, 0) & 3 {
            1 => Some(Direction::Ingress),
            2 => Some(Direction::Egress),
            _ => None,
        }
    }
}

/// Where a block stands, for its errors.
#[derive(Clone, Copy)]
struct At {
    offset: u64,
    packet: u64,
}

/// A simple packet has no captured length: it is what the snap length leaves of the original.
fn captured<'a>(block: &'a SimplePacketBlock<'_>, limit: u32) -> &'a [u8] {
    let bytes = block.packet_data();
    bytes.get(..limit as usize).unwrap_or(bytes)
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

/// Type and total length.
const BLOCK_HEADER: usize = 8;
/// The header and the total length again.
const SHORTEST_BLOCK: u32 = 12;
/// libpcap's `MAX_BLOCKSIZE`.
const LONGEST_BLOCK: u32 = 16 << 20;

const EPB_FLAGS: OptionCode = OptionCode(2);
