//! The benchmark's own kernel programs: loaded from their own object, told what to do by a plan.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader, TestRun, TestRunOptions, include_bytes_aligned,
    maps::{Array, ProgramArray},
    programs::{ProgramFd, TestRunAttrs, Xdp, loaded_programs, xdp::XdpMode},
};
use portreeve::datapath::timed::{self, Run};

static OBJECT: &[u8] = include_bytes_aligned!(env!("BENCH_PROGRAMS"));

const NAMES: [&str; 5] = ["send", "varied", "nothing", "sink", "one_lru"];
/// Frames that the kernel makes at once; the receiver takes as many in one poll.
const BATCH: u32 = 64;
/// `ALLOWED` of the program with one LRU map has an entry for each port.
const RULE: u32 = 1;

/// Where frames go and whom they come from; see the kernel programs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// Where frames leave; 0: they are made and dropped.
    pub(crate) interface: u32,
    /// Source ports, from 1,024 on.
    pub(crate) ports: u32,
    /// Source addresses, from `first` on.
    pub(crate) addresses: u32,
    /// In the last byte (IPv4) or the last word (IPv6).
    pub(crate) first: u32,
    /// Packets in a row from one source; 0: frames stay as they are.
    pub(crate) each: u32,
    /// Sources at random.
    pub(crate) random: bool,
    /// Whom varied frames go to.
    pub(crate) target: u32,
}

/// The loaded object.
pub(crate) struct Programs {
    ebpf: Ebpf,
}

impl Programs {
    /// Loads it.
    pub(crate) fn load() -> Result<Self> {
        let mut ebpf = EbpfLoader::new().load(OBJECT).context("can't load the benchmark's programs")?;
        for name in NAMES {
            xdp_mut(&mut ebpf, name)?.load().with_context(|| format!("can't load {name}"))?;
        }
        Ok(Self { ebpf })
    }

    /// What frames are made from now on, beginning with the first source.
    pub(crate) fn plan(&mut self, plan: &Plan) -> Result<()> {
        let Plan { interface, ports, addresses, first, each, random, target } = *plan;
        let words = [interface, ports, addresses, first, each, u32::from(random), 0, target];
        let map = self.ebpf.map_mut("PLAN").context("no plan")?;
        Ok(Array::<_, [u32; 8]>::try_from(map)?.set(0, words, 0)?)
    }

    /// Sends so many frames as real ones; the thread has to be in the namespace of the interface.
    pub(crate) fn send(&self, frame: &[u8], count: u32) -> Result<()> {
        let attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let options =
            TestRunOptions { data_in: Some(frame), repeat: count, attrs, ..TestRunOptions::default() };
        self.xdp("send")?.test_run(options).context("can't send")?;
        Ok(())
    }

    /// Runs a frame through one of them.
    pub(crate) fn run(&self, name: &str, frame: &[u8], repeat: u32) -> Result<(f64, u32)> {
        run(self.xdp(name)?, frame, repeat)
    }

    /// Makes one of them a target of varied frames.
    pub(crate) fn target_own(&mut self, number: u32, name: &str) -> Result<()> {
        let program = self.xdp(name)?.fd()?.try_clone()?;
        self.set_target(number, &program)
    }

    /// Makes any loaded program a target of varied frames.
    pub(crate) fn target(&mut self, number: u32, id: u32) -> Result<()> {
        let program = loaded_programs().flatten().find(|program| program.id() == id);
        self.set_target(number, &program.context("the program has gone")?.fd()?)
    }

    fn set_target(&mut self, number: u32, program: &ProgramFd) -> Result<()> {
        let map = self.ebpf.map_mut("TARGETS").context("no targets")?;
        Ok(ProgramArray::try_from(map)?.set(number, program, 0)?)
    }

    /// Lets the program with one LRU map accept a port.
    pub(crate) fn allow(&mut self, port: u16) -> Result<()> {
        let map = self.ebpf.map_mut("LRU_ALLOWED").context("no ports")?;
        Ok(Array::<_, u32>::try_from(map)?.set(port.into(), RULE, 0)?)
    }

    /// Attaches the one that drops all; the thread has to be in the interface's namespace.
    pub(crate) fn sink(&mut self, interface: u32) -> Result<()> {
        xdp_mut(&mut self.ebpf, "sink")?.attach_to_if_index(interface, XdpMode::Driver)?;
        Ok(())
    }

    fn xdp(&self, name: &str) -> Result<&Xdp> {
        let program = self.ebpf.program(name).with_context(|| format!("no program {name}"))?;
        Ok(program.try_into()?)
    }
}

/// Runs a frame through a program: mean nanoseconds, and its verdict.
pub(crate) fn run(program: &Xdp, frame: &[u8], repeat: u32) -> Result<(f64, u32)> {
    let Run { mean, returned } = timed::run(program, frame, repeat)?;
    Ok((mean, returned))
}

fn xdp_mut<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
    Ok(program.try_into()?)
}
