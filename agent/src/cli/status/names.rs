//! `portreeve status --names`: each name of the policy, its addresses, and what they are used for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use portreeve_common::{
    Address,
    dns::Hint,
    names::{LearnedName, NameId},
};
use serde::Serialize;

use super::{output, seconds};
use crate::{
    control::{ControlError, View},
    datapath::names::Names,
};

/// The names of a policy.
#[derive(Debug, Serialize)]
pub struct NamesJson {
    /// Each name, in order.
    pub names: Vec<NameJson>,
    /// How many messages of resolvers came to what.
    pub messages: BTreeMap<&'static str, u64>,
}

/// A name.
#[derive(Debug, Serialize)]
pub struct NameJson {
    /// As the policy states it.
    pub name: String,
    /// Whether the agent can ask for it: for a wildcard there is nothing to ask for, only answers teach its addresses.
    pub can_be_asked: bool,
    /// What it is known to be.
    pub addresses: Vec<AddressJson>,
}

/// An address of a name.
#[derive(Debug, Serialize)]
pub struct AddressJson {
    /// The address.
    pub address: String,
    /// The name that it was last answered for, if it is one of this pattern; below a wildcard it is the whole one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Who answered.
    pub resolver: String,
    /// Since when it is known.
    pub since: Timestamp,
    /// Until when it holds; while a flow to it lives, longer.
    pub until: Timestamp,
    /// Documented flows that go to it now.
    pub flows: BTreeSet<String>,
    /// Other names of the policy that share it.
    pub shared_with: Vec<String>,
}

pub(super) fn gather(view: &View) -> Result<NamesJson, ControlError> {
    let names = Names::open(&view.instance.pins)?;
    let learned = names.learned()?;
    let asked: BTreeMap<Address, Hint> = names.hints()?.into_iter().collect();
    let mut flows: BTreeMap<Address, BTreeSet<String>> = BTreeMap::new();
    for (key, state) in view.live()? {
        if let Some(flow) = view.image.flow(state.rule()) {
            flows.entry(*key.remote()).or_default().insert(flow.flow.clone());
        }
    }
    let of = |name: &String| {
        let id = NameId::of(name).word();
        let here = learned.iter().filter(|known| known.id == id);
        let addresses = here.map(|known| address(view, known, &learned, &asked, &flows)).collect();
        NameJson { name: name.clone(), can_be_asked: !name.starts_with('*'), addresses }
    };
    let messages = names.answers()?.into_iter().map(|(outcome, count)| (outcome.name(), count)).collect();
    Ok(NamesJson { names: view.image.names.iter().map(of).collect(), messages })
}

fn address(
    view: &View,
    known: &LearnedName,
    learned: &[LearnedName],
    asked: &BTreeMap<Address, Hint>,
    flows: &BTreeMap<Address, BTreeSet<String>>,
) -> AddressJson {
    let others = learned.iter().filter(|other| other.address == known.address && other.id != known.id);
    let names = view.image.names.iter();
    let shared = names.filter(|name| others.clone().any(|other| other.id == NameId::of(name).word()));
    AddressJson {
        address: known.address.to_string(),
        asked: asked
            .get(&known.address)
            .filter(|hint| hint.id == known.id)
            .and_then(Hint::name)
            .map(str::to_owned),
        resolver: known.resolver.to_string(),
        since: view.now.time_of(known.since),
        until: view.now.time_of(known.until),
        flows: flows.get(&known.address).cloned().unwrap_or_default(),
        shared_with: shared.cloned().collect(),
    }
}

pub(super) fn text(json: &NamesJson) -> String {
    let NamesJson { names, messages } = json;
    let mut table = output::table(&["name", "address", "resolver", "since", "until", "flows"]);
    for NameJson { name, can_be_asked, addresses } in names {
        if addresses.is_empty() {
            let why = if *can_be_asked { "not known yet" } else { "learned from answers only" };
            table.add_row([name.as_str(), why, "", "", "", ""]);
        }
        for known in addresses {
            let AddressJson { address, asked, resolver, since, until, flows, shared_with } = known;
            let below = asked.as_ref().filter(|asked| *asked != name).map(|asked| format!(" ({asked})"));
            let shared = if shared_with.is_empty() { "" } else { " (shared)" };
            let flows = flows.iter().cloned().collect::<Vec<_>>().join(", ");
            table.add_row([
                &format!("{name}{}", below.unwrap_or_default()),
                &format!("{address}{shared}"),
                resolver,
                &seconds(*since).to_string(),
                &seconds(*until).to_string(),
                &flows,
            ]);
        }
    }
    let counted = messages.iter().filter(|(_, count)| **count > 0);
    let counted: Vec<_> = counted.map(|(outcome, count)| format!("{outcome} {count}")).collect();
    format!("{}messages    {}\n", output::text(&mut table), counted.join(", "))
}
