//! `cargo xtask demo`: an edge device in a plant network, first watched, then protected, by XDP and by TC.

mod act;
mod plant;
mod report;
mod traffic;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::Agent;

use self::{
    act::{Act, Hook, Mode},
    plant::Plant,
};
use crate::{
    build,
    setup::{self, Purpose},
    step,
};

/// What the demo takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show this program, instead of building one.
    #[arg(long, value_name = "FILE", conflicts_with = "without_agent")]
    program: Option<PathBuf>,
    /// Show the plant network alone: everything reaches everything.
    #[arg(long, hide = true)]
    without_agent: bool,
}

/// Plays it, and cleans up whatever happens.
///
/// # Errors
/// Something passed that should not have, or the other way round; or this isn't root.
pub(crate) fn main(args: &Args) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo loads programs into the kernel and makes namespaces, which needs root; run\n\n    sudo -E env \
         PATH=\"$PATH\" cargo xtask demo\n"
    );
    if args.without_agent {
        setup::ensure(&[Purpose::Demo])?;
        return unprotected();
    }
    setup::ensure(&[Purpose::Build, Purpose::Demo])?;
    let program = args.program.clone().map_or_else(build::agent, Ok)?;
    both(&program)
}

/// Plays it by either hook, with this program.
///
/// # Errors
/// As [`main`].
pub(crate) fn both(program: &Path) -> Result<()> {
    let begin = Instant::now();
    for hook in [Hook::Xdp, Hook::Tc] {
        play(hook, program).with_context(|| format!("the demo with hook = \"{}\" failed", hook.name()))?;
    }
    println!("\nThe demo went as it should ({}).", step::seconds(begin.elapsed()));
    Ok(())
}

/// The plant without Portreeve: what the other scenes are measured by.
fn unprotected() -> Result<()> {
    let begin = Instant::now();
    let plant = Plant::build()?;
    plant.introduce();
    traffic::play(&plant, Mode::Observe)?;
    println!("\nWithout Portreeve everything reaches everything ({}).", step::seconds(begin.elapsed()));
    Ok(())
}

/// One plant, one hook: observe, then enforce, then away with it.
fn play(hook: Hook, program: &Path) -> Result<()> {
    let begin = Instant::now();
    report::heading(&format!("A plant network, ingress by {}", hook.title()));
    let plant = Plant::build()?;
    plant.introduce();
    let agent = Agent::new(&plant.edge, program)?;
    let file = plant.host_file(hook)?;
    report::shell(&agent, &["check", &file.to_string_lossy()])?;
    let mut daemon = agent.start(&file)?;
    let act = Act { plant: &plant, agent: &agent, hook };
    if let Err(error) = act.observe().and_then(|()| act.enforce()) {
        eprintln!("\nthe agent's log:\n{}", daemon.log()?);
        return Err(error);
    }
    daemon.stop(portreeve_tests::lab::PATIENCE)?;
    act.leave()?;
    println!("\n  played in {}", step::seconds(begin.elapsed()));
    Ok(())
}
