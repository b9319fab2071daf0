//! When a flow is on: tests of a role's options, and the sentence that says how they went.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    option::{Options, Value},
    role::Role,
};
use crate::policy::version::Version;

/// All of its tests have to hold, and one of `any` where there are some.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, toml::Value>")]
pub struct Condition {
    /// An option and what it has to be.
    pub tests: Vec<(String, Test)>,
    /// Alternatives.
    pub any: Vec<Self>,
}

/// What an option has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// One of these values.
    OneOf(Vec<toml::Value>),
    /// Set to none of these values.
    Not(Vec<toml::Value>),
    /// A version that has what arrived in these.
    AtLeast(Vec<Version>),
    /// A version older than these.
    Below(Vec<Version>),
}

/// How a condition went, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the flow is on.
    pub holds: bool,
    /// The tests that decided, with the values that they saw.
    pub why: String,
}

impl Condition {
    /// Tests a role's options.
    #[must_use]
    pub fn judge(&self, options: &Options<'_>) -> Judgement {
        let mut held = Vec::new();
        let mut failed = Vec::new();
        for (option, test) in &self.tests {
            let value = options.get(option);
            if test.holds(value, options.choices(option)) {
                held.push(format!("{option} = {}", shown(value)));
            } else {
                failed.push(format!("needs {option} {}; it is {}", test.words(), shown(value)));
            }
        }
        let alternatives: Vec<_> = self.any.iter().map(|condition| condition.judge(options)).collect();
        match alternatives.iter().find(|judgement| judgement.holds) {
            Some(judgement) => held.push(judgement.why.clone()),
            None => failed.extend(either(&alternatives)),
        }
        let holds = failed.is_empty();
        let why = if holds { held } else { failed }.join(", ");
        Judgement { holds, why: if why.is_empty() { "always".into() } else { why } }
    }
}

impl Condition {
    /// The options that it tests.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let own = self.tests.iter().map(|(name, _)| name.as_str());
        own.chain(self.any.iter().flat_map(Self::names)).collect()
    }

    /// The tests in words, without those that every value of a choice passes; empty: always.
    #[must_use]
    pub fn words(&self, role: &Role) -> String {
        let choices = |name: &str| role.option(name).map_or(&[][..], |spec| &spec.choices);
        let asks =
            |name: &str, test: &Test| !matches!(test, Test::OneOf(_)) || !test.holds(None, choices(name));
        let tests = self.tests.iter().filter(|(name, test)| asks(name, test));
        let mut words: Vec<_> = tests.map(|(name, test)| format!("{name} {}", test.words())).collect();
        let alternatives: Vec<_> = self.any.iter().map(|condition| condition.words(role)).collect();
        if !alternatives.is_empty() {
            words.push(alternatives.join(" or "));
        }
        words.join(", ")
    }
}

fn either(alternatives: &[Judgement]) -> Option<String> {
    let whys: Vec<_> = alternatives.iter().map(|judgement| judgement.why.as_str()).collect();
    (!whys.is_empty()).then(|| whys.join(", or "))
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "unset".into(), ToString::to_string)
}

impl Test {
    /// An unset choice passes a test that takes every choice: such a test asks nothing of the host.
    fn holds(&self, value: Option<&Value>, choices: &[String]) -> bool {
        match (self, value) {
            (Self::OneOf(wanted), Some(value)) => wanted.iter().any(|want| same(want, value)),
            (Self::OneOf(wanted), None) => {
                let listed = |choice: &String| wanted.iter().any(|want| want.as_str() == Some(choice));
                !choices.is_empty() && choices.iter().all(listed)
            }
            (Self::Not(unwanted), Some(value)) => !unwanted.iter().any(|other| same(other, value)),
            (Self::AtLeast(since), Some(Value::Version(version))) => version.at_least(since),
            (Self::Below(limit), Some(Value::Version(version))) => !version.at_least(limit),
            (Self::Not(_), None) => true,
            (Self::AtLeast(_) | Self::Below(_), _) => false,
        }
    }

    fn words(&self) -> String {
        let list =
            |values: &[toml::Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let versions =
            |list: &[Version]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        match self {
            Self::OneOf(values) => list(values),
            Self::Not(values) => format!("other than {}", list(values)),
            Self::AtLeast(since) => format!("from {}", versions(since)),
            Self::Below(limit) => format!("before {}", versions(limit)),
        }
    }
}

fn same(want: &toml::Value, value: &Value) -> bool {
    match value {
        Value::Flag(flag) => want.as_bool() == Some(*flag),
        Value::Choice(word) => want.as_str() == Some(word),
        Value::Port(port) => want.as_integer() == Some((*port).into()),
        Value::Version(_) | Value::Address(_) => false,
    }
}

impl TryFrom<BTreeMap<String, toml::Value>> for Condition {
    type Error = String;

    fn try_from(table: BTreeMap<String, toml::Value>) -> Result<Self, String> {
        let mut condition = Self::default();
        for (key, value) in table {
            if key == "any" {
                condition.any = value.try_into().map_err(|error: toml::de::Error| error.to_string())?;
            } else {
                let test = test(value).map_err(|error| format!("condition on `{key}`: {error}"))?;
                condition.tests.push((key, test));
            }
        }
        Ok(condition)
    }
}

fn test(value: toml::Value) -> Result<Test, String> {
    let toml::Value::Table(table) = value else {
        return Ok(Test::OneOf(list(value)));
    };
    let mut entries = table.into_iter();
    let (Some((word, value)), None) = (entries.next(), entries.next()) else {
        return Err("a test has one word: not, at_least or below".into());
    };
    match word.as_str() {
        "not" => Ok(Test::Not(list(value))),
        "at_least" => versions(value).map(Test::AtLeast),
        "below" => versions(value).map(Test::Below),
        other => Err(format!("unknown test `{other}`: write not, at_least or below")),
    }
}

fn list(value: toml::Value) -> Vec<toml::Value> {
    match value {
        toml::Value::Array(values) => values,
        value @ (toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_)) => vec![value],
    }
}

fn versions(value: toml::Value) -> Result<Vec<Version>, String> {
    let text = |value: &toml::Value| value.as_str().map(str::to_owned).ok_or("a version stands in quotes");
    list(value).iter().map(|value| text(value)?.parse().map_err(|error| format!("{error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::pack::Role;

    const ROLE: &str = r#"
        name = "r"
        help = ""
        option = [
          { name = "offering", type = "choice", choices = ["OS", "Pro"], help = "" },
          { name = "setup", type = "choice", choices = ["ip", "dns"], default = "ip", help = "" },
          { name = "version", type = "version", help = "" },
          { name = "transport", type = "choice", choices = ["grpc", "remoting"], default = "remoting", help = "", default_when = [{ when = { version = { at_least = ["10.3.6", "10.3.0 CU3"] } }, value = "grpc" }] },
        ]
    "#;

    fn judge(condition: &str, set: &[(&str, Value)]) -> Judgement {
        let role: Role = toml::from_str(ROLE).unwrap();
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let table: BTreeMap<String, toml::Value> = toml::from_str(condition).unwrap();
        Condition::try_from(table).unwrap().judge(&Options::new(&role, &set))
    }

    fn choice(word: &str) -> Value {
        Value::Choice(word.into())
    }

    #[test]
    fn says_what_decided() {
        let both = "offering = [\"OS\"]\nsetup = { not = \"dns\" }";
        let on = judge(both, &[("offering", choice("OS"))]);
        assert_eq!((on.holds, on.why.as_str()), (true, "offering = \"OS\", setup = \"ip\""));
        let off = judge(both, &[("offering", choice("Pro")), ("setup", choice("dns"))]);
        assert!(!off.holds);
        assert_eq!(
            off.why,
            "needs offering \"OS\"; it is \"Pro\", needs setup other than \"dns\"; it is \"dns\""
        );
        assert_eq!(judge("", &[]), Judgement { holds: true, why: "always".into() });
    }

    #[test]
    fn an_unset_choice_passes_only_what_takes_them_all() {
        assert!(judge("offering = [\"OS\", \"Pro\"]", &[]).holds);
        assert!(!judge("offering = [\"OS\"]", &[]).holds);
    }

    #[test]
    fn alternatives_and_versions() {
        let either = "any = [{ version = { at_least = \"10.3.6\" } }, { setup = \"dns\" }]";
        let version = |text: &str| Value::Version(text.parse().unwrap());
        assert!(judge(either, &[("version", version("10.3.6"))]).holds);
        assert!(judge(either, &[("setup", choice("dns"))]).holds);
        let off = judge(either, &[("version", version("10.3.5"))]);
        assert_eq!(
            off.why,
            "needs version from 10.3.6; it is \"10.3.5\", or needs setup \"dns\"; it is \"ip\""
        );
        assert!(judge("version = { below = \"10.0.8\" }", &[("version", version("10.0.7"))]).holds);
        assert!(!judge("version = { below = \"10.0.8\" }", &[]).holds);
    }

    #[test]
    fn a_default_can_depend_on_another_option() {
        let version = |text: &str| Value::Version(text.parse().unwrap());
        for (set, transport) in [("10.3.6", true), ("10.3.0 CU3", true), ("10.3.5", false)] {
            assert_eq!(judge("transport = \"grpc\"", &[("version", version(set))]).holds, transport, "{set}");
        }
    }

    #[test]
    fn unknown_tests_are_refused() {
        let table = |text: &str| toml::from_str::<Condition>(text).unwrap_err().to_string();
        assert!(table("a = { over = 1 }").contains("unknown test `over`"));
        assert!(table("a = { at_least = \"new\" }").contains("is not a version"));
    }
}
