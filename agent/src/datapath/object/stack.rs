//! How much stack the kernel programs take, as the verifier of Linux 6.1 to 6.7 counts it: each function's frame rounded up to
//! 32 bytes, summed along every row of calls (`check_max_stack_depth` in `kernel/bpf/verifier.c`). Later ones round to 16
//! where programs are compiled, so that what is too much for the oldest loads on the machine of who wrote it.

use std::collections::{BTreeMap, BTreeSet};

use aya_obj::{Object, generated::bpf_insn};

use super::OBJECT;

/// `MAX_BPF_STACK`.
const MOST: i32 = 512;
/// What a frame is rounded up to.
const GRANULE: i32 = 32;
/// `BPF_REG_FP`.
const FRAME: u8 = 10;
/// Classes of instructions that store: `BPF_ST`, `BPF_STX`.
const STORE: [u8; 2] = [2, 3];
/// Of those that load: `BPF_LDX`.
const LOAD: u8 = 1;
/// `rX = rY` and `rX += imm`, of 64 bits.
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
/// A call of a function in the same program.
const CALL: u8 = 0x85;
const PSEUDO_CALL: u8 = 1;

/// One function: its frame, and whom it calls, by where they begin.
#[derive(Default)]
struct Frame {
    bytes: i32,
    calls: BTreeSet<usize>,
}

/// The functions of a program, by where they begin.
fn frames(program: &[bpf_insn]) -> BTreeMap<usize, Frame> {
    let target = |at: usize, call: &bpf_insn| {
        let relative = isize::try_from(call.imm).unwrap();
        (at + 1).checked_add_signed(relative).unwrap()
    };
    let calls: Vec<(usize, usize)> = program
        .iter()
        .enumerate()
        .filter(|(_, insn)| insn.code == CALL && insn.src_reg() == PSEUDO_CALL)
        .map(|(at, insn)| (at, target(at, insn)))
        .collect();
    let mut frames: BTreeMap<usize, Frame> = BTreeMap::from([(0, Frame::default())]);
    frames.extend(calls.iter().map(|(_, target)| (*target, Frame::default())));
    for (at, target) in calls {
        let (_, caller) = frames.range_mut(..=at).next_back().unwrap();
        caller.calls.insert(target);
    }
    for (at, insn) in program.iter().enumerate() {
        let reach = match (insn.code & 7, program.get(at + 1)) {
            // The frame's register is the base of what is written by a store, and of what is read by a load.
            (LOAD, _) if insn.src_reg() == FRAME => i32::from(insn.off),
            (class, _) if STORE.contains(&class) && insn.dst_reg() == FRAME => i32::from(insn.off),
            (_, Some(next))
                if insn.code == COPY
                    && insn.src_reg() == FRAME
                    && next.code == ADD
                    && next.dst_reg() == insn.dst_reg() =>
            {
                next.imm
            }
            _ => 0,
        };
        let (_, frame) = frames.range_mut(..=at).next_back().unwrap();
        frame.bytes = frame.bytes.max(-reach);
    }
    frames
}

/// The deepest row of calls from here, each with its frame.
fn deepest(frames: &BTreeMap<usize, Frame>, from: usize) -> (i32, Vec<i32>) {
    let frame = &frames[&from];
    let (mut sum, mut row) = frame.calls.iter().map(|call| deepest(frames, *call)).max().unwrap_or_default();
    row.insert(0, frame.bytes);
    sum += (frame.bytes.max(1) + GRANULE - 1) / GRANULE * GRANULE;
    (sum, row)
}

#[test]
fn no_row_of_calls_takes_more_than_linux_6_1_gives() {
    let mut object = Object::parse(OBJECT).unwrap();
    let text = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&text).unwrap();
    assert!(object.programs.len() >= 6, "only {} programs", object.programs.len());
    let mut most = 0;
    for (name, program) in &object.programs {
        let frames = frames(&object.functions[&program.function_key()].instructions);
        let (sum, row) = deepest(&frames, 0);
        assert!(sum <= MOST, "{name} takes {sum} bytes of stack: {row:?}");
        most = most.max(sum);
    }
    assert!(most > MOST / 2, "only {most} bytes: the calls were not found");
}
