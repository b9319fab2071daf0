//! The kernel programs loaded to be asked: what they say of a frame, at a time that the caller names.

mod attached;

use std::time::Duration;

use aya::{
    Ebpf, TestRun, TestRunOptions, TestRunResult,
    maps::{Array, MapData},
    programs::{Program, SchedClassifier, Xdp},
};
use portreeve_common::{
    Direction, Reason,
    class::RuleId,
    clause::{ANY_INTERFACE, Interfaces},
    number::ethertype,
    switch::{Mode, Posture, Switch},
    trace::Trace,
};

pub use self::attached::Classifiers;
use super::{
    DatapathError, Pins,
    map::{failed, typed},
    names::Names,
    object::{self, Globals, Secret, Sets},
    pins::Hook,
    policy::{PolicyMaps, Tables},
};

/// Frames shorter than an Ethernet header are not run by the kernel.
const SHORTEST: usize = 14;
/// IP packets at TC without a whole header are not run either; the programs would find no header to read.
const SHORTEST_V4: usize = SHORTEST + 20;
/// As above, for IPv6.
const SHORTEST_V6: usize = SHORTEST + 40;
/// Frames longer than a page less headroom and tailroom are not run by the kernel (`net/bpf/test_run.c`).
const LONGEST: usize = 3_400;
/// Its generation: the first.
const GENERATION: u16 = 1;

/// Programs and maps of their own, pinned nowhere; they are gone with this value.
pub struct Traced {
    ebpf: Ebpf,
    policy: PolicyMaps,
    names: Names,
    trace: Array<MapData, Trace>,
}

/// Programs that judge by a generation of an instance, in force or not; what they count and remember is their own.
pub struct Rehearsal {
    ebpf: Ebpf,
    trace: Array<MapData, Trace>,
}

impl Traced {
    /// Loads the programs with a policy, enforced both ways.
    ///
    /// # Errors
    /// The kernel refuses a program or a map.
    pub fn load(tables: &Tables<'_>, secret: Secret, sets: Sets) -> Result<Self, DatapathError> {
        Self::load_on(tables, secret, sets, ANY_INTERFACE)
    }

    /// The same for packets of these interfaces.
    ///
    /// # Errors
    /// The kernel refuses a program or a map.
    pub fn load_on(
        tables: &Tables<'_>,
        secret: Secret,
        sets: Sets,
        interfaces: Interfaces,
    ) -> Result<Self, DatapathError> {
        let mut ebpf = object::load(&Globals::of_any(secret, sets).on(interfaces), None)?;
        for hook in Hook::ALL {
            load(&mut ebpf, hook)?;
        }
        let mut take = |name| ebpf.take_map(object::in_object(name)).ok_or(DatapathError::Missing(name));
        let (trace, names) = (take("TRACE")?, Names::from_maps(&mut take)?);
        let mut policy = PolicyMaps::from_maps(take)?;
        policy.write(GENERATION, tables)?;
        let posture = Posture::new(GENERATION, Mode::Enforce, Mode::Enforce);
        policy.set_switch(Switch::settled(posture, posture))?;
        Ok(Self { ebpf, policy, names, trace: typed("TRACE", trace)? })
    }

    /// What they have learned of resolvers' answers.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// The policy that they judge by.
    pub fn policy(&mut self) -> &mut PolicyMaps {
        &mut self.policy
    }

    /// The verdict on a frame of `length` bytes on the wire, of which `frame` is what was captured.
    ///
    /// # Errors
    /// The kernel does not run it.
    pub fn judge(
        &mut self,
        frame: &[u8],
        length: u32,
        hook: Hook,
        now: u64,
    ) -> Result<(Reason, Option<RuleId>), DatapathError> {
        ask(&self.ebpf, &mut self.trace, frame, length, hook, now, None)
    }

    /// The verdict by XDP on a whole frame whose first buffer has no more than `first` bytes. The kernel makes such
    /// buffers since Linux 6.18.
    ///
    /// # Errors
    /// The kernel does not run it.
    pub fn judge_in_buffers(
        &mut self,
        frame: &[u8],
        first: u32,
        now: u64,
    ) -> Result<(Reason, Option<RuleId>), DatapathError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let context: Vec<u8> =
            [0, first.min(length), 0, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        ask(&self.ebpf, &mut self.trace, frame, length, Hook::Xdp, now, Some(&context))
    }

    /// The hook that judges a direction when ingress is native, or is not.
    #[must_use]
    pub const fn hook(direction: Direction, native: bool) -> Hook {
        match (direction, native) {
            (Direction::Ingress, true) => Hook::Xdp,
            (Direction::Ingress, false) => Hook::Ingress,
            (Direction::Egress, _) => Hook::Egress,
        }
    }

    /// The mean time that a frame takes, over `repeat` runs.
    ///
    /// # Errors
    /// The kernel does not run it.
    pub fn bench_run(&mut self, frame: &[u8], hook: Hook, repeat: u32) -> Result<Duration, DatapathError> {
        Ok(self.run(frame, hook, repeat)?.duration)
    }

    fn run(&self, frame: &[u8], hook: Hook, repeat: u32) -> Result<TestRunResult, DatapathError> {
        let program =
            self.ebpf.program(hook.asked_program()).ok_or(DatapathError::Missing(hook.asked_program()))?;
        run(program, frame, hook, repeat, None)
    }
}

impl Rehearsal {
    /// Loads the programs of these hooks over the generation of `posture`. The instance's lock has to be held.
    ///
    /// # Errors
    /// The kernel refuses a program or a map.
    pub fn load(
        pins: &Pins,
        secret: Secret,
        posture: Posture,
        hooks: &[Hook],
    ) -> Result<Self, DatapathError> {
        let mut ebpf = object::load_over(pins, secret, posture)?;
        hooks.iter().try_for_each(|hook| load(&mut ebpf, *hook))?;
        let trace = ebpf.take_map("TRACE").ok_or(DatapathError::Missing("TRACE"))?;
        Ok(Self { ebpf, trace: typed("TRACE", trace)? })
    }

    /// The verdict on a whole frame.
    ///
    /// # Errors
    /// The kernel does not run it.
    pub fn judge(
        &mut self,
        frame: &[u8],
        hook: Hook,
        now: u64,
    ) -> Result<(Reason, Option<RuleId>), DatapathError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        ask(&self.ebpf, &mut self.trace, frame, length, hook, now, None)
    }
}

fn ask(
    ebpf: &Ebpf,
    trace: &mut Array<MapData, Trace>,
    frame: &[u8],
    length: u32,
    hook: Hook,
    now: u64,
    context: Option<&[u8]>,
) -> Result<(Reason, Option<RuleId>), DatapathError> {
    if frame.len() < shortest(frame, hook) {
        return Ok((Reason::Malformed, None));
    }
    let failed = |error| failed("TRACE", error);
    trace.set(0, Trace::at(now, length), 0).map_err(failed)?;
    let name = hook.asked_program();
    let program = ebpf.program(name).ok_or(DatapathError::Missing(name))?;
    run(program, frame, hook, 1, context)?;
    let answer = trace.get(&0, 0).map_err(failed)?;
    Ok((answer.reason().ok_or(DatapathError::Silent)?, answer.rule()))
}

/// What the kernel runs at least (`bpf_prog_test_run_skb` in `net/bpf/test_run.c`): below it no IP header is whole, which
/// makes the frame malformed.
fn shortest(frame: &[u8], hook: Hook) -> usize {
    let ethertype = frame.get(SHORTEST - 2..SHORTEST).and_then(|bytes| bytes.try_into().ok());
    match ethertype.map(u16::from_be_bytes) {
        Some(ethertype::IPV4) if hook != Hook::Xdp => SHORTEST_V4,
        Some(ethertype::IPV6) if hook != Hook::Xdp => SHORTEST_V6,
        _ => SHORTEST,
    }
}

fn load(ebpf: &mut Ebpf, hook: Hook) -> Result<(), DatapathError> {
    let name = hook.asked_program();
    let failed = |error| DatapathError::program(name, format!("cannot load {name}"), error);
    let program = ebpf.program_mut(name).ok_or(DatapathError::Missing(name))?;
    if hook == Hook::Xdp {
        let program: &mut Xdp = program.try_into().map_err(failed)?;
        program.load().map_err(failed)
    } else {
        let program: &mut SchedClassifier = program.try_into().map_err(failed)?;
        program.load().map_err(failed)
    }
}

fn run(
    program: &Program,
    frame: &[u8],
    hook: Hook,
    repeat: u32,
    context: Option<&[u8]>,
) -> Result<TestRunResult, DatapathError> {
    let failed = |error| {
        let name = hook.asked_program();
        DatapathError::program(
            name,
            format!("cannot run a frame of {} bytes through {name}", frame.len()),
            error,
        )
    };
    let frame = &frame[..frame.len().min(LONGEST)];
    let options =
        TestRunOptions { data_in: Some(frame), ctx_in: context, repeat, ..TestRunOptions::default() };
    if hook == Hook::Xdp {
        let program: &Xdp = program.try_into().map_err(failed)?;
        program.test_run(options).map_err(failed)
    } else {
        let program: &SchedClassifier = program.try_into().map_err(failed)?;
        program.test_run(options).map_err(failed)
    }
}
