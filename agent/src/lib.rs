//! Portreeve's library: policy, datapath, state, drift and export behind the `portreeve` command.
#![forbid(unsafe_code)]

pub mod cli;

pub mod diagnostic;
pub mod policy;

pub mod image;

pub mod capture;
pub mod datapath;

pub mod control;
pub mod instance;

mod crash;

pub mod daemon;
pub mod drift;
pub mod preflight;
