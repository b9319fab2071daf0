//! Network namespaces, servers and clients for the privileged suites and the demo.

pub mod lab;
