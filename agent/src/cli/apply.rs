//! `portreeve apply`: a host file becomes the policy in force.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::{CliResult, Global, output, status::seconds};
use crate::{
    control::{self, Applied, Wish},
    policy::host::duration,
};

/// Shorter, nobody can confirm in time; longer, everybody has forgotten it.
const CONFIRM: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The host file
    #[arg(value_name = "HOST.toml")]
    pub host: PathBuf,
    /// Go back to the policy before unless `portreeve confirm` comes within this time, like 120s
    #[arg(long, value_name = "TIME", value_parser = within)]
    pub confirm_within: Option<Duration>,
    /// Even if that cuts the session that this is typed in
    #[arg(long)]
    pub cut_me_off: bool,
    /// Even if it enforces what was observed, and packets of required flows would be dropped
    #[arg(long)]
    pub force: bool,
}

/// Makes the policy current, and says what is in force then.
///
/// # Errors
/// The host file is broken, the session would be cut, or the kernel refuses: what is in force goes on.
pub fn run(global: &Global, args: &ApplyArgs) -> CliResult {
    let wish = Wish { confirm_within: args.confirm_within, cut_me_off: args.cut_me_off, force: args.force };
    let applied = control::apply(&global.instance(), &global.trusted_catalogue()?, &args.host, &wish)?;
    if !applied.policy.report.diagnostics.is_empty() {
        output::show_report(&applied.policy.report);
    }
    output::print(&text(&applied))?;
    Ok(ExitCode::SUCCESS)
}

fn text(applied: &Applied) -> String {
    let Applied { policy, generation, new, rehearsed, until } = applied;
    let rules = policy.rules.len();
    let mut text = if *new {
        format!(
            "generation {generation} is in force: {rules} rules, {rehearsed} golden packets judged as they say\n"
        )
    } else {
        format!("generation {generation} has this policy already: {rules} rules\n")
    };
    if let Some(until) = until {
        let until = seconds(*until);
        text.push_str(&format!(
            "it goes back by itself at {until}, unless `portreeve confirm` comes before\n"
        ));
    }
    text
}

fn within(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text).filter(|time| CONFIRM.contains(time));
    time.ok_or_else(|| "write a time from 1s to 1h with its unit, like 120s or 5m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_has_a_second_to_an_hour() {
        assert_eq!(within("120s"), Ok(Duration::from_secs(120)));
        assert_eq!(within("5m"), Ok(Duration::from_secs(300)));
        for text in ["", "120", "0s", "2h", "x"] {
            assert!(within(text).is_err(), "{text}");
        }
    }
}
