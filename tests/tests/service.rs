//! The service as systemd judges it: what a daemon that is taken over could still do.

use std::process::Command;

/// systemd's exposure in tenths: 2.5 is what we allow ourselves.
const THRESHOLD: u32 = 25;

#[test]
fn the_service_is_hardened() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist/portreeve.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", &format!("--threshold={THRESHOLD}"), unit]);
    let output = analyze.output().expect("systemd-analyze: `cargo xtask setup` brings it");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    println!("{last}");
    assert!(last.contains("exposure level"), "{said}");
    assert!(output.status.success(), "{said}");
}
