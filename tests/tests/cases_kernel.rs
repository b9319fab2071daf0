//! Every verdict case whose packs are built in, judged by the kernel: ingress by XDP and by TC, egress by TC. Needs root.

use anyhow::Result;
use portreeve::datapath::traced::Traced;
use portreeve_tests::case::Loaded;

#[test]
fn every_case_gets_its_verdict_by_xdp() -> Result<()> {
    judge_all(true)
}

#[test]
fn every_case_gets_its_verdict_by_tc() -> Result<()> {
    judge_all(false)
}

fn judge_all(native: bool) -> Result<()> {
    let cases = Loaded::new()?.judge_all(&[0], |traced, _, step, at| {
        let hook = Traced::hook(step.direction, native);
        Ok(traced.judge(&step.bytes, u32::try_from(step.bytes.len())?, hook, at)?.0)
    })?;
    let hook = if native { "XDP" } else { "TC" };
    println!("{cases} cases judged, ingress by {hook}");
    Ok(())
}
