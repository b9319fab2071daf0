//! The kernel programs, loaded once and asked for one case after the other: the verifier takes longest.

use std::net::IpAddr;

use anyhow::{Context as _, Result, anyhow, ensure};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    datapath::{object::Sets, policy::Tables, traced::Traced},
    image::{FlowSlots, Image},
    policy::{self, Catalogue, host::StateLimits},
};
use portreeve_common::{
    Reason,
    switch::{Mode, Posture, Switch},
};

use super::{Case, Expect};
use crate::step::Step;

/// As many as the kernel's clock mostly has.
const TICKS_PER_SECOND: u64 = 250;
/// Ticks between two cases: what lived in one is long over in the next.
const APART: u64 = 1 << 40;

/// The programs, and all cases.
pub struct Loaded {
    cases: Vec<Case>,
    catalogue: Catalogue,
    /// The programs.
    pub traced: Traced,
    generation: u16,
}

impl Loaded {
    /// Loads them.
    ///
    /// # Errors
    /// A case can't be read, or the kernel refuses a program.
    pub fn new() -> Result<Self> {
        let (cases, catalogue) = (Case::all()?, Catalogue::built_in()?);
        let image = image(cases.first().context("no case")?, &catalogue)?;
        let traced = Traced::load(&Tables::from(&image), [1, 2], Sets::of(&StateLimits::default()))?;
        Ok(Self { cases, catalogue, traced, generation: 1 })
    }

    /// The reasons of all cases, in order. `ask` says what becomes of one frame at one time.
    ///
    /// # Errors
    /// `ask` fails, or a case has another verdict than it wants.
    pub fn judge_all(
        &mut self,
        mut ask: impl FnMut(&mut Traced, &Step, u64) -> Result<Reason>,
    ) -> Result<Vec<Reason>> {
        let (mut reasons, mut wrong) = (Vec::new(), Vec::new());
        for case in &self.cases {
            self.generation += 1;
            let image = image(case, &self.catalogue).with_context(|| case.id.clone())?;
            let posture = Posture::new(self.generation, Mode::Enforce, Mode::Enforce);
            self.traced.policy().write(self.generation, &Tables::from(&image))?;
            self.traced.policy().set_switch(Switch::settled(posture, posture))?;
            let at = u64::from(self.generation) * APART;
            let frames = case.frames();
            let said: Result<Vec<Reason>> =
                frames.iter().map(|step| ask(&mut self.traced, step, at)).collect();
            let said = said.with_context(|| case.id.clone())?;
            let reason = *said.last().context("a case without a packet")?;
            if reason.passes() != matches!(case.expect, Expect::Pass) {
                wrong.push(format!("{}: {reason}, wanted {:?}: {}", case.id, case.expect, case.why));
            }
            reasons.push(reason);
        }
        ensure!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), reasons.len(), wrong.join("\n"));
        Ok(reasons)
    }

    /// The ids of the cases that two runs judged for different reasons, and those.
    #[must_use]
    pub fn differing(&self, one: &[Reason], other: &[Reason]) -> Vec<String> {
        let pairs = self.cases.iter().zip(one.iter().zip(other)).filter(|(_, (one, other))| one != other);
        pairs.map(|(case, (one, other))| format!("{}: {one} and {other}: {}", case.id, case.why)).collect()
    }
}

fn image(case: &Case, catalogue: &Catalogue) -> Result<Image> {
    let policy = policy::compile(&case.id, &case.host_toml()?, catalogue, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow!("{}", report.render(false)))?;
    let protected = case.host.addresses.iter().map(|address| on_its_link(*address));
    let protected = protected.collect::<Result<Vec<IpNet>, _>>()?;
    Ok(Image::compile(&policy, &protected, &mut FlowSlots::default(), TICKS_PER_SECOND)?)
}

/// The hosts of the cases have the usual prefix lengths.
fn on_its_link(address: IpAddr) -> Result<IpNet, ipnet::PrefixLenError> {
    IpNet::new(address, if address.is_ipv4() { 24 } else { 64 })
}
