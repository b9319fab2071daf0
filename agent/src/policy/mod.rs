//! From documents to rules: packs, the host file, and what both compile to.

pub mod rule;
