//! `machines` of a role: what it reads from, each with its controller.

use std::net::IpAddr;

use super::{
    keys::{Keys, Value, suggest},
    value,
};
use crate::{diagnostic::Report, policy::pack::Role};

/// One of `machines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its address.
    pub ip: IpAddr,
    /// Its controller, as the document writes it.
    pub controller: String,
}

/// Reads `machines` of a role that has some.
pub(super) fn read_all(keys: &mut Keys<'_>, role: &Role, report: &mut Report) -> Vec<Machine> {
    let help = "write machines = [{ ip = \"198.51.100.31\", controller = \"…\" }]";
    let mut machines = Vec::new();
    for mut entry in keys.tables("machines", report) {
        let ip = entry.require("ip", help, report);
        let controller = entry.require("controller", help, report);
        entry.finish(report);
        let ip = ip.and_then(|value| machine_address(value, help, report));
        let controller = controller.and_then(|value| controller_name(value, role, report));
        machines.extend(ip.zip(controller).map(|(ip, controller)| Machine { ip, controller }));
    }
    machines
}

fn machine_address(value: Value<'_>, help: &str, report: &mut Report) -> Option<IpAddr> {
    let text = value::text("ip", value, help, report)?;
    let address = text.parse::<IpAddr>().ok().filter(|ip| !ip.is_multicast() && !ip.is_unspecified());
    if address.is_none() {
        report.error(value.span(), format!("`{text}` is not the address of a machine"), help);
    }
    address
}

fn controller_name(value: Value<'_>, role: &Role, report: &mut Report) -> Option<String> {
    let name = value::text("controller", value, "write the controller as the document does", report)?;
    let known = role.controllers.iter().any(|controller| controller == name);
    if !known {
        let message = format!("unknown controller `{name}`");
        report.error(value.span(), message, suggest(name, &role.controllers, "controllers"));
    }
    known.then(|| name.to_owned())
}
