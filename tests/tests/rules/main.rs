//! What each kind of rule lets through and what it doesn't, on both families: one verdict in simulation, by the short way,
//! by XDP and by TC. Needs root.

mod broadcast;
mod dhcp;
mod ends;
mod ftp;
mod group;
mod igmp;
mod interface;
mod learned;
mod name;
mod ping;
mod protocol;
mod source_port;

mod chance;

mod ways;
