//! Preflight on interfaces of the lab: what it sees of drivers, links and programs of others. Needs root.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{Agent, Host, Lab, Output};
use serde_json::Value;

/// A host file for an interface, judged by a hook.
fn host_file(lab: &Lab, interface: &str, hook: &str) -> Result<PathBuf> {
    let path = lab.dir().join(format!("{interface}-{hook}.toml"));
    let text = format!(
        "[host]\nname = \"edge\"\ninterfaces = [\"{interface}\"]\n[enforcement]\nhook = \"{hook}\"\n[[role]]\n\
         pack = \"machinemetrics-edge\"\nrole = \"mm-edge\"\npeers = {{ dns_servers = [\"192.0.2.53\"] }}\n"
    );
    fs::write(&path, text)?;
    Ok(path)
}

fn preflight(host: &Host, instance: &str, words: &[&str]) -> Result<(Output, Value)> {
    let program = Agent::program()?;
    let bpffs = host.lab().bpffs();
    let flags = ["--json", "--instance", instance, "--bpffs", &bpffs.to_string_lossy()];
    let output = host.run([&*program.to_string_lossy(), "preflight"].iter().chain(words).chain(&flags))?;
    let json = serde_json::from_str(&output.stdout).with_context(|| output.to_string())?;
    Ok((output, json))
}

/// The levels of a check on a subject.
fn levels<'j>(json: &'j Value, subject: &str, check: &str) -> Vec<&'j str> {
    let findings = json["findings"].as_array().into_iter().flatten();
    let those = findings.filter(|finding| finding["subject"] == subject && finding["check"] == check);
    those.filter_map(|finding| finding["level"].as_str()).collect()
}

#[test]
fn a_driver_with_native_xdp_is_told_from_links_upon_links() -> Result<()> {
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface("enp2s0").addr("192.0.2.10/24").up()?;
    let (output, json) = preflight(&edge, "edge", &[&host_file(&lab, "enp2s0", "xdp")?.to_string_lossy()])?;
    ensure!(output.code == Some(0), "{output}");
    assert_eq!(levels(&json, "enp2s0", "native XDP"), ["ok"], "{output}");
    assert_eq!(levels(&json, "machine", "kernel"), ["ok"], "{output}");
    assert_eq!(levels(&json, "enp2s0", "clsact"), ["ok"], "{output}");
    edge.run(["ip", "link", "add", "br7", "type", "bridge"])?.ok()?;
    for (hook, level, code) in [("xdp", "refused", 2), ("auto", "warning", 0)] {
        let (output, json) = preflight(&edge, "edge", &[&host_file(&lab, "br7", hook)?.to_string_lossy()])?;
        assert_eq!((levels(&json, "br7", "kind"), output.code), (vec![level], Some(code)), "{output}");
    }
    Ok(())
}

#[test]
fn leftovers_and_trials() -> Result<()> {
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface("enp2s0").addr("192.0.2.10/24").up()?;
    let file = host_file(&lab, "enp2s0", "auto")?;
    edge.run(["tc", "qdisc", "add", "dev", "enp2s0", "clsact"])?.ok()?;
    let (output, json) = preflight(&edge, "edge", &[&file.to_string_lossy(), "--try"])?;
    assert_eq!(levels(&json, "enp2s0", "clsact"), ["warning"], "{output}");
    assert_eq!(
        levels(&json, "enp2s0", "trial of native XDP"),
        ["warning"],
        "an interface that is up: {output}"
    );
    edge.run(["ip", "link", "set", "enp2s0", "down"])?.ok()?;
    let (output, json) = preflight(&edge, "edge", &[&file.to_string_lossy(), "--try"])?;
    assert_eq!(levels(&json, "enp2s0", "trial of native XDP"), ["ok"], "{output}");
    let shown = edge.run(["ip", "link", "show", "enp2s0"])?.ok()?;
    ensure!(!shown.stdout.contains("xdp"), "the trial left its program: {shown}");
    Ok(())
}

#[test]
fn programs_of_others_are_named_and_our_own_are_not() -> Result<()> {
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface("enp2s0").addr("192.0.2.10/24").up()?;
    let file = host_file(&lab, "enp2s0", "xdp")?;
    let _daemon = Agent::new(&edge, &Agent::program()?)?.start(&file)?;
    let (output, json) = preflight(&edge, "edge", &[&file.to_string_lossy()])?;
    assert_eq!((levels(&json, "enp2s0", "foreign XDP"), output.code), (vec![], Some(0)), "{output}");
    // To another instance, this one is another's.
    let (output, json) = preflight(&edge, "other", &[&file.to_string_lossy()])?;
    assert_eq!((levels(&json, "enp2s0", "foreign XDP"), output.code), (vec!["refused"], Some(2)), "{output}");
    assert_eq!(levels(&json, "enp2s0", "foreign TC"), ["warning"], "{output}");
    ensure!(output.stdout.contains("`ingress_xdp`") && output.stdout.contains("`egress_tc`"), "{output}");
    Ok(())
}
