//! What happens in the plant: documented and undocumented attempts, by real clients, all at once.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use portreeve_tests::lab::{self, Output, Port};

use super::{
    act::Mode,
    plant::{CLOCK, EDGE, FORGOTTEN, IEM, NAME, OUTSIDE, Plant, RESOLVER},
};

/// What the intruder tries besides the forgotten service: the ports that scanners try first.
pub(super) const SCANNED: [u16; 4] = [22, 23, 80, 502];

/// One attempt to reach something.
struct Attempt {
    who: &'static str,
    does: String,
    documented: bool,
    act: fn(&Plant) -> Result<Reached>,
}

/// Whether it got there, in a client's words.
struct Reached {
    yes: bool,
    says: String,
}

/// Makes all attempts, shows what came of each, and compares it with what should have.
pub(super) fn play(plant: &Plant, mode: Mode) -> Result<()> {
    println!("\n  {:<9} {:<50} {:<11} {:<8} took", "who", "does", "documented", "result");
    let attempts = attempts();
    let results: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = attempts.iter().map(|attempt| scope.spawn(|| timed(attempt, plant))).collect();
        running.into_iter().map(|attempt| attempt.join()).collect()
    });
    let mut surprises = Vec::new();
    for (attempt, result) in attempts.iter().zip(results) {
        let Attempt { who, does, documented, act: _ } = attempt;
        let (reached, took) = match result {
            Ok(result) => result.with_context(|| format!("{who} {does}"))?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let result = if reached.yes { "passed" } else { "dropped" };
        let word = if *documented { "yes" } else { "no" };
        println!(
            "  {who:<9} {does:<50} {word:<11} {result:<8} {:.2} s  {}",
            took.as_secs_f64(),
            reached.says
        );
        let expected = *documented || mode == Mode::Observe;
        if reached.yes != expected {
            surprises.push(format!("{who} {does}: {result}"));
        }
    }
    if !surprises.is_empty() {
        bail!("not as it should be in {}: {}", mode.name(), surprises.join("; "));
    }
    Ok(())
}

fn timed(attempt: &Attempt, plant: &Plant) -> Result<(Reached, Duration)> {
    let begin = Instant::now();
    let reached = (attempt.act)(plant)?;
    Ok((reached, begin.elapsed()))
}

fn attempts() -> Vec<Attempt> {
    let documented = |who, does: String, act| Attempt { who, does, documented: true, act };
    let undocumented = |who, does: String, act| Attempt { who, does, documented: false, act };
    vec![
        documented("operator", format!("opens https://{EDGE}/"), |plant| {
            page(lab::fetch(&plant.operator, &format!("https://{EDGE}/")))
        }),
        documented("edge", format!("opens https://{NAME}/ by its name"), |plant| {
            page(lab::fetch(&plant.edge, &format!("https://{NAME}/")))
        }),
        documented("edge", format!("opens https://{IEM}:9443/"), |plant| {
            page(lab::fetch(&plant.edge, &format!("https://{IEM}:9443/")))
        }),
        documented("edge", format!("opens https://{IEM}:9444/"), |plant| {
            page(lab::fetch(&plant.edge, &format!("https://{IEM}:9444/")))
        }),
        documented("edge", format!("looks up {NAME}"), |plant| {
            page(lab::lookup(&plant.edge, RESOLVER, NAME, "A"))
        }),
        documented("edge", "asks the time server".into(), |plant| {
            let asked = lab::offset(&plant.edge, CLOCK)?;
            Ok(Reached { yes: asked.success(), says: clock(&asked) })
        }),
        undocumented("intruder", format!("opens https://{EDGE}/"), |plant| {
            page(lab::fetch(&plant.intruder, &format!("https://{EDGE}/")))
        }),
        undocumented("intruder", format!("opens http://{EDGE}:{FORGOTTEN}/"), |plant| {
            page(lab::fetch(&plant.intruder, &format!("http://{EDGE}:{FORGOTTEN}/")))
        }),
        undocumented("intruder", format!("scans {SCANNED:?} and {FORGOTTEN} of {EDGE}"), |plant| {
            let ports: Vec<_> = SCANNED.into_iter().chain([FORGOTTEN]).collect();
            Ok(answers(&lab::scan(&plant.intruder, EDGE, &ports)?))
        }),
        undocumented("intruder", format!("pings {EDGE}"), |plant| {
            let reply = lab::ping(&plant.intruder, EDGE)?;
            Ok(Reached { yes: reply.success(), says: String::new() })
        }),
        undocumented("edge", format!("opens https://{OUTSIDE}/"), |plant| {
            page(lab::fetch(&plant.edge, &format!("https://{OUTSIDE}/")))
        }),
    ]
}

/// What a client got, or the last thing that it complained of.
fn page(got: Result<Output>) -> Result<Reached> {
    let got = got?;
    let says = if got.success() { &got.stdout } else { &got.stderr };
    Ok(Reached { yes: got.success(), says: says.lines().last().unwrap_or_default().to_owned() })
}

/// chronyd's line about the clock, without its own time before it.
fn clock(output: &Output) -> String {
    let line = output.stderr.lines().rfind(|line| line.contains("wrong by")).unwrap_or_default();
    line.split_once("Z ").map_or(line, |(_time, said)| said).to_owned()
}

/// A scan got there if any port answered.
fn answers(ports: &BTreeMap<u16, Port>) -> Reached {
    let open: Vec<_> =
        ports.iter().filter(|(_, state)| **state == Port::Open).map(|(port, _)| port).collect();
    let silent = ports.values().filter(|state| **state == Port::Filtered).count();
    let says = format!("open {open:?}, no answer from {silent} of {}", ports.len());
    Reached { yes: silent < ports.len(), says }
}
