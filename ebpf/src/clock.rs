//! The kernel's clock in ticks.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};

use crate::maps;

/// Jiffies since boot; where the program was loaded to be asked, the time that it was told.
#[inline(always)]
pub(crate) fn now(asked: bool) -> u64 {
    match maps::trace(asked) {
        Some(trace) => trace.now,
        None => ticks(),
    }
}

/// Jiffies since boot.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    // SAFETY: the helper takes nothing and reads one word of the kernel's.
    unsafe { bpf_jiffies64() }
}

/// Nanoseconds since boot, without those asleep (`CLOCK_MONOTONIC`).
#[inline(always)]
pub(crate) fn nanoseconds() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}
