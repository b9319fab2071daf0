//! Changes: made with one store, confirmed or undone, planned, and refused where they would cut what must not be cut.

use std::{
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::{
    gateway::{EDGE, Gateway, OPERATOR, PORTS, time_until},
    lab::PATIENCE,
};

const HOOKS: [&str; 2] = ["xdp", "tc"];
const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];
const C: u16 = PORTS[2];

/// It requires a page on 443, for the operator alone.
const ROLE: &str = "[[role]]\npack = \"siemens-industrial-edge\"\nrole = \"ied\"\noptions = { offering = \"IEM OS\" }\n\
                    [role.peers]\ndns_servers = [\"192.0.2.30\"]\nntp_servers = [\"192.0.2.30\"]\n\
                    ui_clients = [\"192.0.2.20\"]\niem = [\"192.0.2.30\"]\n";

#[test]
fn apply_confirm_and_rollback() -> Result<()> {
    for hook in HOOKS {
        let gateway = Gateway::build(hook, TRAFFIC)?;
        let (first, second) = (gateway.enforcing(&[A])?, gateway.enforcing(&[B])?);
        let said = gateway.apply(&first, &[])?.ok()?.stdout;
        assert!(said.contains("generation 1 is in force: 2 rules, 6 golden packets"), "{said}");
        assert_eq!(gateway.states()?, gateway.enforcing_states());
        assert_eq!(gateway.open()?, [A]);
        assert!(!gateway.reaches(&gateway.intruder, A)?);
        let said = gateway.apply(&first, &[])?.ok()?.stdout;
        assert!(said.contains("has this policy already"), "{said}");

        gateway.apply(&second, &[])?.ok()?;
        assert_eq!((gateway.open()?, gateway.generation()?), (vec![B], 2));
        gateway.agent.command(["rollback"])?.ok()?;
        assert_eq!((gateway.open()?, gateway.generation()?), (vec![A], 1));
        let again = gateway.agent.command(["rollback"])?.refused()?;
        assert!(again.stderr.contains("nothing to go back to"), "{again}");

        gateway.apply(&second, &["--confirm-within", "60s"])?.ok()?;
        assert_eq!(gateway.open()?, [B]);
        assert!(gateway.json(&["status"])?["confirm_until"].is_string());
        assert_eq!(gateway.last_good()?, fs::read_to_string(&first)?, "unconfirmed is not good");
        for words in [["apply", &*second.to_string_lossy()].as_slice(), &["enforce"]] {
            let refused = gateway.agent.command(words)?.refused()?;
            assert!(refused.stderr.contains("waits for its confirmation"), "{refused}");
        }
        gateway.agent.command(["confirm"])?.ok()?;
        assert!(gateway.json(&["status"])?["confirm_until"].is_null());
        assert_eq!(gateway.last_good()?, fs::read_to_string(&second)?);
        let nothing = gateway.agent.command(["confirm"])?.refused()?;
        assert!(nothing.stderr.contains("nothing waits"), "{nothing}");
        // The counters of a flow go on, whichever generation it passed under.
        let flows = gateway.json(&["flows"])?;
        let of_b =
            flows["flows"].as_array().context("no flows")?.iter().find(|row| row["flow"] == "tcp-4432");
        assert!(of_b.context("no such flow")?["packets"].as_u64() >= Some(4), "{flows}");

        gateway.apply(&first, &["--confirm-within", "60s"])?.ok()?;
        gateway.agent.command(["rollback"])?.ok()?;
        assert_eq!(gateway.open()?, [B]);
        assert_eq!(gateway.last_good()?, fs::read_to_string(&second)?);
    }
    Ok(())
}

#[test]
fn an_unconfirmed_change_undoes_itself_without_the_agent() -> Result<()> {
    for hook in HOOKS {
        let gateway = Gateway::build(hook, TRAFFIC)?;
        let first = gateway.enforcing(&[A])?;
        let mut daemon = gateway.agent.start(&first)?;
        assert_eq!(gateway.open()?, [A]);
        let nothing = gateway.enforcing(&[])?;
        gateway.apply(&nothing, &["--confirm-within", "5s", "--cut-me-off"])?.ok()?;
        daemon.signal(Signal::SIGKILL)?;
        daemon.wait(PATIENCE)?;
        assert!(!gateway.reaches(&gateway.operator, A)?, "{hook}: the new policy forbids everything");
        let took = time_until("the old policy is back", Duration::from_secs(8), || {
            gateway.reaches(&gateway.operator, A)
        })?;
        println!(
            "{hook}: unconfirmed, the agent killed: the old policy was back {:.1} s later",
            took.as_secs_f32()
        );
        assert_eq!(gateway.generation()?, 1);
        assert!(!gateway.reaches(&gateway.intruder, A)?);
        assert_eq!(gateway.states()?, gateway.enforcing_states());

        // Whoever comes next finds the files as the kernel is.
        let late = gateway.agent.command(["confirm"])?.refused()?;
        assert!(late.stderr.contains("nothing waits"), "{late}");
        assert_eq!(gateway.last_good()?, fs::read_to_string(&first)?);
        let mut daemon = gateway.agent.start(&first)?;
        assert_eq!((gateway.generation()?, gateway.open()?), (1, vec![A]));
        gateway.apply(&gateway.enforcing(&[A, B])?, &[])?.ok()?;
        assert_eq!(gateway.open()?, [A, B]);
        daemon.stop(PATIENCE)?;
        assert_eq!(gateway.open()?, [A, B], "on_stop keeps");
    }
    Ok(())
}

#[test]
fn a_first_apply_that_is_not_confirmed_observes() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    gateway.apply(&gateway.enforcing(&[])?, &["--confirm-within", "15s", "--cut-me-off"])?.ok()?;
    assert_eq!(gateway.open()?, [0_u16; 0]);
    time_until("it observes", Duration::from_secs(60), || Ok(gateway.open()? == PORTS))?;
    assert_eq!(gateway.states()?, ["observing", "observing"]);
    Ok(())
}

#[test]
fn on_stop_open_takes_everything_off() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let text = gateway.policy("enforce", &[A]).replace("[enforcement]", "[enforcement]\non_stop = \"open\"");
    let mut daemon = gateway.agent.start(&gateway.file("open.toml", &text)?)?;
    assert_eq!(gateway.open()?, [A]);
    daemon.stop(PATIENCE)?;
    assert_eq!(gateway.open()?, PORTS);
    assert!(!gateway.agent.pins().exists());
    Ok(())
}

#[test]
fn a_plan_names_whom_it_would_cut() -> Result<()> {
    let gateway = Gateway::build("xdp", TRAFFIC)?;
    gateway.apply(&gateway.enforcing(&[A, B])?, &[])?.ok()?;
    let target = format!("{EDGE}:{A}");
    let talk = [TRAFFIC, "run", &target, "--connections", "1", "--rounds", "400", "--pause", "50"];
    let _talks = gateway.operator.spawn(talk)?;
    let next = gateway.enforcing(&[B, C])?;
    let mut plan = serde_json::Value::Null;
    time_until("the connection is seen", PATIENCE, || {
        plan = gateway.json(&["plan", &next.to_string_lossy()])?;
        Ok(plan["cuts"].as_array().is_some_and(|cuts| !cuts.is_empty()))
    })?;
    let names = |kind: &str| -> Vec<String> {
        let rows = plan[kind].as_array().into_iter().flatten();
        rows.filter_map(|row| row["flow"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names("added"), ["tcp-4433", "udp-4433"]);
    assert_eq!(names("removed"), ["tcp-4431", "udp-4431"]);
    assert_eq!((names("changed").len(), &plan["unchanged"]), (0, &2.into()));
    let cut = &plan["cuts"][0];
    assert_eq!(cut["local"], format!("{EDGE}:{A}"));
    assert_eq!(
        (&cut["direction"], &cut["process"]["name"], &cut["own"]),
        (&"ingress".into(), &"traffic".into(), &false.into())
    );
    let table = gateway.agent.command(["plan", &next.to_string_lossy()])?.ok()?.stdout;
    println!("{table}");
    assert!(table.contains("1 live connections would be cut") && table.contains("traffic ("), "{table}");
    // It has changed nothing.
    assert_eq!((gateway.open()?, gateway.generation()?), (vec![A, B], 1));

    // The same connection, when ssh says that it is the session.
    let remote = cut["remote"].as_str().context("no remote")?;
    let (address, port) = remote.rsplit_once(':').context("no port")?;
    let session = format!("{address} {port} {EDGE} {A}");
    let with_session = |flags: &[&str]| -> Result<Output> {
        let mut apply = gateway.agent.prepare(["apply", &next.to_string_lossy()].iter().chain(flags))?;
        apply.env("SSH_CONNECTION", &session).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(apply.output()?)
    };
    let refused = with_session(&[])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(2) && said.contains("cut the session"), "{said}");
    assert_eq!((gateway.open()?, gateway.generation()?), (vec![A, B], 1));
    ensure!(with_session(&["--cut-me-off"])?.status.success());
    assert_eq!(gateway.open()?, [B, C]);
    Ok(())
}

/// As it is with ssh and sudo: what is typed runs below the process that has the socket, and no variable tells.
#[test]
fn the_session_is_known_by_its_socket_too() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    let text = gateway.policy("enforce", &[A, 2222]);
    gateway.apply(&gateway.file("shell.toml", &text)?, &[])?.ok()?;
    let next = gateway.enforcing(&[A])?;
    let command = gateway.agent.prepare(["apply", &next.to_string_lossy()])?;
    // The words of `ip netns exec` and `setpriv` are left out: the shell is in the host already.
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let own = words.iter().position(|word| word == "--").context("no command")? + 1;
    let shell = "import socket,subprocess,sys\ns=socket.create_server(('0.0.0.0',2222))\nc=s.accept()[0]\nc.recv(1)\n\
                 r=subprocess.run(sys.argv[1:],capture_output=True)\nc.sendall(b'%d\\n'%r.returncode+r.stderr)\nc.close()\n";
    let _shell = gateway
        .edge
        .spawn(["python3", "-c", shell].into_iter().map(str::to_owned).chain(words[own..].iter().cloned()))?
        .listening("tcp", 2222)?;
    let client = format!(
        "import socket\nc=socket.create_connection(('{EDGE}',2222))\nc.sendall(b'x')\nd=b''\n\
         while True:\n  p=c.recv(4096)\n  if not p: break\n  d+=p\nprint(d.decode())\n"
    );
    let said = gateway.operator.run(["python3", "-c", &client])?.ok()?.stdout;
    ensure!(said.starts_with("2\n") && said.contains("cut the session"), "{said}");
    assert_eq!(gateway.generation()?, 2);
    Ok(())
}

#[test]
fn management_is_always_allowed_and_counted() -> Result<()> {
    let gateway = Gateway::build("xdp", TRAFFIC)?;
    let list = format!("[baseline]\nmanagement = [{{ peers = [\"{OPERATOR}\"], ports = [{C}] }}]\n[[allow]]");
    let text = gateway.policy("enforce", &[]).replacen("[[allow]]", &list, 1);
    let file = gateway.file("management.toml", &text)?;
    gateway.apply(&file, &[])?.ok()?;
    assert_eq!(gateway.open()?, [C]);
    assert!(!gateway.reaches(&gateway.intruder, C)?);
    let flows = gateway.json(&["flows"])?;
    let row = flows["flows"].as_array().context("no flows")?.iter().find(|row| row["flow"] == "MANAGEMENT-1");
    assert!(row.context("not shown")?["packets"].as_u64() > Some(0), "{flows}");
    let rules = gateway.agent.command(["rules", &file.to_string_lossy()])?.ok()?.stdout;
    assert!(rules.contains("MANAGEMENT-1"), "{rules}");
    Ok(())
}

#[test]
fn enforce_is_refused_while_required_flows_would_be_cut() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let (text, role) = (gateway.policy("observe", &[A]), ROLE);
    gateway.apply(&gateway.file("role.toml", &format!("{text}{role}"))?, &[])?.ok()?;
    // A SYN that nobody follows up may be anybody's: it makes no reason.
    ensure!(!gateway.reaches(&gateway.intruder, 443)?, "nothing serves the page yet");
    gateway.agent.command(["enforce"])?.ok()?;
    gateway.agent.command(["observe"])?.ok()?;
    let page = gateway.edge.spawn([TRAFFIC, "serve", "0.0.0.0:443", "--seconds", "300"])?;
    let _page = page.listening("tcp", 443)?;
    // The intruder's page is one that the document requires, for other peers.
    ensure!(gateway.reaches(&gateway.intruder, 443)?);
    let refused = gateway.agent.command(["enforce"])?.refused()?;
    println!("{}", refused.stderr);
    assert!(refused.stderr.contains("192.0.2.66") && refused.stderr.contains("--force"), "{refused}");
    assert_eq!(gateway.states()?, ["observing", "observing"]);
    gateway.agent.command(["enforce", "egress"])?.ok()?;
    assert_eq!(gateway.states()?, ["observing", "enforcing-tc"]);
    let enforcing = gateway.policy("enforce", &[A]);
    let file = gateway.file("enforcing.toml", &format!("{enforcing}{role}"))?;
    let refused = gateway.apply(&file, &[])?.refused()?;
    assert!(refused.stderr.contains("192.0.2.66"), "{refused}");
    // A policy that knows the peer is no reason to refuse any more.
    let known = role.replace("[\"192.0.2.20\"]", "[\"192.0.2.20\", \"192.0.2.66\"]");
    gateway.apply(&gateway.file("known.toml", &format!("{text}{known}"))?, &[])?.ok()?;
    gateway.agent.command(["enforce", "ingress"])?.ok()?;
    gateway.agent.command(["observe", "ingress"])?.ok()?;
    gateway.apply(&gateway.file("role.toml", &format!("{text}{role}"))?, &[])?.ok()?;
    gateway.reaches(&gateway.intruder, 443)?;
    gateway.agent.command(["enforce", "ingress"])?.refused()?;
    gateway.agent.command(["enforce", "--force"])?.ok()?;
    // Who has looked into it begins a new observation, and needs no force.
    gateway.agent.command(["observe"])?.ok()?;
    gateway.reaches(&gateway.intruder, 443)?;
    gateway.agent.command(["enforce"])?.refused()?;
    time_until("a new observation has seen nothing", PATIENCE, || {
        gateway.agent.command(["observe"])?.ok()?;
        Ok(gateway.agent.command(["enforce"])?.success())
    })?;
    assert_eq!(gateway.states()?, gateway.enforcing_states());
    Ok(())
}

/// Forged SYNs, from 768 addresses to twenty ports each, so that the table of who forgets the first one.
const CROWD: &str = "import socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW)
def syn(source,port):
  ip=struct.pack('!BBHHHBBH4s4s',0x45,0,40,0,0,64,6,0,source,bytes([192,0,2,10]))
  s.sendto(ip+struct.pack('!HHIIBBHHH',40000,port,1,0,0x50,2,64000,0,0),('192.0.2.10',0))
syn(bytes([203,0,113,7]),443)
for port in range(500,520):
  for net in ((192,0,2),(198,51,100),(203,0,113)):
    for host in range(256):
      if (net,host)!=((192,0,2),10): syn(bytes(net+(host,)),port)
";

#[test]
fn who_was_forgotten_counts_as_unknown() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let text = gateway.policy("observe", &[A]) + ROLE;
    gateway.apply(&gateway.file("role.toml", &text)?, &[])?.ok()?;
    gateway.intruder.run(["python3", "-c", CROWD])?.ok()?;
    let refused = gateway.agent.command(["enforce"])?.refused()?;
    println!("{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("SIE-IED-03: ingress tcp 443 with peers that are no longer known (1 packets)"),
        "{refused}"
    );
    gateway.agent.command(["observe"])?.ok()?;
    gateway.agent.command(["enforce"])?.ok()?;
    Ok(())
}

/// Generations have 14 bits: a flow that slept through all of them passed for one that the newest policy has judged.
#[test]
fn a_number_that_comes_round_again_lets_nothing_pass() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    gateway.apply(&gateway.enforcing(&[A, B])?, &[])?.ok()?;
    let target = format!("{EDGE}:{B}");
    let talk = [
        TRAFFIC,
        "run",
        &target,
        "--connections",
        "1",
        "--rounds",
        "2",
        "--pause",
        "20000",
        "--seconds",
        "60",
    ];
    let _talks = gateway.operator.spawn(talk)?;
    time_until("the connection lives", PATIENCE, || {
        Ok(gateway.json(&["status"])?["established"]["entries"].as_u64() > Some(0))
    })?;
    gateway.apply(&gateway.enforcing(&[A, B, C])?, &[])?.ok()?;
    // As after 16,381 more changes.
    let state = gateway.agent.state_dir().join("state.json");
    let text = fs::read_to_string(&state)?;
    ensure!(text.contains("\"generation\": 2,"), "{text}");
    fs::write(&state, text.replace("\"generation\": 2,", "\"generation\": 16383,"))?;
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    assert_eq!(gateway.generation()?, 3, "1 is that of a live flow");
    gateway.apply(&gateway.enforcing(&[A, C])?, &[])?.ok()?;
    assert_eq!((gateway.generation()?, gateway.open()?), (4, vec![A, C]));
    Ok(())
}

/// Nobody would be there to leave them when the programs go back by themselves.
#[test]
fn interfaces_follow_a_change_at_its_confirmation() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    gateway.edge.plug("enp3s0")?;
    let one = gateway.enforcing(&[A])?;
    gateway.apply(&one, &[])?.ok()?;
    let both = gateway.policy("enforce", &[A]).replace("[\"enp2s0\"]", "[\"enp2s0\", \"enp3s0\"]");
    let both = gateway.file("both.toml", &both.replace("tcp-4431", "tcp-both"))?;
    gateway.apply(&both, &["--confirm-within", "60s"])?.ok()?;
    assert_eq!((gateway.generation()?, gateway.states()?.len()), (2, 2));
    gateway.agent.command(["confirm"])?.ok()?;
    assert_eq!(gateway.states()?, ["enforcing-tc"; 4]);
    gateway.apply(&one, &["--confirm-within", "60s"])?.ok()?;
    assert_eq!(gateway.states()?.len(), 4);
    gateway.agent.command(["rollback"])?.ok()?;
    assert_eq!((gateway.generation()?, gateway.states()?.len()), (2, 4));
    gateway.apply(&one, &[])?.ok()?;
    assert_eq!(gateway.states()?.len(), 2);
    Ok(())
}
