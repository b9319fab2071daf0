//! A host: a network namespace with interfaces, in which commands and servers run.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};

use super::{Lab, PATIENCE, Server, interface::Interface, process, process::Output};

/// Where `ip netns exec` looks for files that replace those of `/etc` in a namespace.
pub(super) const ETC: &str = "/etc/netns";

/// A host that is up.
#[derive(Clone, Debug)]
pub struct Host {
    lab: Lab,
    name: String,
}

/// A host to be.
///
/// Interfaces come first to last; an address, a hardware address or [`HostBuilder::plain`] belongs to the latest.
#[derive(Debug)]
#[must_use = "a host stands only after `up`"]
pub struct HostBuilder {
    lab: Lab,
    name: String,
    interfaces: Vec<Interface>,
    routes: Vec<(String, String)>,
    resolver: Option<String>,
    forwards: bool,
}

impl HostBuilder {
    pub(super) fn new(lab: Lab, name: &str) -> Self {
        let name = name.to_owned();
        Self { lab, name, interfaces: Vec::new(), routes: Vec::new(), resolver: None, forwards: false }
    }

    /// Another interface, by its name in the host. A host that names none has `eth0`.
    pub fn interface(mut self, name: &str) -> Self {
        self.interfaces.push(Interface::new(name));
        self
    }

    /// Another address with its prefix length, of a documentation network.
    pub fn addr(mut self, address: &str) -> Self {
        self.latest().addresses.push(address.to_owned());
        self
    }

    /// The hardware address.
    pub fn mac(mut self, address: &str) -> Self {
        self.latest().mac = Some(address.to_owned());
        self
    }

    /// Without offloads: every packet on the wire is one that fits, with its checksum computed.
    pub fn plain(mut self) -> Self {
        self.latest().plain = true;
        self
    }

    /// A cable to an interface that this makes in `peer`, instead of one to the switch.
    pub fn wired_to(mut self, peer: &Host, interface: &str) -> Self {
        self.latest().peer = Some((peer.clone(), interface.to_owned()));
        self
    }

    /// A route; `default` is one.
    pub fn route(mut self, to: &str, via: &str) -> Self {
        self.routes.push((to.to_owned(), via.to_owned()));
        self
    }

    /// Who answers when a program in this host looks up a name.
    pub fn resolver(mut self, address: &str) -> Self {
        self.resolver = Some(address.to_owned());
        self
    }

    /// Forwards packets between its interfaces.
    pub fn forwards(mut self) -> Self {
        self.forwards = true;
        self
    }

    /// Makes the namespace, plugs in the cables, and sets the addresses.
    ///
    /// # Errors
    /// An address outside the documentation networks, a name that is taken, or a refusal of the kernel's.
    pub fn up(self) -> Result<Host> {
        let Self { lab, name, mut interfaces, routes, resolver, forwards } = self;
        if interfaces.is_empty() {
            interfaces.push(Interface::new("eth0"));
        }
        let host = Host { lab, name };
        host.make(&interfaces, &routes, resolver.as_deref(), forwards)
            .with_context(|| format!("can't set up the host {}", host.name))?;
        Ok(host)
    }

    fn latest(&mut self) -> &mut Interface {
        if self.interfaces.is_empty() {
            self.interfaces.push(Interface::new("eth0"));
        }
        let last = self.interfaces.len() - 1;
        &mut self.interfaces[last]
    }
}

impl Host {
    /// Its short name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lab that it stands in.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Its network namespace, as `ip netns` knows it.
    #[must_use]
    pub fn namespace(&self) -> String {
        self.lab.namespace(&self.name)
    }

    /// Removes an interface with its cable.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unplug(&self, interface: &str) -> Result<()> {
        process::run(["ip", "-n", &self.namespace(), "link", "delete", interface])?.ok()?;
        Ok(())
    }

    /// Plugs an interface into the switch, down and without an address, as a device that has just been found.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn plug(&self, interface: &str) -> Result<()> {
        Interface::new(interface).plug_in(self)
    }

    /// Runs a command in the host, for [`PATIENCE`] at most. A failing command is an `Ok` with its code.
    ///
    /// # Errors
    /// The command can't be started, or does not end.
    pub fn run<I, S>(&self, words: I) -> Result<Output>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.run_within(PATIENCE, words)
    }

    /// Runs a command in the host, for `patience` at most.
    ///
    /// # Errors
    /// The command can't be started, or does not end.
    pub fn run_within<I, S>(&self, patience: Duration, words: I) -> Result<Output>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        process::finish(self.command(words)?, patience)
    }

    /// Starts a server in the host; its output goes to a log, and it ends when it is dropped.
    ///
    /// # Errors
    /// It can't be started.
    pub fn spawn<I, S>(&self, words: I) -> Result<Server>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Server::spawn(self, self.command(words)?)
    }

    /// A command that runs in the host, for those who want its standard input or environment.
    ///
    /// It dies with the thread that starts it.
    ///
    /// # Errors
    /// There are no words.
    pub fn command<I, S>(&self, words: I) -> Result<Command>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        // Both wrappers become the command itself: its process is our child, and is the one that a kill reaches.
        let mut command = process::command(["ip", "netns", "exec", &self.namespace()])?;
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]).args(words).env("PATH", process::path());
        Ok(command)
    }

    /// Does something on a thread of its own that is in the host: its sockets, and what it reads in
    /// `/proc/thread-self/net`, are the host's.
    ///
    /// # Errors
    /// The thread can't get in, or `work` fails.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = Path::new("/run/netns").join(self.namespace());
        let namespace = File::open(&path).with_context(|| format!("can't open {}", path.display()))?;
        let inside = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).context("can't enter the namespace")?;
            work()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Whether a socket of the host listens on this port.
    ///
    /// # Errors
    /// `ss` can't tell.
    pub fn listens(&self, protocol: &str, port: u16) -> Result<bool> {
        let filter = format!("sport = :{port}");
        let sockets = self.run(["ss", "-H", "-l", "-n", &format!("--{protocol}"), &filter])?.ok()?;
        Ok(!sockets.stdout.trim().is_empty())
    }

    fn make(
        &self,
        interfaces: &[Interface],
        routes: &[(String, String)],
        resolver: Option<&str>,
        forwards: bool,
    ) -> Result<()> {
        let namespace = self.namespace();
        if let Some(address) = resolver {
            // Before the first command runs in the namespace: it is then that the file is put in place.
            let etc = format!("{ETC}/{namespace}");
            fs::create_dir_all(&etc).with_context(|| format!("can't make {etc}"))?;
            fs::write(format!("{etc}/resolv.conf"), format!("nameserver {address}\noptions timeout:1\n"))?;
        }
        process::run(["ip", "netns", "add", &namespace])?.ok()?;
        // A namespace lives for seconds: no time to probe whether an address is taken.
        let mut settings = vec!["echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad"];
        if forwards {
            settings.push("echo 1 > /proc/sys/net/ipv4/ip_forward");
            settings.push("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        }
        self.run(["sh", "-ec", &settings.join("\n")])?.ok()?;
        process::run(["ip", "-n", &namespace, "link", "set", "lo", "up"])?.ok()?;
        for interface in interfaces {
            interface.plug(self)?;
        }
        for (to, via) in routes {
            process::run(["ip", "-n", &namespace, "route", "add", to, "via", via])?.ok()?;
        }
        Ok(())
    }
}
