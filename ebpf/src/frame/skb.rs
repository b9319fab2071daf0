//! A frame at the TC hooks.

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{bpf_get_socket_uid, bpf_skb_cgroup_id, bpf_skb_load_bytes},
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

/// A socket buffer, of which the linear part is read directly and the pages by a helper.
pub(crate) struct Skb<const ASKED: bool> {
    ctx: *mut __sk_buff,
    data: usize,
    end: usize,
}

impl<const ASKED: bool> Skb<ASKED> {
    #[inline(always)]
    fn piece<T: Piece>(&self, offset: u32) -> Option<T> {
        if offset > MAX_OFFSET {
            return None;
        }
        direct(self.data, self.end, offset).or_else(|| Helped(self.ctx).piece(offset))
    }
}

impl<const ASKED: bool> Packet for Skb<ASKED> {
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
        Walk::from_word(portreeve_walk_skb(self.ctx, first.into(), start))
    }

    #[inline(always)]
    fn message(&self, direction: Direction, sight: &mut Sight) {
        portreeve_message_skb(self.ctx, direction.index(), sight);
    }

    #[inline(always)]
    fn length(&self) -> u64 {
        // SAFETY: the context is the program's own. Read in any case: of two reads in two ways the compiler makes one, from
        // either pointer, which the verifier of 6.12 refuses.
        let length = unsafe { (&raw const (*self.ctx).len).read_volatile() };
        maps::trace(ASKED).map_or(length, |trace| trace.length).into()
    }

    #[inline(always)]
    fn tag_beside(&self) -> bool {
        // SAFETY: the context is the program's own, and the field is readable in classifiers.
        unsafe { (*self.ctx).vlan_present != 0 }
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        // SAFETY: the context is the program's own, and the field is readable in classifiers.
        let segments = unsafe { (*self.ctx).gso_segs };
        if segments == 0 { 1 } else { segments }
    }
}

/// A frame that is read by the helper alone, for functions that the verifier proves apart.
struct Helped(*mut __sk_buff);

impl Helped {
    #[inline(always)]
    fn piece<T: Piece>(&self, offset: u32) -> Option<T> {
        by_helper(|to| {
            // SAFETY: the helper writes the piece's bytes to the scratch value, or refuses where the frame ends before.
            unsafe { bpf_skb_load_bytes(self.0.cast(), offset, to, size_of::<T>() as u32) }
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
        unsafe { bpf_skb_load_bytes(self.0.cast(), offset, to.as_mut_ptr().cast(), length) == 0 }
    }

    fn length(&self) -> u64 {
        0
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_walk_skb(ctx: *mut __sk_buff, first: u32, start: u32) -> u64 {
    walk(&Helped(ctx), first as u8, start).word()
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_message_skb(ctx: *mut __sk_buff, direction: u32, sight: *mut Sight) -> u32 {
    if let Some(sight) = given_mut(sight) {
        message(&Helped(ctx), argument::direction(direction), sight);
    }
    0
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_names_skb(ctx: *mut __sk_buff, sight: *const Sight, from: u32) -> u32 {
    given(sight).map_or(0, |sight| names::load(&Helped(ctx), sight, from))
}

impl<const ASKED: bool> Frame for Skb<ASKED> {
    type Context = __sk_buff;
    const ASKED: bool = ASKED;

    #[inline(always)]
    fn load(&self, sight: &Sight, from: u32) -> bool {
        portreeve_names_skb(self.ctx, sight, from) != 0
    }

    #[inline(always)]
    fn of(ctx: *mut __sk_buff) -> Self {
        // SAFETY: the context is the program's own, and the verifier knows the field as where the packet begins. It is
        // read each time, so that nobody keeps it.
        let data = unsafe { (&raw const (*ctx).data).read_volatile() };
        // SAFETY: as above; where it ends.
        let end = unsafe { (&raw const (*ctx).data_end).read_volatile() };
        Self { ctx, data: data as usize, end: end as usize }
    }

    #[inline(always)]
    fn sender(&self) -> (u64, u32) {
        // SAFETY: the context is the program's own; the helper answers 0 where no socket sent it.
        let cgroup = unsafe { bpf_skb_cgroup_id(self.ctx) };
        // SAFETY: as above; without a socket the helper answers the overflow user.
        let uid = unsafe { bpf_get_socket_uid(self.ctx) };
        (cgroup, uid)
    }
}
