//! Frames in the kernel: where their bytes are, and what stands beside them.

mod skb;
mod xdp;

pub(crate) use skb::Skb;
pub(crate) use xdp::Xdp;

use core::ffi::{c_long, c_void};

use portreeve_common::{
    Packet, Sight,
    quick::{StartV4, StartV6},
};

use crate::maps;

/// How far into a frame headers may reach: beyond it a read counts as beyond the frame's end. It bounds the offset
/// for the verifier (`MAX_PACKET_OFF` in `kernel/bpf/verifier.c` is 65,535).
const MAX_OFFSET: u32 = 0x3fff;

/// A frame and its sender.
pub(crate) trait Frame: Packet {
    /// What the kernel hands to a program.
    type Context;
    /// Whether the program was loaded to be asked: known when it is compiled, so that attached ones pay nothing.
    const ASKED: bool;

    /// Reads a resolver's message off it, see [`portreeve_common::dns::load`], where this CPU keeps one; `false` if it has none.
    fn load(&self, sight: &Sight, from: u32) -> bool;

    /// The frame of a context.
    fn of(ctx: *mut Self::Context) -> Self;

    /// On egress, the cgroup and the user that sent it, as far as the kernel knows.
    fn sender(&self) -> (u64, u32) {
        (0, 0)
    }
}

/// A piece of a frame at `offset` behind `data`, if it ends before `end`.
#[inline(always)]
fn direct<T: Piece>(data: usize, end: usize, offset: u32) -> Option<T> {
    let start = data + offset as usize;
    if start + size_of::<T>() > end {
        return None;
    }
    // SAFETY: the verifier has seen that the bytes lie before the packet's end. A frame has no alignment, and every bit
    // pattern is a piece.
    Some(unsafe { core::ptr::read_unaligned(start as *const T) })
}

/// A piece by way of this CPU's scratch value: a helper may write there, and unlike the stack it may be read at any
/// alignment. `load` writes the piece's bytes and returns 0, or refuses.
#[inline(always)]
fn by_helper<T: Piece>(load: impl FnOnce(*mut c_void) -> c_long) -> Option<T> {
    const { assert!(size_of::<T>() <= maps::SCRATCH_BYTES) };
    let scratch = maps::scratch()?;
    if load(scratch.cast()) != 0 {
        return None;
    }
    // SAFETY: the helper has just written these bytes of this CPU's own value; every bit pattern is a piece.
    Some(unsafe { core::ptr::read_unaligned(scratch.cast::<T>()) })
}

/// What is read of a frame: plain integers.
trait Piece: Copy {}
impl<const N: usize> Piece for [u8; N] {}
impl<const N: usize> Piece for [u32; N] {}
impl Piece for StartV4 {}
impl Piece for StartV6 {}
