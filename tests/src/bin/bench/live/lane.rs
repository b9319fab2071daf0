//! A lane: a cable from the sender to a receiver of its own, with one filter on it. All lanes stand at once, so that
//! bursts on them can be interleaved.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use nix::net::if_::if_nametoindex;
use portreeve_tests::lab::{Host, Lab};

use super::filter::Filter;
use crate::{
    agent, nft,
    policy::{self, OPEN_UDP},
    programs::{Plan, Programs},
    xdp_filter,
};

/// The receiver's end.
const INTERFACE: &str = "enp2s0";
const MAC: &str = "02:00:00:00:00:02";
/// The sender's end has this address, for those who answer.
const SENDER: &str = "192.0.2.1";
const SENDER_MAC: &str = "02:00:00:00:00:01";
const PEERS: &str = "198.51.100.0/24";

/// More datagrams than a socket's queue takes.
const FILLS: u32 = 1_000;

/// What a receiver has counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// Frames that came out of the cable.
    pub(super) frames: u64,
    /// Segments that reached TCP.
    pub(super) segments: u64,
    /// Datagrams that reached a socket; nobody reads it, so there is no room for them.
    pub(super) datagrams: u64,
}

/// One lane.
pub(super) struct Lane {
    /// Whose filter.
    pub(super) filter: Filter,
    /// Its rules.
    pub(super) rules: usize,
    /// The sender's end of the cable, in the sender's namespace.
    pub(super) interface: u32,
    receiver: Host,
    // What holds the filter in place, and the socket that is never read.
    _sink: Option<Programs>,
    _socket: std::net::UdpSocket,
}

impl Lane {
    /// Plugs the cable in and puts the filter up.
    pub(super) fn build(
        lab: &Lab,
        sender: &Host,
        number: usize,
        filter: Filter,
        rules: usize,
    ) -> Result<Self> {
        let far = format!("lane{number}");
        let receiver = lab.host(&format!("r{number}")).interface(INTERFACE).mac(MAC).wired_to(sender, &far);
        let receiver = receiver.addr("192.0.2.10/24").addr("2001:db8:1::10/64").route(PEERS, SENDER).up()?;
        // Frames of XDP reach a veth only where it polls, which it does for a program or for GRO.
        receiver.run(["ethtool", "-K", INTERFACE, "gro", "on"])?.ok()?;
        let neighbour = ["ip", "neighbour", "replace", SENDER, "lladdr", SENDER_MAC, "dev", INTERFACE];
        receiver.run(neighbour)?.ok()?;
        let socket = receiver.within(|| Ok(std::net::UdpSocket::bind(("192.0.2.10", OPEN_UDP))?))?;
        let interface = sender.within(|| Ok(if_nametoindex(far.as_str())?))?;
        let mut sink = None;
        match filter {
            Filter::None => {}
            Filter::Empty => sink = Some(drop_all(&receiver)?),
            Filter::Xdp | Filter::Tc => portreeve(lab, &receiver, filter, rules)?,
            Filter::XdpTools => {
                let pins = lab.bpffs().join(format!("xdp-filter-{number}"));
                xdp_filter::attach(&receiver, INTERFACE, rules, &pins)?;
            }
            Filter::Nft(form) => {
                let text = nft::ruleset(form, rules, INTERFACE);
                load(lab, &receiver, &["nft", "-f"], &text)?;
            }
            Filter::Iptables => {
                load(lab, &receiver, &["iptables-restore"], &nft::iptables(rules))?;
            }
        }
        Ok(Self { filter, rules, interface, receiver, _sink: sink, _socket: socket })
    }

    /// Lets a flow of datagrams be an answered one.
    pub(super) fn establish(&self, sender: &Host, programs: &mut Programs, datagram: &[u8]) -> Result<()> {
        let Self { _socket: socket, .. } = self;
        programs.plan(&Plan { interface: self.interface, ..Plan::default() })?;
        sender.within(|| programs.send(datagram, 1))?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
        let (_, peer) = socket.recv_from(&mut [0; 64]).context("the first datagram does not arrive")?;
        ensure!(peer.to_string() == "198.51.100.7:40000", "a datagram of {peer}");
        socket.send_to(&[0; 18], peer).context("the answer can't leave")?;
        // A datagram that waits to be read is in no counter; one that finds the queue full is.
        sender.within(|| programs.send(datagram, FILLS))
    }

    /// What has arrived so far.
    pub(super) fn counts(&self) -> Result<Counts> {
        self.receiver.within(counts)
    }

    /// Does something in the receiver's namespace.
    pub(super) fn receiver(&self) -> &Host {
        &self.receiver
    }
}

/// Of the calling thread's namespace.
pub(super) fn counts() -> Result<Counts> {
    let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
    let device = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{INTERFACE}:")));
    let frames = device.and_then(|line| line.split_whitespace().nth(1)).context("no such interface")?;
    let snmp = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let datagrams = column(&snmp, "Udp:", "InDatagrams")? + column(&snmp, "Udp:", "RcvbufErrors")?;
    let segments = column(&snmp, "Tcp:", "InSegs")?;
    Ok(Counts { frames: frames.parse()?, segments, datagrams })
}

fn column(snmp: &str, protocol: &str, name: &str) -> Result<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with(protocol)).map(str::split_whitespace);
    let (mut names, values) = (lines.next().context("no names")?, lines.next().context("no values")?);
    let place = names.position(|it| it == name).with_context(|| format!("no {name}"))?;
    let mut values = values;
    Ok(values.nth(place).context("no value")?.parse()?)
}

fn drop_all(receiver: &Host) -> Result<Programs> {
    let mut programs = Programs::load()?;
    receiver.within(|| programs.sink(if_nametoindex(INTERFACE)?))?;
    Ok(programs)
}

/// The agent puts its programs up and ends; they stay.
fn portreeve(lab: &Lab, receiver: &Host, filter: Filter, rules: usize) -> Result<()> {
    let hook = if filter == Filter::Xdp { "xdp" } else { "tc" };
    let head = format!(
        "[host]\nname = \"bench\"\ninterfaces = [\"{INTERFACE}\"]\n\
         [enforcement]\ningress = \"enforce\"\negress = \"enforce\"\nhook = \"{hook}\"\n[state]\nadoption = \"0s\"\n"
    );
    let file = lab.dir().join(format!("{}.toml", receiver.name()));
    agent::write(&file, &policy::text(&head, rules))?;
    agent::enforce(receiver, &file)?;
    Ok(())
}

fn load(lab: &Lab, receiver: &Host, command: &[&str], text: &str) -> Result<()> {
    let file = lab.dir().join(format!("{}.rules", receiver.name()));
    agent::write(&file, text)?;
    let path = file.to_string_lossy();
    receiver.run(command.iter().copied().chain([&*path]))?.ok()?;
    Ok(())
}
