//! What is not one flow between two hosts, through an enforcing edge device: multicast with the IGMP that it needs, and
//! active FTP, whose data comes from the server. Needs root.

mod gate;

use std::fs;

use anyhow::{Result, ensure};
use portreeve_tests::lab::{Host, Lab, PATIENCE, Server, wait_for};

use gate::{EDGE, Gate, HOOKS, INTERFACE};

const SERVER: &str = "192.0.2.20";
const GROUP: &str = "224.10.10.25";

const RULES: &str = r#"
[[role]]
pack = "plant"
role = "edge"
[role.peers]
panels = ["192.0.2.60"]
members = ["192.0.2.85"]
files = ["192.0.2.70"]
servers = ["192.0.2.20"]
"#;

/// Counts the edge device's IGMP.
const TOLD: &str = "table inet proof {
  counter told { }
  chain told { type filter hook prerouting priority 0;
    ip protocol igmp ip saddr 192.0.2.10 counter name told
  }
}
";

/// Joins the group and says what it hears.
const LISTEN: &str = "
import socket, struct
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
heard.bind(('', 7979))
heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 struct.pack('4s4s', socket.inet_aton('224.10.10.25'), socket.inet_aton('192.0.2.10')))
print('ready', flush=True)
while True: print(heard.recvfrom(100), flush=True)
";

#[test]
fn members_of_a_group_are_heard() -> Result<()> {
    for hook in HOOKS {
        let lab = Lab::new()?;
        let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").up()?;
        let member = lab.host("member").addr("192.0.2.85/24").up()?;
        let stranger = lab.host("stranger").addr("192.0.2.66/24").up()?;
        let told = lab.dir().join("told.nft");
        fs::write(&told, TOLD)?;
        member.run(["nft", "-f", &told.to_string_lossy()])?.ok()?;
        let gate = Gate::close(&lab, &edge, hook, RULES)?;
        let mut listener = edge.spawn(["/usr/bin/python3", "-c", LISTEN])?;
        listener.wait_until("listens", PATIENCE, |server| Ok(server.log()?.contains("ready")))?;
        say(&stranger, "192.0.2.66", "forged")?;
        say(&member, "192.0.2.85", "alive")?;
        wait_for("the member is heard", PATIENCE, || Ok(listener.log()?.contains("alive")))?;
        ensure!(!listener.log()?.contains("forged"), "{hook}: a stranger is heard");
        wait_for("the edge device says that it is in the group", PATIENCE, || {
            let told = member.run(["nft", "-j", "list", "counter", "inet", "proof", "told"])?.ok()?.stdout;
            Ok(!told.contains("\"packets\": 0"))
        })?;
        println!("{hook}: dropped on the way in: {:?}", gate.reasons("ingress")?);
    }
    Ok(())
}

fn say(host: &Host, address: &str, word: &str) -> Result<()> {
    let speak = format!(
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7979)); \
         s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('{address}')); \
         s.sendto(b'{word}', ('{GROUP}', 7979))"
    );
    host.run(["/usr/bin/python3", "-c", &speak])?.ok()?;
    Ok(())
}

#[test]
fn active_ftp_gets_its_data() -> Result<()> {
    for hook in HOOKS {
        let lab = Lab::new()?;
        let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").up()?;
        let server = lab.host("server").addr("192.0.2.20/24").up()?;
        let stranger = lab.host("stranger").addr("192.0.2.66/24").up()?;
        let _ftp = vsftpd(&server)?;
        let _gate = Gate::close(&lab, &edge, hook, RULES)?;
        let address = format!("ftp://{SERVER}/recipe");
        let fetch = ["curl", "--silent", "--show-error", "--max-time", "10", "--ftp-port", "-", &address];
        let fetched = edge.run(fetch)?.ok()?;
        ensure!(fetched.stdout.contains("twelve bottles"), "{hook}: {fetched}");
        // Without a control connection port 20 opens nothing.
        for (from, source) in [(&server, "20"), (&stranger, "20")] {
            let words = ["nc.openbsd", "-z", "-w", "1", "-p", source, EDGE, "40000"];
            from.run(words)?.refused()?;
        }
    }
    Ok(())
}

fn vsftpd(server: &Host) -> Result<Server> {
    let dir = server.lab().dir();
    let (files, empty) = (dir.join("files"), dir.join("empty"));
    fs::create_dir_all(&files)?;
    fs::create_dir_all(&empty)?;
    fs::write(files.join("recipe"), "twelve bottles\n")?;
    let settings = dir.join("vsftpd.conf");
    let text = format!(
        "listen=YES\nlisten_ipv6=NO\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={}\n\
         secure_chroot_dir={}\nconnect_from_port_20=YES\npasv_enable=NO\nseccomp_sandbox=NO\nxferlog_enable=NO\n",
        files.display(),
        empty.display()
    );
    fs::write(&settings, text)?;
    server.spawn(["vsftpd".as_ref(), settings.as_os_str()])?.listening("tcp", 21)
}
