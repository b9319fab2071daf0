//! Which kernel gets which hook: what the agents in the machines said of themselves.

use std::fmt;

use serde_json::Value;

/// What a machine said on its console, as far as the task reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    kernel: String,
    covers: Vec<Cover>,
    /// Whether everything passed there.
    pub(super) passed: bool,
}

/// How one interface is covered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cover {
    /// As the host file asks for.
    wish: String,
    /// Direction, hook and state.
    directions: Vec<[String; 3]>,
}

impl Said {
    /// From the console.
    pub(super) fn read(console: &str) -> Self {
        let mut said = Self::default();
        for line in console.lines() {
            let Some((what, rest)) = line.trim().strip_prefix("vm: ").and_then(|line| line.split_once(' '))
            else {
                continue;
            };
            match what {
                "kernel" => rest.clone_into(&mut said.kernel),
                "hook" => said.covers.push(Cover { wish: rest.to_owned(), ..Cover::default() }),
                "status" => {
                    if let Some(cover) = said.covers.last_mut() {
                        cover.directions = directions(rest);
                    }
                }
                "end" => said.passed = rest == "0",
                _ => {}
            }
        }
        said
    }
}

fn directions(status: &str) -> Vec<[String; 3]> {
    let status: Value = serde_json::from_str(status).unwrap_or_default();
    let rows = status["interfaces"].as_array().cloned().unwrap_or_default();
    let word = |row: &Value, of: &str| row[of].as_str().unwrap_or("?").to_owned();
    rows.iter().map(|row| ["direction", "hook", "state"].map(|of| word(row, of))).collect()
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, covers, passed } = self;
        writeln!(f, "{kernel}: {}", if *passed { "everything passed" } else { "not everything passed" })?;
        for Cover { wish, directions } in covers {
            let shown: Vec<_> = directions
                .iter()
                .map(|[direction, hook, state]| format!("{direction} by {hook}, {state}"))
                .collect();
            let shown = if shown.is_empty() { "no status".to_owned() } else { shown.join("; ") };
            writeln!(f, "  hook = \"{wish}\": {shown}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn a_console_is_read() {
        let console = "SeaBIOS\r\nvm: kernel 6.1.0\r\ntest a ... ok\r\nvm: hook tc\r\n\
            vm: status {\"interfaces\": [{\"direction\": \"egress\", \"hook\": \"clsact\", \"state\": \"enforcing-tc\"}]}\r\n\
            vm: hook xdp\r\nportreeve: refused\r\nvm: status \r\nvm: end 1\r\n";
        let said = Said::read(console);
        assert!(!said.passed);
        assert_eq!(
            said.to_string(),
            "6.1.0: not everything passed\n  hook = \"tc\": egress by clsact, enforcing-tc\n  hook = \"xdp\": no status\n"
        );
        assert!(Said::read(&console.replace("end 1", "end 0")).passed);
        assert!(!Said::read("vm: kernel 6.1.0\nvm: hook tc").passed, "it stopped on the way");
    }
}
