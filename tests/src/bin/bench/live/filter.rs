//! Who filters.

use std::fmt;

use crate::nft::Form;

/// A filter on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Filter {
    /// Nobody: the stack gets every frame.
    None,
    /// An XDP program that drops all.
    Empty,
    /// Portreeve, in the driver.
    Xdp,
    /// Portreeve, in front of the stack.
    Tc,
    /// xdp-filter of xdp-tools, in the driver.
    XdpTools,
    /// nftables.
    Nft(Form),
    /// iptables, with state.
    Iptables,
}

impl Filter {
    /// Whose cost a number of rules may change.
    pub(super) const DROPPING: [Self; 9] = [
        Self::Xdp,
        Self::Tc,
        Self::XdpTools,
        Self::Nft(Form::Ingress),
        Self::Nft(Form::Set),
        Self::Nft(Form::SetWithState),
        Self::Nft(Form::Linear),
        Self::Nft(Form::LinearWithState),
        Self::Iptables,
    ];

    /// Whether its cost grows with its rules, so that fewer frames do.
    pub(super) const fn is_linear(self) -> bool {
        match self {
            Self::Nft(form) => matches!(form, Form::Linear | Form::LinearWithState),
            Self::Iptables => true,
            Self::None | Self::Empty | Self::Xdp | Self::Tc | Self::XdpTools => false,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "no filter",
            Self::Empty => "empty XDP",
            Self::Xdp => "portreeve, XDP",
            Self::Tc => "portreeve, TC",
            Self::XdpTools => "xdp-filter",
            Self::Nft(form) => form.name(),
            Self::Iptables => "iptables with state",
        })
    }
}
