//! The interfaces that a pcapng section describes: link type, snap length and clock.

use std::time::Duration;

use pcap_parser::{InterfaceDescriptionBlock, OptionCode, PcapNGOption};

use super::{order::Order, pcap::snap_limit};

/// One interface of a section.
pub(super) struct Interface {
    pub(super) link: u32,
    /// Most bytes that a packet may have.
    pub(super) limit: u32,
    pub(super) clock: Clock,
}

/// How an interface counts time.
pub(super) struct Clock {
    ticks_per_second: u128,
    /// Seconds to add to every time stamp.
    offset: i64,
}

impl Interface {
    pub(super) fn new(block: &InterfaceDescriptionBlock<'_>, order: Order) -> Self {
        let link = block.linktype.0.cast_unsigned();
        Self { link, limit: snap_limit(block.snaplen), clock: Clock::new(&block.options, order) }
    }
}

impl Clock {
    /// The parser's own reading takes no powers of two, and offsets only in little-endian order.
    fn new(options: &[PcapNGOption<'_>], order: Order) -> Self {
        let resolution = match option(options, OptionCode::IfTsresol) {
            Some([resolution, ..]) => *resolution,
            Some([]) | None => MICROSECONDS,
        };
        let exponent = u32::from(resolution & 0x7f);
        let ticks_per_second =
            if resolution & 0x80 == 0 { 10u128.saturating_pow(exponent) } else { 1 << exponent };
        let offset = option(options, OptionCode::IfTsoffset).and_then(|value| value.first_chunk());
        Self { ticks_per_second, offset: offset.map_or(0, |&bytes| order.signed(bytes)) }
    }

    /// Rounded down to a nanosecond; a time before the epoch is the epoch.
    pub(super) fn time(&self, ticks: u64) -> Duration {
        const NANOSECONDS: u128 = 1_000_000_000;
        let (seconds, rest) =
            (u128::from(ticks) / self.ticks_per_second, u128::from(ticks) % self.ticks_per_second);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX).saturating_add_signed(self.offset);
        let nanoseconds = u64::try_from(rest * NANOSECONDS / self.ticks_per_second).unwrap_or(0);
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
    }
}

/// The value of an option, without its padding.
pub(super) fn option<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    let mut options = options.iter().take_while(|option| option.code != OptionCode::EndOfOpt);
    options.find(|option| option.code == code).and_then(|option| option.as_bytes().ok())
}

/// The default of `if_tsresol`: 10^-6 s.
const MICROSECONDS: u8 = 6;
