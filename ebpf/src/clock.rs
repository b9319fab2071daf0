//! The kernel's clock in ticks.

use aya_ebpf::helpers::bpf_jiffies64;

use crate::maps;

/// Jiffies since boot; for a program that is loaded for tracing, the time that it was told.
#[inline(always)]
pub(crate) fn now() -> u64 {
    if let Some(trace) = maps::trace() {
        return trace.now;
    }
    // SAFETY: the helper takes nothing and reads one word of the kernel's.
    unsafe { bpf_jiffies64() }
}
