//! The keys of the pack language: what each table may hold, and what a value of each key has to be.

use portreeve_common::Direction;
use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeValue, Error},
};

use super::{
    condition::Condition,
    flow::{self, Instead, PeerRef, Protocol, To},
    never::Scope,
    option::{DefaultWhen, OptionKind},
};
use crate::policy::{
    ports::PortSet,
    rule::{Kind, Need},
};

/// A key of one of the tables.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As packs write it.
    pub name: &'static str,
    /// A table without it is refused.
    pub required: bool,
    /// What may stand there, for people.
    pub form: &'static str,
    /// Where its value is one of a few words.
    pub words: &'static [&'static str],
    /// What its value has to be.
    pub(super) value: ValueOf,
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum ValueOf {
    /// A value that reads on its own.
    One(fn(Spanned<DeValue<'_>>) -> Result<(), Error>),
    /// A list of tables with these keys.
    Tables(&'static [Key]),
}

/// `ingress` or `egress`.
#[derive(Deserialize)]
struct Way(
    #[serde(deserialize_with = "flow::direction")]
    #[expect(dead_code, reason = "only whether it reads matters")]
    Direction,
);

const TEXT: &str = "a text in quotes";
const TEXTS: &str = "a list of texts, like [\"…\"]";
const FLAG: &str = "true or false";
const CONDITION: &str = "a condition, like { option = value } or { version = { at_least = \"10.3.6\" } }";
const PEERS: &str = "a list of the role's peers, \"any\", addresses, names or \"controller:…\"";
const PORT: &str = "a number from 1 to 65535";

/// The pack itself.
pub const PACK: &[Key] = &[
    must::<String>("name", TEXT),
    must::<String>("vendor", TEXT),
    must::<String>("title", TEXT),
    must::<String>("document", TEXT),
    may::<Vec<String>>("rows", TEXTS),
    may::<Vec<String>>("notes", TEXTS),
    may::<Vec<String>>("open", TEXTS),
    may::<Vec<String>>("shared", TEXTS),
    Key { required: true, ..tables("role", ROLE) },
    Key { required: true, ..tables("flow", FLOW) },
    tables("never", NEVER),
];

/// `[[role]]`.
pub const ROLE: &[Key] = &[
    must::<String>("name", TEXT),
    must::<String>("help", TEXT),
    may::<Vec<String>>("excludes", TEXTS),
    may::<String>("excludes_because", TEXT),
    tables("option", OPTION),
    tables("peer", PEER),
    tables("network", NETWORK),
    may::<Vec<String>>("controllers", TEXTS),
];

/// `[[role.option]]`.
pub const OPTION: &[Key] = &[
    must::<String>("name", TEXT),
    Key {
        words: &["flag", "choice", "port", "version", "module", "address"],
        ..must::<OptionKind>("type", "flag, choice, port, version, module or address")
    },
    may::<Vec<String>>("choices", TEXTS),
    may::<bool>("required", FLAG),
    may::<bool>("beside", FLAG),
    may::<toml::Value>("default", "a value of the option's type"),
    may::<Vec<DefaultWhen>>("default_when", "a list like [{ when = { … }, value = … }]"),
    must::<String>("help", TEXT),
];

/// `[[role.peer]]`.
pub const PEER: &[Key] = &[
    must::<String>("name", TEXT),
    must::<String>("help", TEXT),
    may::<bool>("required", FLAG),
    may::<bool>("private", FLAG),
    may::<String>("port_option", "the name of a port option"),
];

/// `[[role.network]]`.
pub const NETWORK: &[Key] = &[must::<String>("name", TEXT), must::<String>("help", TEXT)];

/// `[[flow]]`.
pub const FLOW: &[Key] = &[
    must::<String>("id", TEXT),
    must::<String>("role", "the name of a role"),
    must::<String>("row", TEXT),
    may::<String>("table", TEXT),
    DIRECTION,
    Key { required: true, ..PROTOCOL },
    may::<PortSet>("ports", "a list of numbers and ranges, like [80, \"8000-8010\"]"),
    may::<String>("port_option", "the name of a port option"),
    may::<u16>("source_port", PORT),
    may::<u16>("control_port", PORT),
    may::<Vec<To>>("to", "a list of own, broadcast, multicast groups, or options that hold a group"),
    must::<Vec<PeerRef>>("peers", PEERS),
    may::<Vec<Instead>>("instead", "a list like [{ when = { … }, peers = [ … ] }]"),
    may::<String>("network", "the name of a network of the role"),
    may::<Condition>("when", CONDITION),
    must::<String>("purpose", TEXT),
    Key {
        words: &["documented", "mirror", "implied"],
        ..may::<Kind>("kind", "documented, mirror or implied")
    },
    Key {
        words: &["required", "optional", "debug", "internal"],
        ..may::<Need>("need", "required, optional, debug or internal")
    },
    may::<String>("alias_of", "the id of another flow"),
];

/// `[[never]]`.
pub const NEVER: &[Key] = &[
    must::<String>("role", "the name of a role"),
    DIRECTION,
    PROTOCOL,
    may::<u16>("port", PORT),
    may::<String>("port_option", "the name of a port option"),
    must::<Vec<PeerRef>>("peers", PEERS),
    Key { words: &["host", "pack"], ..may::<Scope>("scope", "host or pack") },
    may::<bool>("site", FLAG),
    must::<String>("row", TEXT),
    must::<String>("because", TEXT),
];

const DIRECTION: Key = Key { words: &["ingress", "egress"], ..must::<Way>("direction", "ingress or egress") };

const PROTOCOL: Key =
    Key { words: &["tcp", "udp", "icmp", "igmp"], ..may::<Protocol>("protocol", "tcp, udp, icmp or igmp") };

const fn must<T: DeserializeOwned>(name: &'static str, form: &'static str) -> Key {
    Key { name, required: true, form, words: &[], value: ValueOf::One(reads::<T>) }
}

const fn may<T: DeserializeOwned>(name: &'static str, form: &'static str) -> Key {
    Key { name, required: false, form, words: &[], value: ValueOf::One(reads::<T>) }
}

const fn tables(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, required: false, form: "tables of their own", words: &[], value: ValueOf::Tables(keys) }
}

fn reads<T: DeserializeOwned>(value: Spanned<DeValue<'_>>) -> Result<(), Error> {
    T::deserialize(toml::de::ValueDeserializer::from(value)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::pack::{Flow, NetworkSpec, Never, OptionSpec, Pack, PeerSpec, Role};

    /// The fields that serde names when it meets one that it doesn't know.
    fn fields<T: DeserializeOwned>() -> Vec<String> {
        let error = toml::from_str::<T>("no_such_key = 1").err().unwrap().to_string();
        let list = error.split(", expected ").nth(1).unwrap_or_else(|| panic!("{error}"));
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_tables_of_keys_are_those_that_the_parser_knows() {
        let names = |keys: &[Key]| keys.iter().map(|key| key.name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(PACK), fields::<Pack>());
        assert_eq!(names(ROLE), fields::<Role>());
        assert_eq!(names(OPTION), fields::<OptionSpec>());
        assert_eq!(names(PEER), fields::<PeerSpec>());
        assert_eq!(names(NETWORK), fields::<NetworkSpec>());
        assert_eq!(names(FLOW), fields::<Flow>());
        assert_eq!(names(NEVER), fields::<Never>());
    }
}
