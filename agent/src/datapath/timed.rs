//! The kernel programs loaded to be timed: as they would be attached, beside programs that do nothing.

use std::time::Duration;

use aya::{
    Ebpf, TestRun, TestRunOptions, TestRunResult,
    maps::PerCpuArray,
    programs::{Program, ProgramError, ProgramInfo, SchedClassifier, Xdp},
};
use nix::time::{ClockId, clock_gettime};
use portreeve_common::switch::{Mode, Posture, Switch};

use super::{
    DatapathError,
    map::failed,
    object::{self, Globals, Secret, Sets},
    pages::Pages,
    policy::{PolicyMaps, Tables},
};

/// Its generation: the first.
const GENERATION: u16 = 1;

/// A program that can be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    /// Nothing, at XDP.
    EmptyXdp,
    /// Nothing, at TC.
    EmptyTc,
    /// Ingress at XDP.
    Xdp,
    /// Ingress at TC.
    Ingress,
    /// Egress at TC.
    Egress,
}

impl Timing {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::EmptyXdp, Self::EmptyTc, Self::Xdp, Self::Ingress, Self::Egress];

    const fn is_xdp(self) -> bool {
        matches!(self, Self::EmptyXdp | Self::Xdp)
    }

    const fn program(self) -> &'static str {
        match self {
            Self::EmptyXdp => "empty_xdp",
            Self::EmptyTc => "empty_tc",
            Self::Xdp => "ingress_xdp",
            Self::Ingress => "ingress_tc",
            Self::Egress => "egress_tc",
        }
    }
}

/// What one run of a program gave.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The mean over its repetitions, in nanoseconds of this thread's time on a CPU: the kernel's own figure is cut off
    /// at whole ones, which is a tenth of what a program that does nothing takes.
    pub mean: f64,
    /// What the program returned last.
    pub returned: u32,
}

/// Programs and maps of their own, pinned nowhere; they are gone with this value.
pub struct Timed {
    ebpf: Ebpf,
    /// The policy's maps, to change it.
    pub policy: PolicyMaps,
}

impl Timed {
    /// Loads the programs with a policy, enforced both ways.
    ///
    /// # Errors
    /// The kernel refuses a program or a map.
    pub fn load(tables: &Tables<'_>, secret: Secret, sets: Sets) -> Result<Self, DatapathError> {
        let mut ebpf = object::load(&Globals::of_any(secret, sets), None)?;
        for timing in Timing::ALL {
            let name = timing.program();
            let failed = |error| DatapathError::program(name, format!("cannot load {name}"), error);
            let program = ebpf.program_mut(name).ok_or(DatapathError::Missing(name))?;
            load(timing, program).map_err(failed)?;
        }
        let mut policy = PolicyMaps::from_maps(|name| {
            ebpf.take_map(object::in_object(name)).ok_or(DatapathError::Missing(name))
        })?;
        policy.write(GENERATION, tables)?;
        let posture = Posture::new(GENERATION, Mode::Enforce, Mode::Enforce);
        policy.set_switch(Switch::settled(posture, posture))?;
        Ok(Self { ebpf, policy })
    }

    /// Runs a frame `repeat` times in a row.
    ///
    /// # Errors
    /// The kernel does not run it.
    pub fn run(&self, timing: Timing, frame: &[u8], repeat: u32) -> Result<Run, DatapathError> {
        let name = timing.program();
        let failed =
            |error| DatapathError::program(name, format!("cannot run a frame through {name}"), error);
        let program = self.ebpf.program(name).ok_or(DatapathError::Missing(name))?;
        let run = if timing.is_xdp() {
            let program: &Xdp = program.try_into().map_err(failed)?;
            run(program, frame, repeat)
        } else {
            let program: &SchedClassifier = program.try_into().map_err(failed)?;
            run(program, frame, repeat)
        };
        run.map_err(failed)
    }

    /// Reads all counters of the ports, as commands do.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn pages(&self) -> Result<Pages, DatapathError> {
        let map = self.ebpf.map("PORTS").ok_or(DatapathError::Missing("PORTS"))?;
        let read = PerCpuArray::try_from(map).and_then(|map| Pages::read(&map));
        read.map_err(|error| failed("PORTS", error))
    }

    /// What the kernel calls a program.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn id(&self, timing: Timing) -> Result<u32, DatapathError> {
        self.info(timing).map(|info| info.id())
    }

    /// Instructions that the verifier followed in a program, where the kernel tells.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn verified(&self, timing: Timing) -> Result<Option<u32>, DatapathError> {
        self.info(timing).map(|info| info.verified_instruction_count())
    }

    fn info(&self, timing: Timing) -> Result<ProgramInfo, DatapathError> {
        let name = timing.program();
        let failed = |error| DatapathError::program(name, format!("cannot look at {name}"), error);
        let program = self.ebpf.program(name).ok_or(DatapathError::Missing(name))?;
        if timing.is_xdp() {
            let program: &Xdp = program.try_into().map_err(failed)?;
            program.info().map_err(failed)
        } else {
            let program: &SchedClassifier = program.try_into().map_err(failed)?;
            program.info().map_err(failed)
        }
    }
}

/// Runs a frame through a program, `repeat` times in a row.
///
/// # Errors
/// The kernel does not run it.
pub fn run<P>(program: &P, frame: &[u8], repeat: u32) -> Result<Run, ProgramError>
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::default() };
    let begin = on_cpu()?;
    let returned = program.test_run(options)?.return_value;
    let took = on_cpu()?.saturating_sub(begin);
    Ok(Run { mean: took.as_secs_f64() * 1e9 / f64::from(repeat.max(1)), returned })
}

/// How long this thread has been on a CPU.
fn on_cpu() -> Result<Duration, ProgramError> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map(Duration::from).map_err(|errno| ProgramError::IOError(errno.into()))
}

fn load(timing: Timing, program: &mut Program) -> Result<(), ProgramError> {
    if timing.is_xdp() {
        let program: &mut Xdp = program.try_into()?;
        program.load()
    } else {
        let program: &mut SchedClassifier = program.try_into()?;
        program.load()
    }
}
