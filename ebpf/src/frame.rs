//! Frames in the kernel: where their bytes are, and what stands beside them.

mod skb;
mod xdp;

pub(crate) use skb::Skb;
pub(crate) use xdp::Xdp;

use core::ffi::{c_long, c_void};

use portreeve_common::Packet;

use crate::maps;

/// How far into a frame headers may reach: beyond it a read counts as beyond the frame's end. It bounds the offset
/// for the verifier (`MAX_PACKET_OFF` in `kernel/bpf/verifier.c` is 65,535).
const MAX_OFFSET: u32 = 0x3fff;

/// A frame and its sender.
pub(crate) trait Frame: Packet {
    /// On egress, the cgroup and the user that sent it, as far as the kernel knows.
    fn sender(&self) -> (u64, u32) {
        (0, 0)
    }
}

/// `N` bytes at `offset` behind `data`, if they end before `end`.
#[inline(always)]
fn direct<const N: usize>(data: usize, end: usize, offset: u32) -> Option<[u8; N]> {
    let start = data + offset as usize;
    if start + N > end {
        return None;
    }
    // SAFETY: the verifier has seen that the bytes lie before the packet's end. A frame has no alignment.
    Some(unsafe { core::ptr::read_unaligned(start as *const [u8; N]) })
}

/// `N` bytes by way of this CPU's scratch value: a helper may write there, and unlike the stack it may be read at
/// any alignment. `load` writes `N` bytes and returns 0, or refuses.
#[inline(always)]
fn by_helper<const N: usize>(load: impl FnOnce(*mut c_void) -> c_long) -> Option<[u8; N]> {
    const { assert!(N <= maps::SCRATCH_BYTES) };
    let scratch = maps::scratch()?;
    if load(scratch.cast()) != 0 {
        return None;
    }
    // SAFETY: the helper has just written these bytes of this CPU's own value.
    Some(unsafe { core::ptr::read_unaligned(scratch.cast::<[u8; N]>()) })
}
