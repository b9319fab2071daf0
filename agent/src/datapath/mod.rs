//! The kernel side: loading the programs, writing the policy, attaching, counting, and proving what stands.

pub mod error;
pub mod object;

pub mod attach;
pub mod clsact;
pub mod foreign;
pub mod interface;
pub mod link;
pub mod others;
pub mod pins;
mod route;

pub mod clock;
pub mod embryonic;
mod map;
pub mod names;
pub mod pages;
pub mod policy;
pub mod reading;
pub mod seeds;
pub mod state;

pub mod timed;
pub mod traced;
pub mod trial;
pub mod verify;

pub use self::{error::DatapathError, pins::Pins};
