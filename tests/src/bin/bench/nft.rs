//! The same rules as one would write them for nftables and iptables.

use std::fmt::Write as _;

use super::policy::{LISTED, OPEN, OPEN_UDP, Rule, rules};

/// Ways to write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// A rule for each flow, one after the other.
    Linear,
    /// One look-up in a set of addresses and ports.
    Set,
    /// The set, at the netdev hook before the stack.
    Ingress,
    /// The set, behind the kernel's connection tracking.
    SetWithState,
    /// A rule for each flow, behind the connection tracking.
    LinearWithState,
}

impl Form {
    /// In outputs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Linear => "nft linear",
            Self::Set => "nft set",
            Self::Ingress => "nft netdev ingress set",
            Self::SetWithState => "nft set with state",
            Self::LinearWithState => "nft linear with state",
        }
    }

    const fn has_state(self) -> bool {
        matches!(self, Self::SetWithState | Self::LinearWithState)
    }

    const fn is_linear(self) -> bool {
        matches!(self, Self::Linear | Self::LinearWithState)
    }
}

/// For `nft -f`.
pub(crate) fn ruleset(form: Form, count: usize, interface: &str) -> String {
    let mut text = String::new();
    let family = if form == Form::Ingress { "netdev" } else { "inet" };
    line(&mut text, &format!("table {family} bench {{"));
    if !form.is_linear() {
        sets(&mut text, count);
    }
    let hook = match form {
        Form::Ingress => format!("type filter hook ingress device \"{interface}\" priority 0; policy drop;"),
        Form::Linear | Form::Set | Form::SetWithState | Form::LinearWithState => {
            "type filter hook input priority 0; policy drop;".to_owned()
        }
    };
    line(&mut text, &format!("chain in {{\n{hook}"));
    if form.has_state() {
        line(&mut text, "ct state established,related accept\nct state invalid drop");
    }
    line(&mut text, if form == Form::Ingress { "ether type arp accept" } else { "iif lo accept" });
    line(&mut text, "meta l4proto ipv6-icmp accept");
    if form.is_linear() {
        for Rule { port, v4, v6: _ } in rules(count) {
            line(&mut text, &format!("tcp dport {port} ip saddr {v4} accept"));
        }
        line(&mut text, &format!("tcp dport {LISTED} ip saddr 198.51.100.7 accept"));
    } else {
        line(&mut text, "ip saddr . tcp dport @allowed accept\nip6 saddr . tcp dport @allowed6 accept");
    }
    line(&mut text, &format!("tcp dport {OPEN} accept\nudp dport {OPEN_UDP} accept\ncounter drop\n}}"));
    if form.has_state() {
        line(
            &mut text,
            "chain out {\ntype filter hook output priority 0; policy accept;\n\
             ct state established,related,new accept\n}",
        );
    }
    text + "}\n"
}

fn sets(text: &mut String, count: usize) {
    line(text, "set allowed {\ntype ipv4_addr . inet_service\nelements = {");
    for Rule { port, v4, v6: _ } in rules(count) {
        line(text, &format!("{v4} . {port},"));
    }
    line(text, &format!("198.51.100.7 . {LISTED}\n}}\n}}"));
    line(text, "set allowed6 {\ntype ipv6_addr . inet_service\nelements = {");
    for Rule { port, v4: _, v6 } in rules(count) {
        line(text, &format!("{v6} . {port},"));
    }
    line(text, &format!("2001:db8:9::7 . {LISTED}\n}}\n}}"));
}

/// For `iptables-restore`: a rule for each flow, behind the connection tracking.
pub(crate) fn iptables(count: usize) -> String {
    let mut text = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n".to_owned();
    line(&mut text, "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
    for Rule { port, v4, v6: _ } in rules(count) {
        line(&mut text, &format!("-A INPUT -s {v4} -p tcp -m tcp --dport {port} -j ACCEPT"));
    }
    line(&mut text, &format!("-A INPUT -p tcp -m tcp --dport {OPEN} -j ACCEPT"));
    line(&mut text, &format!("-A INPUT -p udp -m udp --dport {OPEN_UDP} -j ACCEPT\nCOMMIT"));
    text
}

fn line(text: &mut String, line: &str) {
    // A string takes everything.
    let _written = writeln!(text, "{line}");
}
