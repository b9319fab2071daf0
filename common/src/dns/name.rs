//! A name in a message (RFC 1035, section 4.1.4): its labels, compressed by pointers that only lead back.

use super::{Dns, Learning};
use crate::{hash::MULTIPLIERS, names::KEY_BYTES, names::MAX_NAME};

/// Steps over one name: its bytes, and as many pointers as resolvers never need.
pub const MAX_STEPS: u32 = 320;

/// Where the reader of a name stands.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// Of the labels so far, lower case, with their lengths; it has a secret.
    pub(super) hash: u64,
    at: u32,
    /// Where the name ends in the message, its first pointer included; 0 before that is known.
    pub(super) end: u32,
    /// Pointers lead to before this.
    lowest: u32,
    /// Bytes that are left of a label.
    left: u32,
    /// Bytes of the name as text.
    pub(super) length: u32,
    /// 1 where the text is kept.
    keeps: u32,
    /// 1 where a byte is none of a host's name.
    pub(super) odd: u32,
    reserved: u32,
}

/// What a step comes to.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// There is more.
    On = 0,
    /// The name is read.
    Done = 1,
    /// It is none.
    Broken = 2,
}

/// Reads the name at `at`, and keeps its text where `keeps` is 1; where it ends in the message, or 0 if it is none. Its
/// hash is in the walk.
#[inline(always)]
pub fn read<L: Learning>(dns: &mut Dns, at: u32, keeps: u32, learning: &L) -> u32 {
    dns.walk = Walk { hash: learning.secret(), at, lowest: at, keeps, ..Walk::default() };
    for _ in 0..MAX_STEPS {
        let walked = learning.step(dns);
        if walked != Walked::On as u32 {
            return if walked == Walked::Done as u32 { dns.walk.end } else { 0 };
        }
    }
    0
}

/// One step: a label's length, one of its bytes, or a pointer. A [`Walked`] by number.
#[inline(always)]
pub fn step(dns: &mut Dns) -> u32 {
    let at = dns.walk.at;
    let Some(byte) = dns.byte(at) else { return Walked::Broken as u32 };
    dns.walk.at = at + 1;
    if dns.walk.left != 0 {
        dns.walk.left -= 1;
        return dns.put(byte.to_ascii_lowercase());
    }
    match byte {
        0 => {
            if dns.walk.end == 0 {
                dns.walk.end = at + 1;
            }
            Walked::Done as u32
        }
        1..=63 => {
            dns.walk.left = byte.into();
            dns.mix(byte);
            if dns.walk.length == 0 { Walked::On as u32 } else { dns.write(b'.') }
        }
        0xc0..=0xff => {
            let Some(low) = dns.byte(at + 1) else { return Walked::Broken as u32 };
            let target = u32::from(byte & 0x3f) << 8 | u32::from(low);
            if target >= dns.walk.lowest {
                return Walked::Broken as u32;
            }
            if dns.walk.end == 0 {
                dns.walk.end = at + 2;
            }
            (dns.walk.lowest, dns.walk.at) = (target, target);
            Walked::On as u32
        }
        // The other two kinds of label are not in use (RFC 6891, section 5).
        64..=0xbf => Walked::Broken as u32,
    }
}

impl Dns {
    /// A byte of a label.
    #[inline(always)]
    fn put(&mut self, byte: u8) -> u32 {
        self.mix(byte);
        if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') {
            self.walk.odd = 1;
        }
        self.write(byte)
    }

    #[inline(always)]
    fn write(&mut self, byte: u8) -> u32 {
        let length = self.walk.length;
        if length >= MAX_NAME as u32 {
            return Walked::Broken as u32;
        }
        if self.walk.keeps != 0 {
            self.hint.text[length as usize & (KEY_BYTES - 1)] = byte;
        }
        self.walk.length = length + 1;
        Walked::On as u32
    }

    #[inline(always)]
    const fn mix(&mut self, byte: u8) {
        let mixed = (self.walk.hash ^ byte as u64).wrapping_mul(MULTIPLIERS[1]);
        self.walk.hash = mixed ^ mixed >> 29;
    }
}
