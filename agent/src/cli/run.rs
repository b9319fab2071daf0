//! `portreeve run`: the daemon.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;

use super::{CliResult, Global};
use crate::{
    control::{self, Begin, guard::Guard},
    daemon, policy,
};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The host file [default: the last good one]
    #[arg(long, value_name = "HOST.toml")]
    pub host: Option<PathBuf>,
    /// The host file to begin with where no last good policy can be used
    #[arg(long, value_name = "HOST.toml", conflicts_with = "host")]
    pub fallback: Option<PathBuf>,
    /// Where to serve /metrics, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9469", value_parser = address)]
    pub metrics: Metrics,
    /// Only report what another hand has changed in the kernel
    #[arg(long)]
    pub no_repair: bool,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics(pub Option<SocketAddr>);

/// Makes the policy current, and watches until it is told to end.
///
/// Exit code 3 where there is no policy: no last good one, or with `--fallback` neither it nor that host file can be
/// compiled. A `--host` that can't be compiled is 2.
///
/// # Errors
/// The host file is broken, the kernel refuses, or a daemon runs already.
pub fn run(global: &Global, args: &RunArgs) -> CliResult {
    daemon::log::init();
    let (instance, catalogue) = (global.instance(), global.trusted_catalogue()?);
    // Before the lock: who tries a broken file beside a running daemon wants to hear of the file.
    if let Some(Err(report)) = args.host.as_deref().map(|host| policy::load_trusted(host, &catalogue)) {
        return Err(control::ControlError::Policy(report).into());
    }
    let _daemon = instance.lock_daemon().map_err(control::ControlError::from)?;
    let begin = match (&args.host, &args.fallback) {
        (Some(host), _) => Begin::With(host),
        (None, Some(host)) => Begin::LastGoodOr(host),
        (None, None) => Begin::LastGood,
    };
    control::start(&instance, &catalogue, begin)?;
    let guard = if args.no_repair { Guard::hands_off() } else { Guard::default() };
    daemon::run(&instance, &catalogue, guard, args.metrics.0)?;
    Ok(ExitCode::SUCCESS)
}

fn address(text: &str) -> Result<Metrics, String> {
    if text == "off" {
        return Ok(Metrics(None));
    }
    let address = text.parse().map_err(|_error| "write an address and a port like 127.0.0.1:9469, or off")?;
    Ok(Metrics(Some(address)))
}
