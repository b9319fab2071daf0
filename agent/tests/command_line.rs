//! What surrounds the commands: errors for programs, completions, manual pages, help.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use clap::CommandFactory as _;
use serde_json::Value;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
    let output = command.args(arguments).current_dir(golden).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn errors_are_json_where_json_is_read() {
    let broken = tempfile::NamedTempFile::new().unwrap();
    fs::write(&broken, "[host]\nnme = \"x\"\n[[role]]\npack = \"none\"\nrole = \"r\"\n").unwrap();
    let broken = broken.path().to_str().unwrap();
    for arguments in [
        ["rules", broken, "--json"].as_slice(),
        &["explain", broken, "in tcp 192.0.2.1 -> 1", "--json"],
        &["replay", broken, "none.pcap", "--json"],
    ] {
        let (code, stdout, stderr) = run(arguments);
        let error: Value = serde_json::from_str(&stderr).unwrap();
        assert_eq!((code, stdout.as_str(), &error["ok"]), (Some(2), "", &false.into()), "{arguments:?}");
        assert_eq!(error["diagnostics"][0]["message"], "unknown key `nme` in [host]", "{arguments:?}");
        assert_eq!(stderr.lines().count(), 1);
    }
    for (arguments, part) in [
        (["explain", "line4-edge.toml", "sideways", "--json"].as_slice(), "is not a packet"),
        (&["packs", "none", "--json"], "unknown pack `none`"),
        (&["replay", "line4-edge.toml", "none.pcap", "--simulate", "--json"], "none.pcap"),
        (&["check", "--json"], "HOST.toml"),
        (&["status", "--json", "--instance", "nobody", "--state-dir", "/nonexistent"], ""),
    ] {
        let (code, stdout, stderr) = run(arguments);
        let error: Value = serde_json::from_str(&stderr).unwrap();
        assert_eq!((code, stdout.as_str(), &error["ok"]), (Some(2), "", &false.into()), "{arguments:?}");
        assert!(error["error"].as_str().unwrap().contains(part), "{stderr}");
        assert_eq!(error.get("diagnostics"), None);
    }
    let (_, _, stderr) = run(&["rules", "none.toml", "--json"]);
    let one: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(one["error"], "none.toml: 1 error");
    let (code, stdout, stderr) = run(&["packs", "none"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.starts_with("portreeve: unknown pack `none`"), "{stderr}");
}

#[test]
fn every_shell_gets_completions() {
    for (shell, part) in
        [("bash", "complete -F _portreeve"), ("zsh", "#compdef portreeve"), ("fish", "complete -c portreeve")]
    {
        let (code, stdout, _) = run(&["completions", shell]);
        assert_eq!(code, Some(0));
        assert!(stdout.contains(part) && stdout.contains("explain"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    assert_eq!(run(&["man", "--out", out.to_str().unwrap()]).0, Some(0));
    let page = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(page("portreeve.1").contains("Exit codes"));
    let (_, completions, _) = run(&["completions", "bash"]);
    for command in portreeve::cli::Cli::command().get_subcommands() {
        let name = command.get_name();
        let page = page(&format!("portreeve-{name}.1"));
        for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("\\-\\-{}", flag.replace('-', "\\-"))), "{name} --{flag}");
            assert!(completions.contains(&format!("--{flag}")), "{name} --{flag}");
        }
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    let (_, help, _) = run(&["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("2  not done"), "{help}");
    let (_, help, _) = run(&["explain", "--help"]);
    assert!(help.contains("portreeve explain host.toml 'in tcp 198.51.100.7:40000 -> 443'"), "{help}");
    let (_, help, _) = run(&["replay", "--help"]);
    assert!(help.contains("select(.verdict == \"drop\")"), "{help}");
}

#[test]
fn a_pack_of_ones_own_is_linted() {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/clearscada.toml");
    let text = fs::read_to_string(&pack).unwrap();
    let (code, stdout, stderr) = run(&["packs", "--lint", pack.to_str().unwrap()]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.contains("clearscada.toml: fine"), "{stdout}");

    let broken = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    let wrong = text.replacen("direction = \"ingress\"", "direction = \"inbound\"", 1);
    fs::write(&broken, wrong.replacen("protocol = \"tcp\"", "protocl = \"tcp\"", 1)).unwrap();
    let path = broken.path().to_str().unwrap();
    let (code, stdout, stderr) = run(&["packs", "--lint", path]);
    assert!(code == Some(2) && stdout.ends_with("3 errors\n"), "{stdout}");
    for part in ["`inbound` is not a direction", "unknown key `protocl`", "did you mean `protocol`?", "^"] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
    let (code, stdout, _) = run(&["packs", "--lint", path, "--json"]);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &json["ok"]), (Some(2), &false.into()), "{stdout}");
    let (code, _, stderr) = run(&["packs", "--lint", "no-such.toml"]);
    assert!(code == Some(2) && stderr.contains("no-such.toml"), "{stderr}");
}
