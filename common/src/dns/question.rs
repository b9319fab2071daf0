//! A question on its way to a resolver: what its answer will be known by.

use super::{Dns, HEADER, Learning, Outcome};
use crate::{
    flow::FlowKey,
    names::{KEY_BYTES, NameId},
};

/// How long an answer is waited for, in seconds: longer than resolvers' clients do.
pub const PATIENCE: u64 = 30;
/// The response bit, and the operation: 0 is a query (RFC 1035, section 4.1.1).
const OPCODE: u16 = 0x7800;
const RESPONSE: u16 = 0x8000;

/// Both ends and the transaction's number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueryKey {
    /// Client, resolver, ports, protocol.
    pub flow: FlowKey,
    /// The transaction's number.
    pub id: u64,
}

/// A question that waits for its answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The name's hash.
    pub name: u64,
    /// Type and class.
    pub kind: u64,
    /// Tick at which it was asked.
    pub asked: u64,
}

/// Where the parts of a question are.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// The transaction's number.
    pub(super) id: u16,
    /// Flags and operation.
    pub(super) flags: u16,
}

/// Keeps a question in mind.
#[inline(always)]
pub fn ask<L: Learning>(dns: &mut Dns, flow: &FlowKey, learning: &L) -> Outcome {
    let Some(asked) = header(dns) else { return dns.ended() };
    if asked.flags & (RESPONSE | OPCODE) != 0 {
        return Outcome::Malformed;
    }
    dns.hint.text = [0; KEY_BYTES];
    dns.hint.id = NameId::NONE.word();
    let Some(kind) = question(dns, 1, learning) else { return dns.ended() };
    dns.query = QueryKey { flow: *flow, id: asked.id.into() };
    let query = Query { name: dns.walk.hash, kind: kind.into(), asked: learning.now() };
    dns.name_it(learning);
    learning.remember(&dns.query, query, dns.hint.id != NameId::NONE.word());
    Outcome::Asked
}

/// The header of a message with one question.
#[inline(always)]
pub(super) fn header(dns: &Dns) -> Option<Asked> {
    if dns.number(4)? != 1 {
        return None;
    }
    Some(Asked { id: dns.number(0)?, flags: dns.number(2)? })
}

impl Asked {
    /// Whether it is an answer to a query.
    #[inline(always)]
    pub(super) const fn is_answer(&self) -> bool {
        self.flags & (RESPONSE | OPCODE) == RESPONSE
    }
}

/// Reads the question: its type and class. The name's hash and end are in the walk.
#[inline(always)]
pub(super) fn question<L: Learning>(dns: &mut Dns, keeps: u32, learning: &L) -> Option<u32> {
    let end = learning.read(dns, HEADER, keeps);
    if end == 0 { None } else { dns.long(end) }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of words; every bit pattern is a value.
unsafe impl aya::Pod for QueryKey {}
#[cfg(feature = "user")]
// SAFETY: as above.
unsafe impl aya::Pod for Query {}
