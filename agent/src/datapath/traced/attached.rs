//! Programs that are asked in front of an interface: what they say of frames that come by, for tests.

use aya::{
    maps::{MapError, PerCpuArray, PerCpuValues},
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp,
        tc::{self, NlOptions, TcAttachOptions},
        xdp::XdpMode,
    },
    util::nr_cpus,
};
use portreeve_common::{Reason, class::RuleId, trace::Trace};

use super::{Traced, failed};
use crate::datapath::{DatapathError, pins::Hook};

/// How classifiers get in front of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classifiers {
    /// By links, since Linux 6.6 (TCX).
    Links,
    /// As filters of a clsact qdisc, which is made for them. They stay until the interface goes.
    Filters,
}

/// As the programs have it.
type Scratch = [u8; 32];

impl Traced {
    /// Puts the programs of both directions in front of an interface.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach(&mut self, name: &str, ingress: Hook, by: Classifiers) -> Result<(), DatapathError> {
        let failed = |hook: Hook, error| {
            let program = hook.asked_program();
            DatapathError::program(program, format!("cannot attach {program} to {name}"), error)
        };
        if by == Classifiers::Filters {
            tc::qdisc_add_clsact(name).map_err(|error| failed(Hook::Egress, error.into()))?;
        }
        [ingress, Hook::Egress]
            .into_iter()
            .try_for_each(|hook| self.attach_one(name, hook, by).map_err(|error| failed(hook, error)))
    }

    fn attach_one(&mut self, name: &str, hook: Hook, by: Classifiers) -> Result<(), ProgramError> {
        let program = self.ebpf.program_mut(hook.asked_program()).ok_or(ProgramError::NotLoaded)?;
        if hook == Hook::Xdp {
            let program: &mut Xdp = program.try_into()?;
            return program.attach(name, XdpMode::Driver).map(drop);
        }
        let program: &mut SchedClassifier = program.try_into()?;
        let way = if hook == Hook::Egress { TcAttachType::Egress } else { TcAttachType::Ingress };
        match by {
            Classifiers::Links => {
                let first = TcAttachOptions::TcxOrder(LinkOrder::first());
                program.attach_with_options(name, way, first).map(drop)
            }
            Classifiers::Filters => {
                let options = TcAttachOptions::Netlink(NlOptions::default());
                let id = program.attach_with_options(name, way, options)?;
                // Dropped, it would take a filter off whatever interface has the same index where that happens. It holds
                // nothing but numbers.
                std::mem::forget(program.take_link(id)?);
                Ok(())
            }
        }
    }

    /// Asks for the verdict on the frame that comes by next, of `length` bytes.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn ask(&mut self, length: u32, now: u64) -> Result<(), DatapathError> {
        self.trace.set(0, Trace::at(now, length), 0).map_err(|error| failed("TRACE", error))
    }

    /// The verdict, once the frame has come by.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn answer(&self) -> Result<Option<(Reason, Option<RuleId>)>, DatapathError> {
        let read = || self.trace.get(&0, 0).map_err(|error| failed("TRACE", error));
        if read()?.reason().is_none() {
            return Ok(None);
        }
        // Another CPU may have been about to write it.
        let answer = read()?;
        Ok(answer.reason().map(|reason| (reason, answer.rule())))
    }

    /// Forgets what was read of frames by way of helpers.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn clear_scratch(&mut self) -> Result<(), DatapathError> {
        let mut clear = || -> Result<(), MapError> {
            let map = self.ebpf.map_mut("SCRATCH").ok_or(MapError::KeyNotFound)?;
            let zeros = vec![[0; 32]; nr_cpus().map_err(|(_, error)| MapError::IoError(error))?];
            let mut scratch: PerCpuArray<_, Scratch> = map.try_into()?;
            scratch.set(0, PerCpuValues::try_from(zeros).map_err(MapError::IoError)?, 0)
        };
        clear().map_err(|error| failed("SCRATCH", error))
    }

    /// Whether anything of a frame was read by way of a helper since then: what lay beyond its linear part, or its first
    /// buffer.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn has_scratch(&self) -> Result<bool, DatapathError> {
        let read = || -> Result<bool, MapError> {
            let map = self.ebpf.map("SCRATCH").ok_or(MapError::KeyNotFound)?;
            let scratch: PerCpuArray<_, Scratch> = map.try_into()?;
            Ok(scratch.get(&0, 0)?.iter().any(|piece| *piece != [0; 32]))
        };
        read().map_err(|error| failed("SCRATCH", error))
    }
}
