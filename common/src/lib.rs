//! The decision core: what a packet is, what the policy says of it, and what is counted.
//!
//! The kernel programs and user space run these very lines. A reader of packets implements [`Packet`], a holder
//! of policy and state implements [`Tables`], and [`decide`] does the rest.
#![no_std]

pub mod direction;

pub use direction::Direction;
