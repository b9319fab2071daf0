//! What a vendor documents, as data: roles, their options and peers, flows, and what must never pass.

pub mod condition;
pub mod flow;
pub mod keys;
pub mod lint;
pub mod never;
pub mod option;
pub mod role;
mod verify;

use std::collections::BTreeSet;

use serde::Deserialize;

pub use self::{
    condition::{Condition, Judgement},
    flow::{Flow, PeerRef, Protocol, To},
    never::{Never, Scope},
    option::{OptionKind, OptionSpec, Options, Value},
    role::{NetworkSpec, PeerSpec, Role},
};
use super::rule::Kind;

/// One document's roles and flows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// What host files call it.
    pub name: String,
    /// Who wrote the document.
    pub vendor: String,
    /// The document's title, or what it is about where it has none.
    pub title: String,
    /// The document's file name.
    pub document: String,
    /// Every row of the document, as flows count them.
    #[serde(default)]
    pub rows: Vec<String>,
    /// How the document is read, and what it leaves out.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the document leaves open.
    #[serde(default)]
    pub open: Vec<String>,
    /// Options that have to be the same in all roles of a host.
    #[serde(default)]
    pub shared: Vec<String>,
    /// In the order of the document.
    #[serde(rename = "role")]
    pub roles: Vec<Role>,
    /// In the order of the document.
    #[serde(rename = "flow")]
    pub flows: Vec<Flow>,
    /// What may not pass, whatever else a host does.
    #[serde(default, rename = "never")]
    pub nevers: Vec<Never>,
}

/// Why a text is no pack.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Not TOML, or not the pack language.
    #[error("{file}: {source}")]
    Form {
        /// The file, or the name of a pack that is built in.
        file: String,
        /// With line and column.
        source: Box<toml::de::Error>,
    },
    /// Well formed, but it contradicts itself.
    #[error("{file}: {}", problems.join("; "))]
    Contradiction {
        /// The file, or the name of a pack that is built in.
        file: String,
        /// One sentence each.
        problems: Vec<String>,
    },
}

impl Pack {
    /// Reads and checks a pack; `file` is for messages.
    ///
    /// # Errors
    /// Text that is not the pack language, and references to what the pack doesn't have.
    pub fn parse(file: &str, text: &str) -> Result<Self, PackError> {
        let pack: Self = toml::from_str(text)
            .map_err(|source| PackError::Form { file: file.into(), source: Box::new(source) })?;
        let problems = verify::problems(&pack);
        if problems.is_empty() {
            return Ok(pack);
        }
        let problems = problems.into_iter().map(|problem| problem.message).collect();
        Err(PackError::Contradiction { file: file.into(), problems })
    }

    /// The role of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The flows of a role, in the order of the document.
    pub fn flows_of<'p>(&'p self, role: &'p str) -> impl Iterator<Item = &'p Flow> {
        self.flows.iter().filter(move |flow| flow.role == role)
    }

    /// The rows of the document that no documented flow stands for: statements, and what other rows carry out.
    #[must_use]
    pub fn rows_without_flow(&self) -> Vec<&str> {
        let documented = self.flows.iter().filter(|flow| flow.kind == Kind::Documented);
        let covered: BTreeSet<&str> = documented.flat_map(|flow| row_parts(&flow.row)).collect();
        self.rows.iter().map(String::as_str).filter(|row| !covered.contains(row)).collect()
    }
}

/// The rows that a flow's `row` names: `S1/T1` stands in two, `mirror T1.1` is the other end of one.
pub(crate) fn row_parts(row: &str) -> impl Iterator<Item = &str> {
    row.strip_prefix("mirror").unwrap_or(row).split(['/', '+']).map(str::trim).filter(|part| !part.is_empty())
}
