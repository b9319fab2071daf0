//! Programs that we did not write, through an enforcing edge device: each gets through, and its neighbour that nobody
//! documented does not. Needs root.

mod gate;

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{self, Host, Lab, PATIENCE, Resolver, Server, TimeServer, Web, wait_for};

use gate::{EDGE, EDGE_V6, Gate, HOOKS, INTERFACE};

const PEER: &str = "192.0.2.30";
const PEER_V6: &str = "2001:db8:1::30";
/// Nobody documents it.
const STRANGER: &str = "192.0.2.66";
/// Behind a router whose far side takes smaller packets.
const FAR: &str = "198.51.100.20";
const FAR_V6: &str = "2001:db8:2::20";
const ROUTER: &str = "192.0.2.1";
const ROUTER_V6: &str = "2001:db8:1::1";
const SMALL_MTU: &str = "1400";

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");

const RULES: &str = r#"
[baseline]
ping_from = ["192.0.2.30", "2001:db8:1::30"]

[[allow]]
id = "WEB"
direction = "ingress"
protocol = "tcp"
port = 443
peers = ["192.0.2.30", "2001:db8:1::30", "198.51.100.20", "2001:db8:2::20"]
reason = "user interface"

[[allow]]
id = "SSH"
direction = "ingress"
protocol = "tcp"
port = 22
peers = ["192.0.2.30", "2001:db8:1::30"]
reason = "maintenance"

[[allow]]
id = "SNMP"
direction = "ingress"
protocol = "udp"
port = 161
peers = ["192.0.2.30"]
reason = "monitoring"

[[allow]]
id = "TRAP"
direction = "egress"
protocol = "udp"
port = 162
peers = ["192.0.2.30"]
reason = "alarms"

[[allow]]
id = "DNS"
direction = "egress"
protocol = "udp"
port = 53
peers = ["192.0.2.30", "2001:db8:1::30"]
reason = "resolver"

[[allow]]
id = "DNS-TCP"
direction = "egress"
protocol = "tcp"
port = 53
peers = ["192.0.2.30", "2001:db8:1::30"]
reason = "resolver, long answers"

[[allow]]
id = "NTP"
direction = "egress"
protocol = "udp"
port = 123
peers = ["192.0.2.30"]
reason = "time"

[[allow]]
id = "PING"
direction = "egress"
protocol = "icmp"
peers = ["192.0.2.30", "2001:db8:1::30"]
reason = "is the peer there"
"#;

fn edge(lab: &Lab) -> Result<Host> {
    let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").addr("2001:db8:1::10/64");
    edge.route("198.51.100.0/24", ROUTER).route("2001:db8:2::/64", ROUTER_V6).up()
}

#[test]
fn documented_programs_get_through() -> Result<()> {
    for hook in HOOKS {
        let lab = Lab::new()?;
        let edge = edge(&lab)?;
        let peer = lab.host("peer").addr("192.0.2.30/24").addr("2001:db8:1::30/64").up()?;
        let stranger = lab.host("stranger").addr("192.0.2.66/24").up()?;
        let _web = Web::new(&edge, "edge ui").https(443).http(8080).start()?;
        let _shell = Shell::start(&edge, &peer, &stranger)?;
        let _monitored = snmpd(&edge)?;
        let traps = snmptrapd(&peer)?;
        let _names = Resolver::new(&peer).name("plc.example", "192.0.2.77").start()?;
        let _time = TimeServer::start(&peer)?;
        let gate = Gate::close(&lab, &edge, hook, RULES)?;
        web(&peer, &stranger).context("curl")?;
        ssh(&peer, EDGE)?.ok().context("ssh")?;
        ssh(&peer, EDGE_V6)?.ok().context("ssh over IPv6")?;
        ssh(&stranger, EDGE)?.refused()?;
        snmp(&edge, &peer, &stranger, &traps).context("SNMP")?;
        names(&edge).context("dig")?;
        lab::offset(&edge, PEER)?.ok().context("chrony")?;
        pings(&edge, &peer, &stranger).context("ping")?;
        // The stranger was refused by each of them, and its own lookups were counted where they were tried.
        let reasons = gate.reasons("ingress")?;
        ensure!(reasons.iter().any(|(reason, count)| reason == "wrong-peer" && *count > 0), "{reasons:?}");
        println!("{hook}: curl, ssh, snmp, dig, chrony and ping; dropped on the way in: {reasons:?}");
    }
    Ok(())
}

fn web(peer: &Host, stranger: &Host) -> Result<()> {
    for address in [EDGE.to_owned(), format!("[{EDGE_V6}]")] {
        lab::fetch(peer, &format!("https://{address}/"))?.ok()?;
        lab::fetch(peer, &format!("http://{address}:8080/"))?.refused()?;
    }
    lab::fetch(stranger, &format!("https://{EDGE}/"))?.refused()?;
    Ok(())
}

fn names(edge: &Host) -> Result<()> {
    for resolver in [PEER, PEER_V6] {
        for way in ["+notcp", "+tcp"] {
            let server = format!("@{resolver}");
            let words = ["dig", "+short", "+tries=1", "+time=3", way, &server, "A", "plc.example"];
            let answer = edge.run(words)?.ok()?;
            ensure!(answer.stdout.trim() == "192.0.2.77", "{way} {resolver}: {answer}");
        }
    }
    lab::lookup(edge, STRANGER, "plc.example", "A")?.refused()?;
    Ok(())
}

fn pings(edge: &Host, peer: &Host, stranger: &Host) -> Result<()> {
    // 8,000 bytes are six fragments, both ways.
    for (from, to) in [(peer, EDGE), (peer, EDGE_V6), (edge, PEER), (edge, PEER_V6)] {
        from.run(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-s", "8000", to])?.ok()?;
        lab::ping(from, to)?.ok()?;
    }
    lab::ping(stranger, EDGE)?.refused()?;
    stranger.run(["ping", "-n", "-c", "1", "-W", "1", "-s", "8000", EDGE])?.refused()?;
    lab::ping(edge, STRANGER)?.refused()?;
    Ok(())
}

const SSHD: &str = "HostKey /mnt/lab/host_key\nAuthorizedKeysFile /mnt/lab/user_key.pub\nStrictModes no\nUsePAM no\n\
                    PermitRootLogin prohibit-password\nPidFile none\nUseDNS no\n";

/// OpenSSH's server with keys of its own, in a `/run` of its own.
struct Shell {
    _server: Server,
}

impl Shell {
    fn start(edge: &Host, peer: &Host, stranger: &Host) -> Result<Self> {
        let dir = edge.lab().dir();
        for key in ["host_key", "user_key"] {
            let path = dir.join(key);
            edge.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &path.to_string_lossy()])?.ok()?;
        }
        ensure!([peer, stranger].iter().all(|host| host.lab().dir() == dir), "another lab");
        let settings = dir.join("sshd_config");
        fs::write(&settings, SSHD)?;
        // The lab's folder stands in `/run`, which sshd wants to itself.
        let start = format!(
            "mount -t tmpfs tmpfs /mnt && mkdir /mnt/lab && mount --bind {} /mnt/lab && \
             mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f /mnt/lab/sshd_config",
            dir.display()
        );
        let server = edge.spawn(["unshare", "--mount", "sh", "-ec", &start])?.listening("tcp", 22)?;
        Ok(Self { _server: server })
    }
}

fn ssh(from: &Host, address: &str) -> Result<lab::Output> {
    let key = from.lab().dir().join("user_key");
    let target = format!("root@{address}");
    let options =
        ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=3"];
    let mut words = vec!["ssh", "-F", "none", "-i", key.to_str().context("a folder's name")?];
    words.extend(options.into_iter().flat_map(|option| ["-o", option]));
    words.extend([target.as_str(), "true"]);
    from.run(words)
}

/// The system's name.
const SYS_NAME: &str = "1.3.6.1.2.1.1.5.0";
/// Net-SNMP's own test notification.
const NOTIFICATION: &str = "1.3.6.1.4.1.8072.2.3.0.1";

fn snmpd(edge: &Host) -> Result<Server> {
    let settings = edge.lab().dir().join("snmpd.conf");
    fs::write(&settings, "rocommunity public\nsysName line4-edge\n")?;
    let persistent = format!("SNMP_PERSISTENT_DIR={}", edge.lab().dir().display());
    let words =
        ["env", &persistent, "snmpd", "-f", "-Lo", "-C", "-c", &settings.to_string_lossy(), "udp:161"];
    edge.spawn(words)?.listening("udp", 161)
}

fn snmptrapd(peer: &Host) -> Result<Server> {
    let settings = peer.lab().dir().join("snmptrapd.conf");
    fs::write(&settings, "disableAuthorization yes\n")?;
    let persistent = format!("SNMP_PERSISTENT_DIR={}", peer.lab().dir().display());
    let settings = settings.to_string_lossy();
    let words = ["env", &persistent, "snmptrapd", "-f", "-Lo", "-On", "-C", "-c", &settings, "udp:162"];
    peer.spawn(words)?.listening("udp", 162)
}

fn snmp(edge: &Host, peer: &Host, stranger: &Host, traps: &Server) -> Result<()> {
    let get = |from: &Host| {
        from.run(["snmpget", "-v2c", "-c", "public", "-t", "1", "-r", "1", "-Oqv", EDGE, SYS_NAME])
    };
    let name = get(peer)?.ok()?;
    ensure!(name.stdout.contains("line4-edge"), "{name}");
    get(stranger)?.refused()?;
    edge.run(["snmptrap", "-v2c", "-c", "public", PEER, "", NOTIFICATION])?.ok()?;
    wait_for("the trap arrives", PATIENCE, || Ok(traps.log()?.contains(NOTIFICATION)))
}

#[test]
fn path_mtu_discovery_works() -> Result<()> {
    for hook in HOOKS {
        let lab = Lab::new()?;
        let edge = edge(&lab)?;
        let router = lab.host("router").interface("eth0").addr("192.0.2.1/24").addr("2001:db8:1::1/64");
        let router = router.forwards().up()?;
        let far = lab.host("far").interface("eth0").addr("198.51.100.20/24").addr("2001:db8:2::20/64");
        let far = far.wired_to(&router, "eth1").route("default", "198.51.100.1").up()?;
        for (address, to) in [("198.51.100.1/24", "eth1"), ("2001:db8:2::1/64", "eth1")] {
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            let words = [&["ip", "address", "add", address, "dev", to], nodad].concat();
            router.run(words)?.ok()?;
        }
        far.run(["ip", "-6", "route", "add", "default", "via", "2001:db8:2::1"])?.ok()?;
        // Only the router knows; the far end would take, and announces, full packets.
        router.run(["ip", "link", "set", "eth1", "mtu", SMALL_MTU])?.ok()?;
        let _echoes = [echo(&edge, &format!("{EDGE}:443"))?, echo(&edge, &format!("[{EDGE_V6}]:443"))?];
        let gate = Gate::close(&lab, &edge, hook, RULES)?;
        for (server, from) in [(format!("{EDGE}:443"), FAR), (format!("[{EDGE_V6}]:443"), FAR_V6)] {
            let exchange = ["run", &server, "--connections", "1", "--rounds", "3", "--bytes", "200000"];
            far.run([TRAFFIC].into_iter().chain(exchange))?.ok()?;
            let route = edge.run(["ip", "route", "get", from])?.ok()?.stdout;
            ensure!(route.contains(&format!("mtu {SMALL_MTU}")), "nothing was learned: {route}");
        }
        println!(
            "{hook}: the route to the far end has mtu {SMALL_MTU}; dropped: {:?}",
            gate.reasons("ingress")?
        );
    }
    Ok(())
}

/// Sends back what it gets.
fn echo(edge: &Host, address: &str) -> Result<Server> {
    let mut server = edge.spawn([TRAFFIC, "serve", address])?;
    server.wait_until("listens", PATIENCE, |server| Ok(server.log()?.contains("443")))?;
    Ok(server)
}

#[test]
fn a_dhcp_client_gets_its_lease() -> Result<()> {
    for hook in HOOKS {
        for (dhcp, gets) in [(true, true), (false, false)] {
            let lab = Lab::new()?;
            let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").up()?;
            let peer = lab.host("peer").addr("192.0.2.30/24").up()?;
            let _server = dhcp_server(&peer)?;
            let site = "[[allow]]\nid = \"WEB\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = 443\n\
                        peers = \"any\"\nreason = \"user interface\"\n";
            let gate = Gate::close(&lab, &edge, hook, &format!("[baseline]\ndhcp = {dhcp}\n\n{site}"))?;
            let client =
                ["udhcpc", "-i", INTERFACE, "-n", "-q", "-f", "-t", "3", "-T", "1", "-s", "/bin/true"];
            let lease = gate.edge.run(client)?;
            ensure!(lease.success() == gets, "{hook}, dhcp = {dhcp}: {lease}");
        }
    }
    Ok(())
}

fn dhcp_server(peer: &Host) -> Result<Server> {
    let leases = format!("--dhcp-leasefile={}", peer.lab().dir().join("leases").display());
    let words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=eth0"];
    let more = ["--dhcp-range=192.0.2.100,192.0.2.120,2m", "--dhcp-authoritative", "--no-ping", &leases];
    let server = peer.spawn(words.into_iter().chain(more))?.listening("udp", 67)?;
    // It answers once its sockets are up, which `listening` has seen; the bridge has no port that still learns.
    thread::sleep(Duration::from_millis(50));
    Ok(server)
}
