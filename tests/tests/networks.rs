//! A gateway with a NIC in each network: flows that are bound to one begin there and nowhere else.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{Agent, Host, Lab, Server};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
/// In the company's network and in that of the machines.
const COMPANY: &str = "enp2s0";
const MACHINES: &str = "enp3s0";
/// The port of FANUC FOCAS.
const FOCAS: u16 = 8193;
/// Which the site itself opens for its machines.
const SITE: u16 = 4431;

struct Plant {
    edge: Host,
    office: Host,
    machine: Host,
    agent: Agent,
    lab: Lab,
    _servers: Vec<Server>,
}

impl Plant {
    fn build() -> Result<Self> {
        let lab = Lab::new()?;
        let machine = lab.host("machine").interface("unused").up()?;
        let edge = lab.host("edge").interface(COMPANY).addr("192.0.2.10/24");
        let edge = edge.interface(MACHINES).wired_to(&machine, "eth1").addr("203.0.113.10/24").up()?;
        machine.run(["ip", "address", "add", "203.0.113.31/24", "dev", "eth1"])?.ok()?;
        // Someone in the company's network has the machine's address too.
        let office = lab.host("office").addr("192.0.2.20/24").addr("203.0.113.31/32");
        let office = office.route("203.0.113.10/32", "192.0.2.10").up()?;
        let serve = |host: &Host, port: u16| {
            let at = format!("0.0.0.0:{port}");
            host.spawn([TRAFFIC, "serve", &at, "--seconds", "300"])?.listening("tcp", port)
        };
        let servers = vec![serve(&machine, FOCAS)?, serve(&office, FOCAS)?, serve(&edge, SITE)?];
        let agent = Agent::new(&edge, &Agent::program()?)?;
        Ok(Self { edge, office, machine, agent, lab, _servers: servers })
    }

    /// `site`: the interface of the site's own flow.
    fn apply(&self, command: &str, site: &str) -> Result<String> {
        let path = self.lab.dir().join("host.toml");
        let text = format!(
            "[host]\ninterfaces = [\"{COMPANY}\", \"{MACHINES}\"]\naddresses = [\"192.0.2.10\", \"203.0.113.10\"]\n\
             [enforcement]\ningress = \"enforce\"\negress = \"enforce\"\n\
             [[role]]\npack = \"machinemetrics-edge\"\nrole = \"mm-edge\"\n\
             peers = {{ dns_servers = [\"192.0.2.53\"] }}\n\
             machines = [{{ ip = \"203.0.113.31\", controller = \"FANUC FOCAS\" }}]\n\
             interfaces = {{ company = [\"{COMPANY}\"], machine = [\"{MACHINES}\"] }}\n\
             [[allow]]\nid = \"SITE\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = {SITE}\npeers = \"any\"\n\
             interfaces = [\"{site}\"]\nreason = \"machines report\"\n"
        );
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let done = self.agent.command([command, &path.to_string_lossy()])?;
        ensure!(matches!(done.code, Some(0 | 1)), "{done}");
        Ok(done.stdout)
    }

    fn reaches(&self, from: &Host, to: &str, port: u16) -> Result<bool> {
        Ok(from.run([TRAFFIC, "reach", &format!("{to}:{port}"), "--patience", "500"])?.success())
    }

    /// Packets that an interface dropped because the flow is bound to the other one.
    fn elsewhere(&self, interface: &str, direction: &str) -> Result<u64> {
        let drops: serde_json::Value =
            serde_json::from_str(&self.agent.command(["drops", "--json"])?.stdout)?;
        let rows = drops["reasons"].as_array().context("no reasons")?;
        let row = rows.iter().find(|row| {
            row["interface"] == interface
                && row["direction"] == direction
                && row["reason"] == "wrong-interface"
        });
        Ok(row.and_then(|row| row["packets"].as_u64()).unwrap_or(0))
    }
}

#[test]
fn each_network_has_its_own_flows() -> Result<()> {
    let plant = Plant::build()?;
    plant.apply("apply", MACHINES)?;

    ensure!(plant.reaches(&plant.edge, "203.0.113.31", FOCAS)?, "the machine by its own network");
    ensure!(plant.reaches(&plant.machine, "203.0.113.10", SITE)?, "the site's flow from the machine");
    assert_eq!((plant.elsewhere(COMPANY, "ingress")?, plant.elsewhere(COMPANY, "egress")?), (0, 0));

    ensure!(!plant.reaches(&plant.office, "192.0.2.10", SITE)?, "the site's flow from the office");
    ensure!(plant.elsewhere(COMPANY, "ingress")? >= 1, "counted at the office's interface");

    // The way to the machine's address leads to the office now: a cable in the wrong place, or worse.
    plant.edge.run(["ip", "route", "add", "203.0.113.31/32", "dev", COMPANY])?.ok()?;
    ensure!(
        !plant.reaches(&plant.edge, "203.0.113.31", FOCAS)?,
        "the machine's port by the company's network"
    );
    ensure!(plant.elsewhere(COMPANY, "egress")? >= 1, "counted where it would have left");
    assert_eq!(plant.elsewhere(MACHINES, "ingress")? + plant.elsewhere(MACHINES, "egress")?, 0);
    Ok(())
}

/// As a forged packet at the other interface does not: a flow that lives is judged again without a look at its interface.
#[test]
fn binding_cuts_no_connection_that_lives() -> Result<()> {
    let plant = Plant::build()?;
    plant.apply("apply", MACHINES)?;
    let to: SocketAddr = format!("203.0.113.10:{SITE}").parse()?;
    let mut live = plant.machine.within(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(5))?))?;
    live.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut exchange = |message: &[u8]| -> Result<()> {
        live.write_all(message)?;
        let mut answer = vec![0; message.len()];
        live.read_exact(&mut answer)?;
        ensure!(answer == message, "{answer:?}");
        Ok(())
    };
    exchange(b"before")?;
    let moved = plant.apply("plan", COMPANY)?;
    let changes = moved.contains(&format!("tcp {SITE} on {COMPANY}"));
    ensure!(changes && moved.contains("no live connection would be cut"), "{moved}");
    plant.apply("apply", COMPANY)?;
    exchange(b"after")?;
    ensure!(
        !plant.reaches(&plant.machine, "203.0.113.10", SITE)?,
        "a new connection begins at the other one"
    );
    exchange(b"and still")
}
