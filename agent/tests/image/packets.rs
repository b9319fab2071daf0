//! Rules and packets by chance.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, PacketBuilder};
use ipnet::IpNet;
use portreeve::policy::{
    self, Rule,
    rule::{Peers, Ports, Service},
};
use portreeve_common::Direction;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::rules::bare;

/// A packet that begins a flow.
#[derive(Clone, Debug)]
pub(crate) struct First {
    pub(crate) direction: Direction,
    pub(crate) kind: Carried,
    pub(crate) remote: IpAddr,
    pub(crate) source_port: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Carried {
    Tcp(u16),
    Udp(u16),
    Echo,
    Protocol(u8),
}

impl First {
    pub(crate) fn frame(&self) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let builder = match self.remote {
            IpAddr::V4(remote) => {
                let ends = ordered(self.direction, Ipv4Addr::new(192, 0, 2, 10), remote);
                builder.ipv4(ends[0].octets(), ends[1].octets(), 64)
            }
            IpAddr::V6(remote) => {
                let ends = ordered(self.direction, "2001:db8:1::10".parse().unwrap(), remote);
                builder.ipv6(ends[0].octets(), ends[1].octets(), 64)
            }
        };
        let mut bytes = Vec::new();
        match self.kind {
            Carried::Tcp(port) => builder.tcp(self.source_port, port, 1, 1024).syn().write(&mut bytes, &[]),
            Carried::Udp(port) => builder.udp(self.source_port, port).write(&mut bytes, &[1, 2]),
            Carried::Echo if self.remote.is_ipv4() => {
                builder.icmpv4_echo_request(self.source_port, 1).write(&mut bytes, &[])
            }
            Carried::Echo => builder.icmpv6_echo_request(self.source_port, 1).write(&mut bytes, &[]),
            Carried::Protocol(number) => builder.write(&mut bytes, IpNumber(number), &[0; 20]),
        }
        .unwrap();
        bytes
    }
}

/// Source and destination.
fn ordered<A>(direction: Direction, own: A, remote: A) -> [A; 2] {
    match direction {
        Direction::Ingress => [remote, own],
        Direction::Egress => [own, remote],
    }
}

fn direction() -> impl Strategy<Value = Direction> {
    select(Direction::ALL.to_vec())
}

/// Few, so that rules and packets meet.
fn port() -> impl Strategy<Value = u16> {
    select(vec![1, 5, 6, 7, 9, 443, 444, 65_535])
}

/// Close to one address of each family, so that prefixes overlap.
fn remote() -> impl Strategy<Value = IpAddr> {
    let v4 = vec(0_u32..27, 0..3).prop_map(|flips| {
        let bits = flips.iter().fold(0x0a00_0001, |bits, at| bits ^ 1 << at);
        IpAddr::from(Ipv4Addr::from(bits))
    });
    let v6 = vec(0_u32..124, 0..3).prop_map(|flips| {
        let bits = flips.iter().fold(0x2001_0db8 << 96 | 1, |bits: u128, at| bits ^ 1 << at);
        IpAddr::from(Ipv6Addr::from(bits))
    });
    prop_oneof![v4, v6]
}

fn prefix() -> impl Strategy<Value = IpNet> {
    let lengths = vec![0, 1, 3, 16, 32, 33, 48, 52, 56, 60, 64, 112, 120, 124, 126, 127, 128];
    (remote(), 0_u8..=32, select(lengths)).prop_map(|(address, short, long)| {
        IpNet::new(address, if address.is_ipv4() { short } else { long }).unwrap().trunc()
    })
}

fn peers() -> impl Strategy<Value = Peers> {
    let listed = vec(prefix(), 1..7).prop_map(|prefixes| Peers::Listed { prefixes, names: Vec::new() });
    prop_oneof![1 => Just(Peers::Any), 9 => listed]
}

fn service() -> impl Strategy<Value = Service> {
    let ports = || {
        vec((port(), port()), 1..3).prop_map(|ends| {
            let ranges = ends.into_iter().map(|(a, b)| a.min(b)..=a.max(b)).collect();
            Ports { destination: policy::ports::PortSet::new(ranges).ranges().to_vec(), source: None }
        })
    };
    prop_oneof![
        4 => ports().prop_map(Service::Tcp),
        2 => ports().prop_map(Service::Udp),
        2 => Just(Service::Echo),
        1 => select(vec![47, 132]).prop_map(Service::Protocol),
    ]
}

pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    (direction(), service(), peers()).prop_map(|(direction, service, peers)| bare(direction, service, peers))
}

pub(crate) fn first_packet() -> impl Strategy<Value = First> {
    let kind = prop_oneof![
        4 => port().prop_map(Carried::Tcp),
        2 => port().prop_map(Carried::Udp),
        2 => Just(Carried::Echo),
        1 => select(vec![47, 50, 132]).prop_map(Carried::Protocol),
    ];
    (direction(), kind, remote(), 30_000_u16..).prop_map(|(direction, kind, remote, source_port)| First {
        direction,
        kind,
        remote,
        source_port,
    })
}
