//! The kernel programs, loaded once and asked for one case after the other: the verifier takes longest.

use std::net::IpAddr;

use anyhow::{Context as _, Result, anyhow, ensure};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    datapath::{object::Sets, policy::Tables, traced::Traced},
    image::{Image, Slots},
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
/// Ticks between two cases, and two ways: what lived in one is long over in the next.
const APART: u64 = 1 << 36;

/// The programs, and all cases.
pub struct Loaded {
    cases: Vec<Case>,
    catalogue: Catalogue,
    /// The programs.
    pub traced: Traced,
    generation: u16,
    at: u64,
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
        Ok(Self { cases, catalogue, traced, generation: 1, at: 0 })
    }

    /// Judges all cases, each in several ways. `ask` says what becomes of one frame in one way at one time.
    ///
    /// # Errors
    /// `ask` fails, a case has another verdict than it wants, or another reason than it has in the way that `like` names
    /// for this way.
    pub fn judge_all(
        &mut self,
        like: &[usize],
        mut ask: impl FnMut(&mut Traced, usize, &Step, u64) -> Result<Reason>,
    ) -> Result<usize> {
        let mut wrong = Vec::new();
        for case in &self.cases {
            self.generation += 1;
            let image = image(case, &self.catalogue).with_context(|| case.id.clone())?;
            let posture = Posture::new(self.generation, Mode::Enforce, Mode::Enforce);
            self.traced.policy().write(self.generation, &Tables::from(&image))?;
            self.traced.policy().set_switch(Switch::settled(posture, posture))?;
            let frames = case.frames();
            let mut reasons = vec![Reason::Internal; like.len()];
            for (way, reason) in reasons.iter_mut().enumerate() {
                self.at += APART;
                for step in &frames {
                    let said = ask(&mut self.traced, way, step, self.at);
                    *reason = said.with_context(|| format!("{}, way {way}", case.id))?;
                }
            }
            let wanted = matches!(case.expect, Expect::Pass);
            for (way, (reason, like)) in reasons.iter().zip(like).enumerate() {
                if reason.passes() != wanted || reasons.get(*like) != Some(reason) {
                    let Case { id, expect, why, .. } = case;
                    wrong.push(format!("{id}, way {way}: {reason} of {reasons:?}, wanted {expect:?}: {why}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        Ok(self.cases.len())
    }
}

fn image(case: &Case, catalogue: &Catalogue) -> Result<Image> {
    let policy = policy::compile(&case.id, &case.host_toml()?, catalogue, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow!("{}", report.render(false)))?;
    let protected = case.host.addresses.iter().map(|address| on_its_link(*address));
    let protected = protected.collect::<Result<Vec<IpNet>, _>>()?;
    Ok(Image::compile(&policy, &protected, &mut Slots::default(), TICKS_PER_SECOND)?)
}

/// The hosts of the cases have the usual prefix lengths.
fn on_its_link(address: IpAddr) -> Result<IpNet, ipnet::PrefixLenError> {
    IpNet::new(address, if address.is_ipv4() { 24 } else { 64 })
}
