//! What the documents and the catalogue state, to be held against packs; each difference is a sentence.

mod condition;
mod document;
mod flow;
mod vocabulary;

use std::collections::BTreeMap;

use portreeve::policy::pack::Pack;
use serde_json::Value as Json;

/// A row of the fact list.
pub(crate) type Fact = Json;

/// The checked-in lists.
pub(crate) struct Facts {
    /// Every row.
    pub flows: Vec<Fact>,
    /// The packs that the catalogue names, each with its roles.
    pub vocabulary: BTreeMap<String, Json>,
    documents: BTreeMap<String, Json>,
}

impl Facts {
    /// Reads them.
    pub(crate) fn read() -> Self {
        Self {
            flows: serde_json::from_str(include_str!("flows.json")).unwrap(),
            vocabulary: serde_json::from_str(include_str!("vocabulary.json")).unwrap(),
            documents: serde_json::from_str(include_str!("documents.json")).unwrap(),
        }
    }

    /// Everything in which a pack differs from its document and the catalogue.
    ///
    /// `name` is the pack's name there, so that a pack that lost its name is a difference too.
    pub(crate) fn problems(&self, name: &str, pack: &Pack, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let words = &self.vocabulary[name];
        differs("name", &pack.name, name, &mut found);
        vocabulary::compare(pack, words, &mut found);
        let facts: Vec<_> = self.flows.iter().filter(|fact| fact["pack"] == name).collect();
        flow::compare_all(pack, &facts, words, &mut found);
        document::compare(pack, text, &self.documents[name], &mut found);
        found
    }
}

/// A sentence where two values are not the same.
fn differs<A, B>(what: &str, ours: &A, wanted: &B, found: &mut Vec<String>)
where
    A: std::fmt::Debug + PartialEq<B> + ?Sized,
    B: std::fmt::Debug + ?Sized,
{
    if ours != wanted {
        found.push(format!("{what}: {ours:?}, and the facts have {wanted:?}"));
    }
}

/// The strings of a list; none where there is no list.
fn strings(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}
