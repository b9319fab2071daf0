//! The kernel's programs and the model, in lockstep.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use portreeve::{
    datapath::{object::Sets, policy::Tables, traced::Traced},
    policy::host::StateLimits,
};
use portreeve_common::{
    Address, Reason,
    dns::Outcome,
    names::{LearnedName, NameId},
    switch::{Mode, Posture, Switch},
};
use portreeve_tests::{
    generator::Timed,
    model::{Model, Verdict},
    policy::ONLY_HERE,
    step::Step,
};

use crate::{ADOPTION, host::Site};

/// What the kernel says: the reason, and the flow that it names.
pub(crate) type Said = (Reason, Option<String>);

/// Modes of both directions, in turns. A verdict is the same in every
/// mode, but for flows that live because only the direction in which they began is observed.
const POSTURES: [[Mode; 2]; 5] = [
    [Mode::Enforce, Mode::Enforce],
    [Mode::Enforce, Mode::Enforce],
    [Mode::Enforce, Mode::Observe],
    [Mode::Observe, Mode::Observe],
    [Mode::Observe, Mode::Enforce],
];

/// The programs and the model, under policies that change.
pub(crate) struct Pair<'a> {
    sites: &'a [Site; 2],
    protected: &'a [IpNet],
    native: bool,
    generation: u16,
    kernel: Traced,
    model: Model,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(sites: &'a [Site; 2], protected: &'a [IpNet], native: bool) -> Result<Self> {
        // So many that no set is full of flows without connections: the model's tables have no sets.
        let limits = StateLimits { established: 1 << 20, ..StateLimits::default() };
        let kernel =
            Traced::load_on(&Tables::from(&sites[0].image), [0x5eed, 0xcafe], Sets::of(&limits), ONLY_HERE)?;
        let model = Model::new(&sites[0].policy, protected, ADOPTION);
        Ok(Self { sites, protected, native, generation: 1, kernel, model })
    }

    fn site(&self) -> &'a Site {
        &self.sites[usize::from(self.generation - 1) % 2]
    }

    pub(crate) fn change_policy(&mut self) -> Result<()> {
        self.generation += 1;
        let Site { policy, image } = self.site();
        let modes = POSTURES[usize::from(self.generation) % POSTURES.len()];
        let posture = Posture::new(self.generation, modes[0], modes[1]);
        self.kernel.policy().write(self.generation, &Tables::from(image))?;
        self.kernel.policy().set_switch(Switch::settled(posture, posture))?;
        self.model.replace(policy, self.protected, modes);
        Ok(())
    }

    /// What both have learned, and made of resolvers' messages, is the same.
    pub(crate) fn compare_names(&self) -> Result<BTreeMap<Outcome, u64>> {
        let kernel = self.kernel.names();
        let told = |name: LearnedName| (name.address, name.id, name.until);
        let mut learned: Vec<_> = kernel.learned()?.into_iter().map(told).collect();
        let wanted = self.model.learned().into_iter();
        let mut wanted: Vec<_> = wanted
            .map(|(address, pattern, until)| (Address::from(address), NameId::of(&pattern).word(), until))
            .collect();
        learned.sort_by_key(|(address, id, _)| (address.octets(), *id));
        wanted.sort_by_key(|(address, id, _)| (address.octets(), *id));
        ensure!(learned == wanted, "the kernel has learned {learned:?}, the model {wanted:?}");
        let outcomes = kernel.answers()?.into_iter().filter(|(_, count)| *count > 0).collect();
        ensure!(
            outcomes == *self.model.outcomes(),
            "the kernel counts {outcomes:?}, the model {:?}",
            self.model.outcomes()
        );
        Ok(outcomes)
    }

    pub(crate) fn judge(
        &mut self,
        Timed { at, step: Step { direction, bytes } }: &Timed,
    ) -> Result<(Said, Verdict)> {
        let hook = Traced::hook(*direction, self.native);
        let (reason, rule) = self.kernel.judge(bytes, u32::try_from(bytes.len())?, hook, *at)?;
        let flow = rule.map(|slot| self.site().image.flow(slot).context("a rule without a flow"));
        let flow = flow.transpose()?.map(|flow| flow.flow.clone());
        Ok(((reason, flow), self.model.judge(bytes, *direction, *at)))
    }
}

/// Whether both say the same.
pub(crate) fn agree((reason, flow): &Said, wanted: &Verdict) -> bool {
    let named = match flow {
        Some(flow) => wanted.flows.contains(flow),
        None => wanted.flows.is_empty(),
    };
    *reason == wanted.reason && named
}
