//! The block format: sections of either byte order, each with interfaces of their own link type and clock.

use std::{io::Read, time::Duration};

use pcap_parser::{
    Block, EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SimplePacketBlock,
    parse_block_be, parse_block_le, traits::PcapNGPacketBlock,
};
use portreeve_common::Direction;

use super::{CaptureError, Packet, pcap::LONGEST_PACKET, source::Source};

/// What has been read of the present section.
#[derive(Default)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Of the last packet that had a time.
    time: Duration,
}

#[derive(Clone, Copy, Default)]
enum Order {
    #[default]
    Little,
    Big,
}

struct Interface {
    link: u32,
    limit: u32,
    clock: Clock,
}

/// How an interface counts time.
struct Clock {
    ticks_per_second: u128,
    /// Seconds to add to every time stamp.
    offset: i64,
}

impl Pcapng {
    pub(super) fn begins_with(magic: &[u8]) -> bool {
        magic == SECTION.to_le_bytes()
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
        if Self::begins_with(&header[..4]) {
            self.order = section_order(source.need(BLOCK_HEADER + 4, "section header", packets)?)
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
        let Some(Block::InterfaceDescription(block)) = self.order.parse(bytes) else {
            return Err(CaptureError::Block { what: "interface description", offset: at.offset });
        };
        let limit = if block.snaplen == 0 { LONGEST_PACKET } else { block.snaplen.min(LONGEST_PACKET) };
        let link = block.linktype.0.cast_unsigned();
        self.interfaces.push(Interface { link, limit, clock: Clock::of(&block, self.order) });
        Ok(None)
    }

    fn enhanced(&mut self, bytes: &[u8], at: At) -> Result<Packet, CaptureError> {
        let Some(Block::EnhancedPacket(block)) = self.order.parse(bytes) else {
            return Err(CaptureError::Block { what: "enhanced packet", offset: at.offset });
        };
        let interface = self.interface(block.if_id, at)?;
        interface.check(block.caplen, at)?;
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
        let Some(Block::SimplePacket(block)) = self.order.parse(bytes) else {
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

impl Interface {
    fn check(&self, length: u32, at: At) -> Result<(), CaptureError> {
        if length <= self.limit {
            return Ok(());
        }
        Err(CaptureError::TooLong { packet: at.packet, offset: at.offset, length, limit: self.limit })
    }
}

impl Clock {
    fn of(block: &InterfaceDescriptionBlock<'_>, order: Order) -> Self {
        let resolution = match option(&block.options, OptionCode::IfTsresol) {
            Some([resolution, ..]) => *resolution,
            Some([]) | None => MICROSECONDS,
        };
        let exponent = u32::from(resolution & 0x7f);
        let ticks_per_second =
            if resolution & 0x80 == 0 { 10u128.saturating_pow(exponent) } else { 1 << exponent };
        let offset = option(&block.options, OptionCode::IfTsoffset).and_then(|value| value.first_chunk());
        Self { ticks_per_second, offset: offset.map_or(0, |&bytes| order.signed(bytes)) }
    }

    /// Rounded down to a nanosecond; a time before the epoch is the epoch.
    fn time(&self, ticks: u64) -> Duration {
        const NANOSECONDS: u128 = 1_000_000_000;
        let (seconds, rest) =
            (u128::from(ticks) / self.ticks_per_second, u128::from(ticks) % self.ticks_per_second);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX).saturating_add_signed(self.offset);
        let nanoseconds = u64::try_from(rest * NANOSECONDS / self.ticks_per_second).unwrap_or(0);
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
    }
}

impl Order {
    fn parse(self, bytes: &[u8]) -> Option<Block<'_>> {
        let parsed = match self {
            Self::Little => parse_block_le(bytes),
            Self::Big => parse_block_be(bytes),
        };
        parsed.ok().map(|(_, block)| block)
    }

    /// The 32-bit word at `at`, which the caller has checked to be there.
    fn word(self, bytes: &[u8], at: usize) -> u32 {
        let Some(&word) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return 0 };
        match self {
            Self::Little => u32::from_le_bytes(word),
            Self::Big => u32::from_be_bytes(word),
        }
    }

    fn signed(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }
}

/// Where a block stands, for its errors.
#[derive(Clone, Copy)]
struct At {
    offset: u64,
    packet: u64,
}

fn section_order(section: &[u8]) -> Option<Order> {
    match section.get(8..12)? {
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(Order::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(Order::Big),
        _ => None,
    }
}

/// A simple packet has no captured length: it is what the snap length leaves of the original.
fn captured<'a>(block: &'a SimplePacketBlock<'_>, limit: u32) -> &'a [u8] {
    let bytes = block.packet_data();
    bytes.get(..limit as usize).unwrap_or(bytes)
}

fn option<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    let mut options = options.iter().take_while(|option| option.code != OptionCode::EndOfOpt);
    options.find(|option| option.code == code).and_then(|option| option.as_bytes().ok())
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

/// The default of `if_tsresol`: 10^-6 s.
const MICROSECONDS: u8 = 6;
const EPB_FLAGS: OptionCode = OptionCode(2);
