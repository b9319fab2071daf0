//! The entry points: one judge, three hooks.

use aya_ebpf::{
    bindings::{TC_ACT_OK, TC_ACT_SHOT, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use portreeve_common::{
    Direction, look,
    quick::{self, Outcome},
    switch::{Mode, Switch},
};

use crate::{
    clock,
    frame::{Frame, Skb, Xdp},
    maps, record,
    tables::{judge, judge_quickly},
};

/// Ingress on NICs with native XDP; frames in several buffers too.
#[xdp(frags)]
pub(crate) fn ingress_xdp(ctx: XdpContext) -> u32 {
    if drops(&Xdp::new(&ctx), Direction::Ingress) { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
}

/// Ingress where native XDP is missing or costs more.
#[classifier]
pub(crate) fn ingress_tc(ctx: TcContext) -> i32 {
    if drops(&Skb::new(&ctx), Direction::Ingress) { TC_ACT_SHOT } else { NEXT }
}

/// Egress.
#[classifier]
pub(crate) fn egress_tc(ctx: TcContext) -> i32 {
    if drops(&Skb::new(&ctx), Direction::Egress) { TC_ACT_SHOT } else { NEXT }
}

/// Tells user space the time in ticks and in nanoseconds, by test run: it can't read jiffies, nor how long one is.
#[xdp]
pub(crate) fn clock(_ctx: XdpContext) -> u32 {
    maps::tell_time(clock::ticks(), clock::nanoseconds());
    xdp_action::XDP_PASS
}

/// What the benchmark holds the others against.
#[xdp(frags)]
pub(crate) fn empty_xdp(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// As above.
#[classifier]
pub(crate) fn empty_tc(_ctx: TcContext) -> i32 {
    NEXT
}

/// Not ours to drop: the next program decides (`TCX_NEXT`, `TC_ACT_UNSPEC`). Where there is none, it passes.
const NEXT: i32 = -1;
const _: () = assert!(NEXT != TC_ACT_OK);

/// Sees, judges and counts a frame; whether it is to be dropped.
#[inline(always)]
fn drops<F: Frame>(frame: &F, direction: Direction) -> bool {
    let now = clock::now();
    let posture = Switch::from_word(maps::switch()).posture(|| now);
    let mode = posture.mode(direction);
    if let Some(plain) = quick::plain(frame, direction) {
        match judge_quickly(&plain, direction, posture.generation(), now) {
            Outcome::Established(rule) => {
                record::count_established(rule, &plain, frame, now);
                return false;
            }
            Outcome::Refused(decision) => {
                record::count_refused(decision, &plain, frame, direction, mode, now);
                return matches!(mode, Mode::Enforce);
            }
            Outcome::Unsaid => {}
        }
    }
    let Some(sight) = maps::sight() else { return matches!(mode, Mode::Enforce) };
    look(frame, direction, sight);
    let decision = judge(sight, direction, posture.generation(), now);
    record::count(decision, sight, frame, direction, mode);
    matches!(mode, Mode::Enforce) && !decision.passes()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a loop without end, so a panic that could be reached does not load.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
