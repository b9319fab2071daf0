//! Portreeve's library: policy, datapath, state, drift and export behind the `portreeve` command.
#![forbid(unsafe_code)]

pub mod capture;
pub mod policy;
