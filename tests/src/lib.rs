//! Frames and verdict cases as values; network namespaces, servers and clients for the privileged suites and the demo.

pub mod frame;
#[cfg(feature = "agent")]
pub mod generator;
#[cfg(feature = "agent")]
pub mod policy;
#[cfg(feature = "agent")]
pub mod step;

#[cfg(feature = "agent")]
pub mod case;

pub mod lab;
pub mod traffic;
