//! What many filters do: every flow in one LRU map, with its counters; a packet without a flow is dropped by its port.

use aya_ebpf::{
    bindings::xdp_action,
    helpers::bpf_jiffies64,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray},
};

use crate::frame::Frame;

/// As many as the established table of a default host file.
const FLOWS: u32 = 65_536;

#[map(name = "LRU_FLOWS")]
static FLOWS_MAP: LruHashMap<[u32; 10], Flow> = LruHashMap::with_max_entries(FLOWS, 0);
/// A rule's counters.
#[map(name = "LRU_RULES")]
static RULES: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1_024, 0);
/// A port's drops.
#[map(name = "LRU_PORTS")]
static PORTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(65_536, 0);
/// Which ports are documented, and their rule.
#[map(name = "LRU_ALLOWED")]
static ALLOWED: Array<u32> = Array::with_max_entries(65_536, 0);

#[repr(C)]
#[derive(Clone, Copy)]
struct Flow {
    seen: u64,
    rule: u64,
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// XDP's verdict.
#[inline(always)]
pub(crate) fn judge(frame: &Frame) -> u32 {
    decide(frame).unwrap_or(xdp_action::XDP_DROP)
}

#[inline(always)]
fn decide(frame: &Frame) -> Option<u32> {
    let places = frame.places()?;
    let mut key = [0; 10];
    if places.address == 16 {
        let addresses = frame.read::<[u32; 8]>(22)?;
        let ports = frame.read::<u32>(54)?;
        let [a, b, c, d, e, f, g, h] = addresses;
        key = [a, b, c, d, e, f, g, h, ports, 6];
        after(frame, &key, 54)
    } else {
        let [source, destination] = frame.read::<[u32; 2]>(26)?;
        key[0] = source;
        key[1] = destination;
        key[8] = frame.read::<u32>(34)?;
        key[9] = 6;
        after(frame, &key, 34)
    }
}

#[inline(always)]
fn after(frame: &Frame, key: &[u32; 10], transport: usize) -> Option<u32> {
    let port = u32::from(frame.word(transport + 2)?);
    let flags = frame.read::<u8>(transport + 13)?;
    let length = (frame.word(16)?).into();
    if flags & (SYN | ACK) == SYN {
        return begin(key, port, length);
    }
    let Some(flow) = FLOWS_MAP.get_ptr_mut(key) else { return drop_at(port) };
    // SAFETY: takes nothing.
    let now = unsafe { bpf_jiffies64() };
    // SAFETY: a value that the map has given out stays readable until the program ends.
    let flow = unsafe { &mut *flow };
    if now - flow.seen > 24 * 3_600 * 1_000 {
        return drop_at(port);
    }
    flow.seen = now;
    count(flow.rule as u32, length);
    Some(xdp_action::XDP_PASS)
}

#[inline(always)]
fn begin(key: &[u32; 10], port: u32, length: u64) -> Option<u32> {
    let rule = *ALLOWED.get(port)?;
    if rule == 0 {
        return drop_at(port);
    }
    // SAFETY: takes nothing.
    let seen = unsafe { bpf_jiffies64() };
    // A full map pushes another flow out.
    let _refused = FLOWS_MAP.insert(key, &Flow { seen, rule: rule.into() }, 0);
    count(rule, length);
    Some(xdp_action::XDP_PASS)
}

#[inline(always)]
fn count(rule: u32, length: u64) {
    if let Some(counter) = RULES.get_ptr_mut(rule) {
        // SAFETY: this processor's own value.
        let [packets, bytes] = unsafe { &mut *counter };
        *packets += 1;
        *bytes += length;
    }
}

#[inline(always)]
fn drop_at(port: u32) -> Option<u32> {
    if let Some(counter) = PORTS.get_ptr_mut(port) {
        // SAFETY: this processor's own value.
        unsafe { *counter += 1 };
    }
    Some(xdp_action::XDP_DROP)
}
