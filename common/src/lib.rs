//! The decision core: what a packet is, what the policy says of it, and what is counted.
//!
//! The kernel programs and user space run these very lines, in two steps. [`look`] reads a packet, which implements
//! [`Packet`]; [`decide()`] judges what was seen by policy and state, which implement [`Tables`].
#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(feature = "user"), forbid(unsafe_code))]
#![expect(
    clippy::cast_possible_truncation,
    reason = "words are packed from fields and unpacked by shifts: what is cut off is another field"
)]

pub mod packet;
pub mod parse;
pub mod sight;

pub mod decide;
pub mod dns;
pub mod quick;
pub mod reason;
pub mod tables;

pub mod class;
pub mod clause;
pub mod direction;
pub mod names;
pub mod page;
pub mod service;
pub mod settings;
pub mod switch;

pub mod counter;
pub mod flow;
pub mod seed;
pub mod table;
pub mod trace;

mod address;
pub mod hash;
pub mod number;

pub use address::Address;
pub use decide::{Decision, decide};
pub use direction::Direction;
pub use packet::{Packet, Snapped};
pub use reason::Reason;
pub use service::Service;
pub use sight::{Sight, look};
pub use tables::Tables;
