//! Every verdict case whose packs are built in, judged by the kernel: ingress by XDP and by TC, egress by TC. Needs root.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
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
use portreeve_tests::case::{Case, Expect};

/// As many as the kernel's clock mostly has.
const TICKS_PER_SECOND: u64 = 250;
/// Ticks between two cases: what lived in one is long over in the next.
const APART: u64 = 1 << 40;

#[test]
fn every_case_gets_its_verdict_by_xdp() -> Result<()> {
    judge_all(true)
}

#[test]
fn every_case_gets_its_verdict_by_tc() -> Result<()> {
    judge_all(false)
}

fn judge_all(native: bool) -> Result<()> {
    let catalogue = Catalogue::built_in()?;
    let mut traced: Option<Traced> = None;
    let (mut judged, mut wrong) = (0, Vec::new());
    for case in Case::all()? {
        judged += 1;
        let reason =
            judge(&case, &catalogue, native, &mut traced, judged).with_context(|| case.id.clone())?;
        if reason.passes() != matches!(case.expect, Expect::Pass) {
            wrong.push(format!("{}: {reason}, wanted {:?}: {}", case.id, case.expect, case.why));
        }
    }
    ensure!(wrong.is_empty(), "{} of {judged} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let hook = if native { "XDP" } else { "TC" };
    println!("{judged} cases judged, ingress by {hook}");
    Ok(())
}

/// The verdict on the last of a case's frames. The programs are loaded once: the verifier takes longest.
fn judge(
    case: &Case,
    catalogue: &Catalogue,
    native: bool,
    loaded: &mut Option<Traced>,
    number: u16,
) -> Result<Reason> {
    let policy = policy::compile(&case.id, &case.host_toml()?, catalogue, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow::anyhow!("{}", report.render(false)))?;
    let protected = case.host.addresses.iter().map(|address| on_its_link(*address));
    let protected = protected.collect::<Result<Vec<IpNet>, _>>()?;
    let image = Image::compile(&policy, &protected, &mut Slots::default(), TICKS_PER_SECOND)?;
    let tables = Tables::from(&image);
    let traced = match loaded {
        Some(traced) => {
            let posture = Posture::new(number, Mode::Enforce, Mode::Enforce);
            traced.policy().write(number, &tables)?;
            traced.policy().set_switch(Switch::settled(posture, posture))?;
            traced
        }
        None => loaded.insert(Traced::load(&tables, [1, 2], Sets::of(&StateLimits::default()))?),
    };
    let mut last = None;
    for step in case.frames() {
        let hook = Traced::hook(step.direction, native);
        let length = u32::try_from(step.bytes.len())?;
        last = Some(traced.judge(&step.bytes, length, hook, u64::from(number) * APART)?.0);
    }
    last.context("a case without a packet")
}

/// The hosts of the cases have the usual prefix lengths.
fn on_its_link(address: IpAddr) -> Result<IpNet, ipnet::PrefixLenError> {
    IpNet::new(address, if address.is_ipv4() { 24 } else { 64 })
}
