//! Steps: each is announced, shows that it lives while it runs, and tells how long it took.

use std::{
    fs::File,
    io::{IsTerminal, Write, stderr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Between two signs of life: on a terminal one line is written over, elsewhere lines are added.
const TERMINAL: Duration = Duration::from_secs(1);
const LOG: Duration = Duration::from_secs(10);

/// As much of a failed command's output as says why.
const TAIL: usize = 40;

/// Runs a command whose output only matters if it fails.
///
/// # Errors
/// It can't be started, or ends with another code than 0; the message holds the end of its output.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("  {what}");
    let output = output_file();
    let file = File::create(&output).with_context(|| format!("can't write {}", output.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let begin = Instant::now();
    let status = watch(command, &output, begin)?;
    let text = std::fs::read_to_string(&output).unwrap_or_default();
    std::fs::remove_file(&output).with_context(|| format!("can't remove {}", output.display()))?;
    if !status.success() {
        let lines: Vec<_> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n");
        bail!("{what}: {status}\n{last}");
    }
    eprintln!("    done in {}", seconds(begin.elapsed()));
    Ok(())
}

/// A time as people read it.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn watch(command: &mut Command, output: &Path, begin: Instant) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| format!("can't start {command:?}"))?;
    let terminal = stderr().is_terminal();
    let pause = if terminal { TERMINAL } else { LOG };
    let mut next = begin + pause;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > next {
            next += pause;
            show(terminal, begin.elapsed(), &last_line(output));
        }
        thread::sleep(Duration::from_millis(20));
    };
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(status)
}

fn show(terminal: bool, elapsed: Duration, line: &str) {
    const WIDTH: usize = 90;
    let line: String = line.chars().filter(|c| !c.is_control()).take(WIDTH).collect();
    if terminal {
        eprint!("\r\x1b[K    {} {line}", seconds(elapsed));
        // A line that is not shown at once is no sign of life, but no reason to stop either.
        drop(stderr().flush());
    } else {
        eprintln!("    {} {line}", seconds(elapsed));
    }
}

fn last_line(output: &Path) -> String {
    let text = std::fs::read(output).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// In the build folder, which every task may write to.
fn output_file() -> PathBuf {
    crate::cargo::target().join(format!("xtask-{}.log", std::process::id()))
}
