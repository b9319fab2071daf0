//! Programs that only the benchmark loads: they make frames, vary them, and do with one LRU map what peers do.
//!
//! An object of its own, so that nothing of it is in what is shipped.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod lru;
#[cfg(target_arch = "bpf")]
mod programs;

/// Lints and tests of the host see an empty program.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
