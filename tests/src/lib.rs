//! Frames and verdict cases as values; network namespaces, servers and clients for the privileged suites and the demo.

pub mod frame;
pub mod fuzz;
pub mod generator;
pub mod model;
pub mod policy;
pub mod step;

pub mod case;

pub mod gateway;
pub mod lab;
pub mod traffic;
