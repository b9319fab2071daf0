//! A trial of native XDP, only where no traffic can be.

use std::fs;

use super::Finding;
use crate::datapath::trial;

/// Attaching resets many NICs, so it is done on none that is up.
pub(super) fn finding(name: &str, index: u32) -> Finding {
    let check = "trial of native XDP";
    let state = fs::read_to_string(format!("/sys/class/net/{name}/operstate")).unwrap_or_default();
    if state.trim() != "down" {
        let seen = format!("not done: the link is {}", state.trim());
        let advice =
            format!("attaching resets many NICs; `ip link set {name} down` first, when nobody needs it");
        return Finding::warning(name, check, seen, &advice);
    }
    match trial::native_xdp(name, index) {
        Ok(()) => Finding::ok(name, check, "attached and taken off again"),
        Err(error) => {
            let seen = format!("{:#}", anyhow::Error::new(error));
            Finding::warning(name, check, seen, "with `hook = \"auto\"` ingress is judged by TC")
        }
    }
}
