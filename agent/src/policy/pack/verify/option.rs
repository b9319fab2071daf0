//! Options: their defaults, the ports that they give, and conditions on them.

use super::{
    super::{Condition, OptionKind, OptionSpec, Role, condition::Test},
    Checks,
};
use crate::policy::{host::suggest, version::Version};

impl<'p> Checks<'p> {
    pub(super) fn option(&mut self, role: &Role, index: usize, spec: &'p OptionSpec, at: &str) {
        if (spec.kind == OptionKind::Choice) == spec.choices.is_empty() {
            let help = "a choice lists its `choices`, other types have none";
            self.say("choices", format!("{at}: choices belong to a choice"), help);
        }
        self.repeated("choices", &format!("{at}: choice"), &spec.choices);
        if spec.required && spec.default.is_some() {
            let message = format!("{at}: is required, so its default is never used");
            self.say("default", message, "leave out `default` or `required`");
        }
        let wrong = |value| spec.read(value).err().map(|error| format!("{at}: default {error}"));
        if let Some(message) = spec.default.as_ref().and_then(wrong) {
            self.say("default", message, spec.example());
        }
        for (number, special) in spec.default_when.iter().enumerate() {
            let step = ("default_when", number);
            if let Some(message) = wrong(&special.value) {
                self.say_in(step, "value", message, &spec.example());
            }
            let above = role.options.get(..index).unwrap_or_default();
            for name in special.when.names() {
                if role.option(name).is_some() && !above.iter().any(|option| option.name == name) {
                    let message = format!("{at}: its default depends on `{name}`, which stands below it");
                    self.say_in(step, "when", message, "move the option below that one");
                }
            }
            self.path.push(step);
            self.condition(role, &special.when, at);
            self.path.pop();
        }
    }

    pub(super) fn port_option(&mut self, role: &Role, name: Option<&str>, at: &str) {
        let Some(name) = name else { return };
        if role.option(name).is_none_or(|spec| spec.kind != OptionKind::Port || spec.default.is_none()) {
            let ports = role.options.iter().filter(|spec| spec.kind == OptionKind::Port);
            let known: Vec<_> = ports.map(|spec| &spec.name).collect();
            let message = format!("{at}: role {} has no port option `{name}` with a default", role.name);
            self.say("port_option", message, suggest(name, &known, "port options"));
        }
    }

    pub(super) fn condition(&mut self, role: &Role, condition: &Condition, at: &str) {
        for (name, test) in &condition.tests {
            let Some(spec) = role.option(name) else {
                let known: Vec<_> = role.options.iter().map(|option| &option.name).collect();
                let message = format!("{at}: tests the unknown option `{name}` of role {}", role.name);
                self.say("when", message, suggest(name, &known, "options"));
                continue;
            };
            match test {
                Test::OneOf(values) | Test::Not(values) => {
                    for error in values.iter().filter_map(|value| spec.read(value).err()) {
                        self.say("when", format!("{at}: option {name} {error}"), spec.example());
                    }
                }
                Test::AtLeast(versions) | Test::Below(versions) => self.versions(spec, versions, at),
            }
        }
        for alternative in &condition.any {
            self.condition(role, alternative, at);
        }
    }

    fn versions(&mut self, spec: &OptionSpec, versions: &[Version], at: &str) {
        let (problem, help) = match spec.kind {
            OptionKind::Version => return,
            // Feature and main releases are lines of their own; a module has one line.
            OptionKind::Module if versions.len() == 1 => return,
            OptionKind::Module => ("is a module, which has one threshold", "write a single version"),
            OptionKind::Flag | OptionKind::Choice | OptionKind::Port | OptionKind::Address => {
                ("is not a version", "at_least and below compare versions")
            }
        };
        self.say("when", format!("{at}: option {} {problem}", spec.name), help);
    }
}
