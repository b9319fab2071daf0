//! A frame at the XDP hook.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
};
use portreeve_common::{
    Direction, Packet, Sight,
    dns::MAX_MESSAGE,
    parse::{Walk, walk},
    quick::{START, StartV4, StartV6},
    sight::message,
};

use super::{Frame, MAX_OFFSET, Piece, by_helper, direct};
use crate::{
    argument::{self, given, given_mut},
    maps, names,
};

/// A frame, of which the first buffer is read directly and the others by a helper.
pub(crate) struct Xdp<const ASKED: bool> {
    ctx: *mut xdp_md,
    data: usize,
    end: usize,
}

impl<const ASKED: bool> Xdp<ASKED> {
    #[inline(always)]
    fn piece<T: Piece>(&self, offset: u32) -> Option<T> {
        if offset > MAX_OFFSET {
            return None;
        }
        direct(self.data, self.end, offset).or_else(|| Helped(self.ctx).piece(offset))
    }
}

impl<const ASKED: bool> Packet for Xdp<ASKED> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.piece(offset)
    }

    #[inline(always)]
    fn words<const N: usize>(&self, offset: u32) -> Option<[u32; N]> {
        self.piece(offset)
    }

    #[inline(always)]
    fn start_v4(&self) -> Option<StartV4> {
        direct(self.data, self.end, START)
    }

    #[inline(always)]
    fn start_v6(&self) -> Option<StartV6> {
        direct(self.data, self.end, START)
    }

    #[inline(always)]
    fn walk(&self, first: u8, start: u32) -> Walk {
        Walk::from_word(portreeve_walk_xdp(self.ctx, first.into(), start))
    }

    #[inline(always)]
    fn message(&self, direction: Direction, sight: &mut Sight) {
        portreeve_message_xdp(self.ctx, direction.index(), sight);
    }

    #[inline(always)]
    fn length(&self) -> u64 {
        match maps::trace(ASKED) {
            Some(trace) => trace.length.into(),
            None => (self.end - self.data) as u64,
        }
    }

    #[inline(always)]
    fn reaches(&self, length: u64) -> bool {
        length <= self.length() || length <= self.whole()
    }
}

impl<const ASKED: bool> Xdp<ASKED> {
    /// Length of all buffers.
    #[inline(always)]
    fn whole(&self) -> u64 {
        // SAFETY: the context is the program's own.
        unsafe { bpf_xdp_get_buff_len(self.ctx) }
    }
}

/// A frame that is read by the helper alone, for functions that the verifier proves apart.
struct Helped(*mut xdp_md);

impl Helped {
    #[inline(always)]
    fn piece<T: Piece>(&self, offset: u32) -> Option<T> {
        by_helper(|to| {
            // SAFETY: the helper writes the piece's bytes to the scratch value, or refuses where the frame ends before.
            unsafe { bpf_xdp_load_bytes(self.0, offset, to, size_of::<T>() as u32) }
        })
    }
}

impl Packet for Helped {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.piece(offset)
    }

    #[inline(always)]
    fn words<const N: usize>(&self, offset: u32) -> Option<[u32; N]> {
        self.piece(offset)
    }

    #[inline(always)]
    fn copy(&self, offset: u32, length: u32, to: &mut [u8; MAX_MESSAGE]) -> bool {
        let length = length & (2 * MAX_MESSAGE as u32 - 1);
        if length == 0 || length > MAX_MESSAGE as u32 {
            return false;
        }
        // SAFETY: the helper writes no more than there is room for, or refuses where the frame ends before.
        unsafe { bpf_xdp_load_bytes(self.0, offset, to.as_mut_ptr().cast(), length) == 0 }
    }

    fn length(&self) -> u64 {
        0
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_walk_xdp(ctx: *mut xdp_md, first: u32, start: u32) -> u64 {
    walk(&Helped(ctx), first as u8, start).word()
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_message_xdp(ctx: *mut xdp_md, direction: u32, sight: *mut Sight) -> u32 {
    if let Some(sight) = given_mut(sight) {
        message(&Helped(ctx), argument::direction(direction), sight);
    }
    0
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_names_xdp(ctx: *mut xdp_md, sight: *const Sight, from: u32) -> u32 {
    given(sight).map_or(0, |sight| names::load(&Helped(ctx), sight, from))
}

impl<const ASKED: bool> Frame for Xdp<ASKED> {
    type Context = xdp_md;
    const ASKED: bool = ASKED;

    #[inline(always)]
    fn load(&self, sight: &Sight, from: u32) -> bool {
        portreeve_names_xdp(self.ctx, sight, from) != 0
    }

    #[inline(always)]
    fn of(ctx: *mut xdp_md) -> Self {
        // SAFETY: the context is the program's own, and the verifier knows the field as where the packet begins. It is
        // read each time, so that nobody keeps it.
        let data = unsafe { (&raw const (*ctx).data).read_volatile() };
        // SAFETY: as above; where it ends.
        let end = unsafe { (&raw const (*ctx).data_end).read_volatile() };
        Self { ctx, data: data as usize, end: end as usize }
    }
}
