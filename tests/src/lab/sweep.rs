//! Removing a lab by its id: processes, namespaces, the bpffs, files.

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    mount::{MntFlags, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{host::ETC, process};

/// Begins the name of every namespace of every lab.
pub(super) const PREFIX: &str = "portreeve-";

/// One folder a lab. Only root may write to `/run`, so nobody else can put something there first.
pub(super) const FOLDER: &str = "/run/portreeve-lab";

/// Where `ip netns` keeps the names of namespaces.
const NAMES: &str = "/run/netns";

/// A killed process leaves its namespace within this time, or something is wrong with it.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// Ids of labs whose process is gone.
pub type Leftovers = BTreeSet<String>;

/// Removes the labs of processes that no longer live, and tells which.
///
/// # Errors
/// Something can't be removed.
pub fn dead() -> Result<Leftovers> {
    let dead: Leftovers = ids()?.into_iter().filter(|id| owner(id).is_some_and(|pid| !lives(pid))).collect();
    dead.iter().try_for_each(|id| lab(id))?;
    Ok(dead)
}

/// Removes all labs of one process.
pub(super) fn run(pid: u32) -> Result<()> {
    ids()?.iter().filter(|id| owner(id) == Some(pid)).try_for_each(|id| lab(id))
}

/// Removes one lab. What is already gone is no error.
pub(super) fn lab(id: &str) -> Result<()> {
    let mine = format!("{PREFIX}{id}-");
    let namespaces: Vec<_> = names(NAMES)?.into_iter().filter(|name| name.starts_with(&mine)).collect();
    for namespace in &namespaces {
        empty(namespace)?;
    }
    for namespace in &namespaces {
        let deleted = process::run(["ip", "netns", "delete", namespace])?;
        if exists(namespace) {
            deleted.ok()?;
        }
    }
    for name in names(ETC)?.into_iter().filter(|name| name.starts_with(&mine)) {
        gone(fs::remove_dir_all(Path::new(ETC).join(&name)), &name)?;
    }
    let dir = Path::new(FOLDER).join(id);
    match umount2(&dir.join("bpf"), MntFlags::MNT_DETACH) {
        // Not there, or not mounted: a lab that failed half way.
        Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => {}
        Err(error) => return Err(error).context("can't unmount the lab's bpffs"),
    }
    gone(fs::remove_dir_all(&dir), id)
}

/// Kills everything that runs in one of our namespaces. Only a lab starts processes there.
fn empty(namespace: &str) -> Result<()> {
    let begin = Instant::now();
    loop {
        let pids = process::run(["ip", "netns", "pids", namespace])?;
        if !exists(namespace) {
            return Ok(());
        }
        let pids: Vec<i32> = pids.ok()?.stdout.lines().filter_map(|line| line.trim().parse().ok()).collect();
        if pids.is_empty() {
            return Ok(());
        }
        if begin.elapsed() > LAST_BREATH {
            bail!("processes {pids:?} in {namespace} do not die");
        }
        for pid in pids {
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("can't kill {pid} in {namespace}")),
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Two runs may sweep at once, so the other one may be quicker.
fn exists(namespace: &str) -> bool {
    Path::new(NAMES).join(namespace).exists()
}

/// Ids of all labs that left any trace on this machine.
fn ids() -> Result<BTreeSet<String>> {
    let mut ids: BTreeSet<_> = names(FOLDER)?.into_iter().filter(|name| owner(name).is_some()).collect();
    ids.extend(
        [NAMES, ETC].into_iter().map(names).collect::<Result<Vec<_>>>()?.iter().flatten().filter_map(id_of),
    );
    Ok(ids)
}

/// The id in a namespace's name: `portreeve-<pid>-<n>-<host>`.
fn id_of(namespace: impl AsRef<str>) -> Option<String> {
    let rest = namespace.as_ref().strip_prefix(PREFIX)?;
    let mut parts = rest.splitn(3, '-');
    let (pid, n, _host) = (parts.next()?, parts.next()?, parts.next()?);
    let id = format!("{pid}-{n}");
    owner(&id).map(|_| id)
}

/// The process that made a lab.
fn owner(id: &str) -> Option<u32> {
    let (pid, n) = id.split_once('-')?;
    n.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn lives(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn names(folder: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("can't read {folder}")),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn gone(removed: io::Result<()>, what: &str) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {what}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn a_name_tells_its_lab() {
        assert_eq!(id_of("portreeve-123-0-edge"), Some("123-0".into()));
        assert_eq!(id_of("portreeve-123-4-edge-two"), Some("123-4".into()));
        for other in ["portreeve-edge", "portreeve-1-edge-0", "portreeve-123-0", "123-0-edge", "plant"] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
