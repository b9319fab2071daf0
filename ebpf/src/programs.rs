//! The entry points: one judge, three hooks.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_OK, TC_ACT_SHOT, xdp_action, xdp_md},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use portreeve_common::{
    Direction, Sight, dns, look, quick,
    seed::{Seed, outcome},
    switch::{Posture, Switch},
};

use crate::{
    argument, clock,
    frame::{Frame, Skb, Xdp},
    maps, names,
    record::{self, Counting},
    tables::{self, KernelTables, Time, judge},
};

/// Ingress on NICs with native XDP; frames in several buffers too.
#[xdp(frags)]
#[inline(always)]
pub(crate) fn ingress_xdp(ctx: XdpContext) -> u32 {
    filter::<ATTACHED>(ctx.ctx)
}

/// Ingress where native XDP is missing or costs more.
#[classifier]
#[inline(always)]
pub(crate) fn ingress_tc(ctx: TcContext) -> i32 {
    classify::<ATTACHED>(ctx.skb.skb, Direction::Ingress)
}

/// Egress.
#[classifier]
#[inline(always)]
pub(crate) fn egress_tc(ctx: TcContext) -> i32 {
    classify::<ATTACHED>(ctx.skb.skb, Direction::Egress)
}

/// The three again, to be asked and not attached: they are told time and length, and tell their verdict.
#[xdp(frags)]
#[inline(always)]
pub(crate) fn asked_xdp(ctx: XdpContext) -> u32 {
    filter::<ASKED>(ctx.ctx)
}

/// As above.
#[classifier]
#[inline(always)]
pub(crate) fn asked_ingress(ctx: TcContext) -> i32 {
    classify::<ASKED>(ctx.skb.skb, Direction::Ingress)
}

/// As above.
#[classifier]
#[inline(always)]
pub(crate) fn asked_egress(ctx: TcContext) -> i32 {
    classify::<ASKED>(ctx.skb.skb, Direction::Egress)
}

/// Tells user space the time in ticks and in nanoseconds, by test run: it can't read jiffies, nor how long one is.
#[xdp]
pub(crate) fn clock(_ctx: XdpContext) -> u32 {
    maps::tell_time(clock::ticks(), clock::nanoseconds());
    xdp_action::XDP_PASS
}

/// Puts a name to an address or takes it off, by test run.
#[xdp]
pub(crate) fn order(_ctx: XdpContext) -> u32 {
    names::obey();
    xdp_action::XDP_PASS
}

/// Puts a flow that lives already into its table, by test run; in place of a frame comes a [`Seed`].
#[xdp]
pub(crate) fn plant(ctx: XdpContext) -> u32 {
    let Some(seed) = Seed::read(&Xdp::<ASKED>::of(ctx.ctx)) else { return xdp_action::XDP_ABORTED };
    if tables::plant(&seed, clock::ticks()) { outcome::LIVES } else { outcome::FULL }
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

const ATTACHED: bool = false;
const ASKED: bool = true;

#[inline(always)]
fn filter<const ASKED: bool>(ctx: *mut xdp_md) -> u32 {
    // Without a branch: what passes is one more than what drops.
    const { assert!(xdp_action::XDP_DROP + 1 == xdp_action::XDP_PASS) };
    xdp_action::XDP_DROP + passes::<Xdp<ASKED>>(ctx, Direction::Ingress) as u32
}

#[inline(always)]
fn classify<const ASKED: bool>(ctx: *mut __sk_buff, direction: Direction) -> i32 {
    TC_ACT_SHOT + passes::<Skb<ASKED>>(ctx, direction) as i32 * (NEXT - TC_ACT_SHOT)
}

/// Sees, judges and counts a frame; 1 if it is to pass, 0 if it is to be dropped.
#[inline(always)]
fn passes<F: Frame>(ctx: *mut F::Context, direction: Direction) -> u64 {
    let frame = F::of(ctx);
    let posture = posture::<F>();
    let tables = KernelTables::new(posture, Time::Now { asked: F::ASKED });
    let counting = Counting { frame: &frame, direction, posture };
    match quick::judge(&frame, direction, &tables, &counting) {
        Some(passes) => passes,
        None => passes_long::<F>(ctx, direction),
    }
}

/// The same by the long way. It begins anew, so that the short one need not keep for it what it knows.
#[inline(always)]
fn passes_long<F: Frame>(ctx: *mut F::Context, direction: Direction) -> u64 {
    let posture = posture::<F>();
    let would = posture.would(direction);
    let Some(sight) = maps::sight() else { return would };
    see::<F>(ctx, direction.index(), sight);
    let (generation, now) = (posture.generation(), clock::now(F::ASKED));
    let decision = judge(sight, direction, posture, now);
    let frame = F::of(ctx);
    if dns::concerns(&sight.headers, decision, maps::settings(generation)) {
        let mut from = 0;
        for _ in 0..dns::MESSAGES {
            if !frame.load(sight, from) {
                break;
            }
            from = names::follow(sight, direction, generation, now);
            if from == 0 {
                break;
            }
        }
    }
    record::count(decision, sight, &F::of(ctx), direction, would);
    if decision.passes() { 1 } else { would }
}

#[inline(never)]
fn see<F: Frame>(ctx: *mut F::Context, direction: u32, sight: &mut Sight) {
    look(&F::of(ctx), argument::direction(direction), sight);
}

#[inline(always)]
fn posture<F: Frame>() -> Posture {
    Switch::from_word(maps::switch()).posture(|| clock::now(F::ASKED))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a loop without end, so a panic that could be reached does not load.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
