//! Where an instance's maps, programs and links are pinned, so that they outlive the agent.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use aya::{maps::MapData, programs::ProgramInfo};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
    unistd::geteuid,
};

use super::{
    DatapathError,
    object::{SHARED_MAPS, in_object},
};
use crate::crash;

/// Where pins are unless told otherwise.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf/portreeve";
/// Where a bpffs is mounted by default.
const MOUNT: &str = "/sys/fs/bpf";
/// What an instance's folder holds.
const KINDS: [&str; 3] = ["links", "programs", "maps"];

/// Where a program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Ingress, in the driver.
    Xdp,
    /// Ingress, in front of the stack.
    Ingress,
    /// Egress, behind the stack.
    Egress,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Xdp, Self::Ingress, Self::Egress];

    /// In a pin's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The program that stands there.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Xdp => "ingress_xdp",
            Self::Ingress => "ingress_tc",
            Self::Egress => "egress_tc",
        }
    }

    /// The same program, to be asked and not attached.
    #[must_use]
    pub const fn asked_program(self) -> &'static str {
        match self {
            Self::Xdp => "asked_xdp",
            Self::Ingress => "asked_ingress",
            Self::Egress => "asked_egress",
        }
    }
}

/// The folder of an instance on a bpffs.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

impl Pins {
    /// `<bpffs>/<instance>`.
    #[must_use]
    pub fn new(bpffs: &Path, instance: &str) -> Self {
        Self { root: bpffs.join(instance) }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A map's pin.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    /// A program's pin.
    #[must_use]
    pub fn program(&self, interface: &str, hook: Hook) -> PathBuf {
        self.root.join("programs").join(format!("{}-{}", encode(interface), hook.name()))
    }

    /// The pin of the program that tells the time.
    #[must_use]
    pub fn clock(&self) -> PathBuf {
        self.root.join("programs").join("clock")
    }

    /// The pin of the program that changes what was learned.
    #[must_use]
    pub fn order(&self) -> PathBuf {
        self.root.join("programs").join("order")
    }

    /// A link's pin.
    #[must_use]
    pub fn link(&self, interface: &str, hook: Hook) -> PathBuf {
        self.root.join("links").join(format!("{}-{}", encode(interface), hook.name()))
    }

    /// Whether anything of this instance is in the kernel.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.map("SWITCH").exists() && self.map("SETTINGS").exists()
    }

    /// Makes the folders; mounts the bpffs at its usual place if the default is used and nobody did.
    ///
    /// # Errors
    /// The folder is on no bpffs, or may not be written.
    pub fn create(&self) -> Result<(), DatapathError> {
        if self.root.starts_with(DEFAULT_BPFFS) && !is_bpffs(Path::new(MOUNT)) {
            // Without it everybody may make folders there, and so own what is pinned in them.
            mount(Some("bpf"), MOUNT, Some("bpf"), MsFlags::empty(), Some("mode=0700"))
                .map_err(|errno| DatapathError::file("mount a bpffs at", MOUNT, errno.into()))?;
        }
        for kind in KINDS {
            let folder = self.root.join(kind);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|error| DatapathError::file("make", &folder, error))?;
            ensure_own(&folder)?;
        }
        ensure_own(&self.root)?;
        if is_bpffs(&self.root) {
            return Ok(());
        }
        let error =
            io::Error::other("it is on no bpffs: `mount -t bpf bpf <folder>`, or name another with --bpffs");
        Err(DatapathError::file("pin anything in", &self.root, error))
    }

    /// Interfaces and hooks that have a pinned link, or a pinned program: filters have no links.
    ///
    /// # Errors
    /// A folder can't be read.
    pub fn attached(&self) -> Result<Vec<(String, Hook)>, DatapathError> {
        let mut attached = Vec::new();
        for name in [names(&self.root.join("links"))?, names(&self.root.join("programs"))?].concat() {
            let parts = name.rsplit_once('-');
            let hook = parts.and_then(|(_, hook)| Hook::ALL.into_iter().find(|known| known.name() == hook));
            if let (Some((interface, _)), Some(hook)) = (parts, hook) {
                attached.push((decode(interface), hook));
            }
        }
        attached.sort();
        attached.dedup();
        Ok(attached)
    }

    /// Removes a pin, if it is there.
    ///
    /// # Errors
    /// It is there and stays.
    pub fn remove(path: &Path) -> Result<(), DatapathError> {
        crash::point();
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DatapathError::file("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// The maps whose pins are not there.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        SHARED_MAPS.into_iter().filter(|name| !self.map(name).exists()).collect()
    }

    /// Pins the maps again whose pins were removed, as long as a pinned program still has them; their names.
    ///
    /// # Errors
    /// The kernel does not say, or can't pin.
    pub fn mend(&self) -> Result<Vec<&'static str>, DatapathError> {
        let is_missing = |name: &&'static str| !self.map(name).exists();
        let missing = self.missing();
        let mut mended = Vec::new();
        if missing.is_empty() {
            return Ok(mended);
        }
        let folder = self.root.join("programs");
        for program in names(&folder)? {
            let failed = |error| DatapathError::program("pinned", "cannot read the maps of a program", error);
            let info = ProgramInfo::from_pin(folder.join(program)).map_err(failed)?;
            for id in info.map_ids().map_err(failed)?.unwrap_or_default() {
                let map = |source| DatapathError::Map { name: "of a program", source: Box::new(source) };
                let data = MapData::from_id(id).map_err(map)?;
                let info = data.info().map_err(map)?;
                let known = |name: &&&'static str| info.name_as_str() == Some(in_object(name));
                let Some(name) = missing.iter().find(known).filter(|name| is_missing(name)) else { continue };
                let path = self.map(name);
                data.pin(&path).map_err(|source| DatapathError::Pin { path, source: Box::new(source) })?;
                mended.push(*name);
            }
        }
        Ok(mended)
    }

    /// Lets go of maps and programs; links keep those that are attached.
    ///
    /// # Errors
    /// A pin stays.
    pub fn forget_maps(&self) -> Result<(), DatapathError> {
        for kind in ["programs", "maps"] {
            let folder = self.root.join(kind);
            names(&folder)?.iter().try_for_each(|name| Self::remove(&folder.join(name)))?;
        }
        Ok(())
    }

    /// Takes everything off: links first, so that nothing runs on maps that are going.
    ///
    /// # Errors
    /// A pin stays.
    pub fn remove_all(&self) -> Result<(), DatapathError> {
        for kind in KINDS {
            let folder = self.root.join(kind);
            for name in names(&folder)? {
                Self::remove(&folder.join(name))?;
            }
            remove_folder(&folder)?;
        }
        remove_folder(&self.root)?;
        // The folder above is shared with other instances; empty, nobody needs it. A mount point stays.
        if let Some(above) = self.root.parent().filter(|above| *above == Path::new(DEFAULT_BPFFS)) {
            let _others_may_live_there = fs::remove_dir(above);
        }
        Ok(())
    }
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC)
}

fn names(folder: &Path) -> Result<Vec<String>, DatapathError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| DatapathError::file("read", folder, error))?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_, _>>().map_err(|error| DatapathError::file("read", folder, error))
}

fn remove_folder(folder: &Path) -> Result<(), DatapathError> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DatapathError::file("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// bpffs takes no dots in names; interfaces of VLANs have them.
fn encode(interface: &str) -> String {
    let mut name = String::new();
    for c in interface.chars() {
        match c {
            '.' | '%' => write!(name, "%{:02x}", u32::from(c)).unwrap_or_default(),
            c => name.push(c),
        }
    }
    name
}

fn decode(name: &str) -> String {
    name.replace("%2e", ".").replace("%25", "%")
}

/// Whoever may write a folder may take away what is pinned in it.
///
/// # Errors
/// Others than this user may.
fn ensure_own(folder: &Path) -> Result<(), DatapathError> {
    let metadata =
        fs::symlink_metadata(folder).map_err(|error| DatapathError::file("look at", folder, error))?;
    let own = metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if own {
        return Ok(());
    }
    let error = io::Error::other("others own it or may write it: remove it as root, and try again");
    Err(DatapathError::file("trust", folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_have_no_dots() {
        let pins = Pins::new(Path::new("/sys/fs/bpf/portreeve"), "default");
        let link = pins.link("enp2s0.100", Hook::Egress);
        assert_eq!(link, Path::new("/sys/fs/bpf/portreeve/default/links/enp2s0%2e100-egress"));
        for name in ["enp2s0.100", "a%2eb", "veth-1", "%%.."] {
            assert_eq!(decode(&encode(name)), name);
            assert!(!encode(name).contains('.'));
        }
    }
}
