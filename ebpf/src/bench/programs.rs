//! The entry points.

use aya_ebpf::{
    bindings::xdp_action,
    helpers::{bpf_get_prandom_u32, bpf_redirect},
    macros::{map, xdp},
    maps::{Array, ProgramArray},
    programs::XdpContext,
};

use crate::{frame::Frame, lru};

/// What user space asks of the programs: see `Plan` of the benchmark, which writes these words.
#[map(name = "PLAN")]
static PLAN: Array<[u32; 8]> = Array::with_max_entries(1, 0);

/// Whom varied frames go to.
#[map(name = "TARGETS")]
static TARGETS: ProgramArray = ProgramArray::with_max_entries(4, 0);

/// As in user space.
#[repr(C)]
struct Plan {
    /// Where frames leave; 0: they don't.
    interface: u32,
    /// Source ports, from 1,024 on.
    ports: u32,
    /// Source addresses, from `first` on, in the address's last byte (IPv4) or last word (IPv6).
    addresses: u32,
    first: u32,
    /// Packets in a row from one source: the second and later ones acknowledge. 0: frames stay as they are.
    each: u32,
    /// Sources at random instead of one after the other.
    random: u32,
    /// Frames so far.
    sent: u32,
    /// Which of the targets.
    target: u32,
}

const _: () = assert!(size_of::<Plan>() == 32);

#[inline(always)]
fn plan() -> Option<&'static mut Plan> {
    let plan = PLAN.get_ptr_mut(0)?;
    // SAFETY: a value of an array map lives as long as the program; one processor at a time runs the benchmark's frames.
    Some(unsafe { &mut *plan.cast() })
}

/// Sends a frame out of an interface, from the next source.
#[xdp]
pub(crate) fn send(ctx: XdpContext) -> u32 {
    let Some(plan) = plan() else { return xdp_action::XDP_ABORTED };
    if plan.each != 0 {
        vary(&ctx, plan);
    }
    if plan.interface == 0 {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: takes two numbers; an interface that isn't there is an error that the kernel counts.
    unsafe { bpf_redirect(plan.interface, 0) as u32 }
}

/// Gives a frame of another source to one of the targets.
#[xdp(frags)]
pub(crate) fn varied(ctx: XdpContext) -> u32 {
    let Some(plan) = plan() else { return xdp_action::XDP_ABORTED };
    vary(&ctx, plan);
    // SAFETY: a target that isn't there falls through.
    unsafe { TARGETS.tail_call(&ctx, plan.target) };
    xdp_action::XDP_ABORTED
}

/// Nothing, behind a varied frame.
#[xdp(frags)]
pub(crate) fn nothing(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// A live receiver that drops all it gets.
#[xdp(frags)]
pub(crate) fn sink(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// A firewall with one LRU map.
#[xdp(frags)]
pub(crate) fn one_lru(ctx: XdpContext) -> u32 {
    lru::judge(&Frame::new(&ctx))
}

#[inline(always)]
fn vary(ctx: &XdpContext, plan: &mut Plan) {
    let each = plan.each.max(1);
    let number = plan.sent;
    plan.sent = number.wrapping_add(1);
    let source = if plan.random == 0 {
        number / each
    } else {
        // SAFETY: takes nothing.
        unsafe { bpf_get_prandom_u32() }
    };
    let port = 1_024 + source % plan.ports.max(1);
    let address = plan.first.wrapping_add(source % plan.addresses.max(1));
    let begins = (each > 1).then_some(number % each == 0);
    Frame::new(ctx).rewrite(port as u16, address, begins);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a loop without end, so a panic that could be reached does not load.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
