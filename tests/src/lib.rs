//! Frames and verdict cases as values; network namespaces, servers and clients for the privileged suites and the demo.

pub mod answer;
pub mod frame;
#[cfg(feature = "agent")]
pub mod fuzz;
#[cfg(feature = "agent")]
pub mod generator;
#[cfg(feature = "agent")]
pub mod model;
#[cfg(feature = "agent")]
pub mod policy;
#[cfg(feature = "agent")]
pub mod step;

#[cfg(feature = "agent")]
pub mod case;

pub mod gateway;
pub mod lab;
pub mod traffic;
