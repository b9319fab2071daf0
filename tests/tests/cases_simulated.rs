//! Every verdict case whose packs are built in, judged by the kernel's own lines over a simulated set of tables.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ipnet::IpNet;
use portreeve::{
    image::{Image, Slots, simulation::Simulation},
    policy::{self, Catalogue},
};
use portreeve_common::Decision;
use portreeve_tests::case::{Case, Expect};

/// As many as the kernel's clock mostly has.
const TICKS_PER_SECOND: u64 = 250;

#[test]
fn every_case_gets_its_verdict() {
    let catalogue = Catalogue::load(None).unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for case in Case::all().unwrap() {
        judged += 1;
        let decision = judge(&case, &catalogue);
        let wanted = matches!(case.expect, Expect::Pass);
        if decision.passes() != wanted {
            wrong.push(format!("{}: {decision:?}, wanted {:?}: {}", case.id, case.expect, case.why));
        }
    }
    assert!(wrong.is_empty(), "{} of {judged} wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("{judged} cases judged");
}

/// The verdict on the last of a case's frames.
fn judge(case: &Case, catalogue: &Catalogue) -> Decision {
    let text = case.host_toml().unwrap();
    let today = "2026-11-21".parse().unwrap();
    let policy = policy::compile(&case.id, &text, catalogue, today)
        .unwrap_or_else(|report| panic!("{}\n{text}", report.render(false)));
    let protected: Vec<IpNet> = case.host.addresses.iter().map(|address| on_its_link(*address)).collect();
    let image = Image::compile(&policy, &protected, &mut Slots::default(), TICKS_PER_SECOND).unwrap();
    let simulation = Simulation::new(image);
    let verdicts =
        case.frames().into_iter().map(|step| simulation.judge(step.bytes.as_slice(), step.direction));
    verdicts.last().unwrap()
}

/// The hosts of the cases have the usual prefix lengths.
fn on_its_link(address: std::net::IpAddr) -> IpNet {
    IpNet::new(address, if address.is_ipv4() { 24 } else { 64 }).unwrap()
}
