//! What the demo shows: headings, commands with their output, and pieces of it.

use anyhow::Result;
use portreeve_tests::lab::{Agent, Output};

/// Begins a scene.
pub(super) fn heading(text: &str) {
    println!("\n=== {text}");
}

/// Runs a command of Portreeve's that must succeed, and shows it as on a shell.
///
/// # Errors
/// It fails; the message holds what it said.
pub(super) fn shell(agent: &Agent, words: &[&str]) -> Result<Output> {
    show(words, agent.command(words)?.ok()?)
}

/// The same for a command that tells of a find by this exit code.
///
/// # Errors
/// It ends with another code.
pub(super) fn shell_with_code(agent: &Agent, words: &[&str], code: i32) -> Result<Output> {
    let output = agent.command(words)?;
    anyhow::ensure!(output.code == Some(code), "expected the exit code {code}: {output}");
    show(words, output)
}

/// The same for a command that is refused with this exit code, and says why.
///
/// # Errors
/// It ends with another code.
pub(super) fn refused(agent: &Agent, words: &[&str], code: i32) -> Result<Output> {
    let output = agent.command(words)?;
    anyhow::ensure!(output.code == Some(code), "expected the exit code {code}: {output}");
    let output = show(words, output)?;
    output.stderr.lines().for_each(|line| println!("{}", format!("    {line}").trim_end()));
    Ok(output)
}

fn show(words: &[&str], output: Output) -> Result<Output> {
    println!("\n  $ portreeve {}    ({:.2} s)", words.join(" "), output.took.as_secs_f64());
    output.stdout.lines().for_each(|line| println!("{}", format!("    {line}").trim_end()));
    Ok(output)
}

/// Shows the series of these names, the largest values first.
pub(super) fn series(metrics: &str, names: &[&str], most: usize) {
    println!("\n  $ curl http://127.0.0.1:9464/metrics    (a piece)");
    for name in names {
        let mut lines: Vec<_> =
            metrics.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect();
        lines.sort_by(|one, other| value(other).total_cmp(&value(one)));
        lines.iter().take(most).for_each(|line| println!("    {line}"));
    }
}

/// A sample's value; a line that has none counts as nothing.
pub(super) fn value(line: &str) -> f64 {
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}
