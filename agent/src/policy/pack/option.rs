//! What a role can be told: typed options, their defaults, and the values that a host gives them.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::Deserialize;

use super::{condition::Condition, role::Role};
use crate::policy::{ports, version::Version};

/// An option of a role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    /// What host files call it.
    pub name: String,
    /// What values it takes.
    #[serde(rename = "type")]
    pub kind: OptionKind,
    /// The values of a choice.
    #[serde(default)]
    pub choices: Vec<String>,
    /// A host file has to set it.
    #[serde(default)]
    pub required: bool,
    /// A host file may also write it beside `pack` and `role`, since it says what the host is.
    #[serde(default)]
    pub beside: bool,
    /// The value where a host file sets none; without one the option stays unset.
    #[serde(default)]
    pub default: Option<toml::Value>,
    /// Defaults that depend on the options above this one; the first that holds wins.
    #[serde(default)]
    pub default_when: Vec<DefaultWhen>,
    /// What it changes.
    pub help: String,
}

/// A default under a condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultWhen {
    /// On the options that are declared above.
    pub when: Condition,
    /// The default then.
    pub value: toml::Value,
}

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    /// true or false.
    Flag,
    /// One of the listed words.
    Choice,
    /// 1 to 65535.
    Port,
    /// As the vendor counts.
    Version,
    /// Of a module that counts by itself, without cumulative updates.
    Module,
    /// An IP address.
    Address,
}

/// An option's value, of the option's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// true or false.
    Flag(bool),
    /// One of the listed words.
    Choice(String),
    /// 1 to 65535.
    Port(u16),
    /// As the vendor counts.
    Version(Version),
    /// An IP address.
    Address(IpAddr),
}

impl OptionKind {
    /// What an error says should stand there.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Choice => "one of its choices, in quotes",
            Self::Port => "a port number",
            Self::Version | Self::Module => "a version in quotes",
            Self::Address => "an IP address in quotes",
        }
    }
}

impl OptionSpec {
    /// Reads a value of this option from a pack.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn read(&self, value: &toml::Value) -> Result<Value, String> {
        match (self.kind, value) {
            (OptionKind::Flag, toml::Value::Boolean(flag)) => Ok(Value::Flag(*flag)),
            (OptionKind::Port, toml::Value::Integer(number)) => self.number(*number),
            (kind, toml::Value::String(text)) if kind != OptionKind::Flag => self.text(text),
            (kind, other) => Err(format!("must be {}, not {}", kind.expected(), other.type_str())),
        }
    }

    /// A value that would be right, as people write it.
    #[must_use]
    pub fn example(&self) -> String {
        if let Some(default) = &self.default {
            return default.to_string();
        }
        match self.kind {
            OptionKind::Flag => "true".into(),
            OptionKind::Choice => format!("\"{}\"", self.choices.join("\" or \"")),
            OptionKind::Port => "8080".into(),
            OptionKind::Version => "\"10.3.6\" or \"10.3.0 CU3\"".into(),
            OptionKind::Module => "\"2.10.0\"".into(),
            OptionKind::Address => "\"192.0.2.1\"".into(),
        }
    }

    /// A value from a number.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn number(&self, number: i64) -> Result<Value, String> {
        match self.kind {
            OptionKind::Port => ports::port(number).map(Value::Port).map_err(|error| error.to_string()),
            kind @ (OptionKind::Flag
            | OptionKind::Choice
            | OptionKind::Version
            | OptionKind::Module
            | OptionKind::Address) => Err(format!("must be {}, not a number", kind.expected())),
        }
    }

    /// A value from a text.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn text(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            OptionKind::Choice if self.choices.iter().any(|choice| choice == text) => {
                Ok(Value::Choice(text.into()))
            }
            OptionKind::Choice => Err(format!("`{text}` is not one of its choices")),
            OptionKind::Version => text.parse().map(Value::Version).map_err(|error| format!("{error}")),
            OptionKind::Module => module(text).map(Value::Version),
            OptionKind::Address => {
                text.parse().map(Value::Address).map_err(|_not_one| format!("`{text}` is not an IP address"))
            }
            kind @ (OptionKind::Flag | OptionKind::Port) => {
                Err(format!("must be {}, not a string", kind.expected()))
            }
        }
    }
}

fn module(text: &str) -> Result<Version, String> {
    let version: Version =
        text.parse().map_err(|_not_one| format!("`{text}` is not a version like \"2.10.0\""))?;
    if version.is_updated() {
        return Err(format!("`{text}`: a module has no cumulative updates"));
    }
    Ok(version)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Choice(word) => write!(f, "\"{word}\""),
            Self::Port(port) => write!(f, "{port}"),
            Self::Version(version) => write!(f, "\"{version}\""),
            Self::Address(address) => write!(f, "\"{address}\""),
        }
    }
}

/// The values that a role has on a host: what its file sets, and the defaults.
#[derive(Clone, Debug)]
pub struct Options<'p> {
    role: &'p Role,
    values: BTreeMap<String, Value>,
}

impl<'p> Options<'p> {
    /// Completes what a host file sets with the role's defaults.
    #[must_use]
    pub fn new(role: &'p Role, set: &BTreeMap<String, Value>) -> Self {
        let mut options = Self { role, values: set.clone() };
        for spec in &role.options {
            if !options.values.contains_key(&spec.name)
                && let Some(value) = options.default(spec)
            {
                options.values.insert(spec.name.clone(), value);
            }
        }
        options
    }

    fn default(&self, spec: &OptionSpec) -> Option<Value> {
        let special = spec.default_when.iter().find(|special| special.when.judge(self).holds);
        let value = special.map(|special| &special.value).or(spec.default.as_ref())?;
        // `verify` has read every default of the pack, so an error can't come here.
        spec.read(value).ok()
    }

    /// The value of an option; `None` where it is not set and has no default.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The value of a port option.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<u16> {
        match self.get(name)? {
            Value::Port(port) => Some(*port),
            Value::Flag(_) | Value::Choice(_) | Value::Version(_) | Value::Address(_) => None,
        }
    }

    /// The value of an address option.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        match self.get(name)? {
            Value::Address(address) => Some(*address),
            Value::Flag(_) | Value::Choice(_) | Value::Version(_) | Value::Port(_) => None,
        }
    }

    /// All words that a choice may have.
    #[must_use]
    pub fn choices(&self, name: &str) -> &'p [String] {
        self.role.option(name).map_or(&[], |spec| &spec.choices)
    }
}
