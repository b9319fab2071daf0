//! All packs that a host file can name: those built in, and those of a folder in their place.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    host::permissions::{self, PermissionError},
    pack::{Pack, PackError},
};

/// Where a site keeps its own packs unless told otherwise.
pub const SITE_PACKS: &str = "/etc/portreeve/packs";

const BUILT_IN: [(&str, &str); 5] = [
    ("siemens-industrial-edge.toml", include_str!("../../../policies/siemens-industrial-edge.toml")),
    ("machinemetrics-edge.toml", include_str!("../../../policies/machinemetrics-edge.toml")),
    ("dataminer.toml", include_str!("../../../policies/dataminer.toml")),
    ("clearscada.toml", include_str!("../../../policies/clearscada.toml")),
    ("biamp-impera.toml", include_str!("../../../policies/biamp-impera.toml")),
];

/// The packs, each under its own name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

/// A pack and where it was read from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The pack.
    pub pack: Pack,
    /// `None`: built in.
    pub file: Option<PathBuf>,
}

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A pack is broken.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A folder or file can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else may change what is enforced.
    #[error("{source}: {}", source.help())]
    Untrusted {
        /// Who, and where.
        source: PermissionError,
    },
    /// Two packs use one id, so that its counter would mean two things.
    #[error("flow {id} stands in two packs: {first} and {second}")]
    FlowTwice {
        /// The flow.
        id: String,
        /// The pack that had it first.
        first: String,
        /// The pack that has it too.
        second: String,
    },
}

impl Catalogue {
    /// The packs that the binary carries.
    ///
    /// # Errors
    /// Only a broken build has any.
    pub fn built_in() -> Result<Self, CatalogueError> {
        let mut entries = Vec::new();
        for (file, text) in BUILT_IN {
            entries.push(Entry { pack: Pack::parse(file, text)?, file: None });
        }
        Self { entries }.checked()
    }

    /// The built-in packs with those of a folder in place of their namesakes or beside them.
    ///
    /// Without `folder`, [`SITE_PACKS`] is used if it is there.
    ///
    /// # Errors
    /// A folder or pack that can't be read, broken packs, and flow ids that two packs use.
    pub fn load(folder: Option<&Path>) -> Result<Self, CatalogueError> {
        Self::with_packs_of(folder, |path| fs::read_to_string(path).map_err(unreadable(path)))
    }

    /// As [`Catalogue::load`], for commands that carry a policy out: a folder or a pack that others can write is
    /// refused, as such a host file is.
    ///
    /// # Errors
    /// As [`Catalogue::load`]; who else can change what is enforced.
    pub fn load_trusted(folder: Option<&Path>) -> Result<Self, CatalogueError> {
        let untrusted = |source| CatalogueError::Untrusted { source };
        let site = Path::new(SITE_PACKS);
        if let Some(folder) = folder.or_else(|| site.is_dir().then_some(site)) {
            permissions::folder(folder).map_err(untrusted)?;
        }
        Self::with_packs_of(folder, |path| {
            io::read_to_string(permissions::open(path).map_err(untrusted)?).map_err(unreadable(path))
        })
    }

    fn with_packs_of(
        folder: Option<&Path>,
        read: impl Fn(&Path) -> Result<String, CatalogueError>,
    ) -> Result<Self, CatalogueError> {
        let catalogue = Self::built_in()?;
        let site = Path::new(SITE_PACKS);
        match folder {
            Some(folder) => catalogue.overlaid(folder, read),
            None if site.is_dir() => catalogue.overlaid(site, read),
            None => Ok(catalogue),
        }
    }

    fn overlaid(
        mut self,
        folder: &Path,
        read: impl Fn(&Path) -> Result<String, CatalogueError>,
    ) -> Result<Self, CatalogueError> {
        for path in pack_files(folder)? {
            let text = read(&path)?;
            let pack = Pack::parse(&path.display().to_string(), &text)?;
            let entry = Entry { pack, file: Some(path) };
            match self.entries.iter_mut().find(|old| old.pack.name == entry.pack.name) {
                Some(old) => *old = entry,
                None => self.entries.push(entry),
            }
        }
        self.checked()
    }

    fn checked(self) -> Result<Self, CatalogueError> {
        let mut seen = std::collections::BTreeMap::new();
        for pack in self.packs() {
            for flow in &pack.flows {
                if let Some(first) = seen.insert(flow.id.as_str(), pack.name.as_str()) {
                    let (id, first, second) = (flow.id.clone(), first.to_owned(), pack.name.clone());
                    return Err(CatalogueError::FlowTwice { id, first, second });
                }
            }
        }
        Ok(self)
    }

    /// Every pack with its file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every pack.
    pub fn packs(&self) -> impl Iterator<Item = &Pack> {
        self.entries.iter().map(|entry| &entry.pack)
    }

    /// The pack of this name.
    #[must_use]
    pub fn pack(&self, name: &str) -> Option<&Pack> {
        self.packs().find(|pack| pack.name == name)
    }

    /// Whether a document has a flow of this id.
    #[must_use]
    pub fn documents(&self, id: &str) -> bool {
        self.packs().any(|pack| pack.flows.iter().any(|flow| flow.id == id))
    }
}

/// The `.toml` files of a folder, by name, so that two runs read the same.
fn pack_files(folder: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> CatalogueError {
    let path = path.to_owned();
    |source| CatalogueError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_in_for_built_in_packs() {
        let folder = tempfile::tempdir().unwrap();
        let text = BUILT_IN[3].1.replace("GEO-", "OWN-").replace("vendor = \"", "vendor = \"Our ");
        fs::write(folder.path().join("own.toml"), &text).unwrap();
        fs::write(folder.path().join("read.me"), "no pack").unwrap();
        let catalogue = Catalogue::load(Some(folder.path())).unwrap();
        assert_eq!(catalogue.entries().len(), BUILT_IN.len());
        assert!(catalogue.pack("clearscada").unwrap().vendor.starts_with("Our "));
        assert!(catalogue.documents("OWN-MAIN-01") && !catalogue.documents("GEO-MAIN-01"));
    }

    #[test]
    fn a_flow_id_belongs_to_one_pack() {
        let folder = tempfile::tempdir().unwrap();
        let text = BUILT_IN[3].1.replace("name = \"clearscada\"", "name = \"copy\"");
        fs::write(folder.path().join("copy.toml"), &text).unwrap();
        let error = Catalogue::load(Some(folder.path())).unwrap_err();
        assert!(matches!(error, CatalogueError::FlowTwice { .. }), "{error}");
    }

    #[test]
    fn packs_that_others_can_write_are_read_and_not_obeyed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        fs::write(&path, BUILT_IN[3].1).unwrap();
        for (of, mode, fine) in [
            (path.as_path(), 0o644, true),
            (&path, 0o664, false),
            (&path, 0o646, false),
            (&path, 0o600, true),
            (folder.path(), 0o777, false),
            (folder.path(), 0o755, true),
        ] {
            fs::set_permissions(of, fs::Permissions::from_mode(mode)).unwrap();
            let trusted = Catalogue::load_trusted(Some(folder.path()));
            assert_eq!(trusted.is_ok(), fine, "{} {mode:o}: {trusted:?}", of.display());
            assert!(Catalogue::load(Some(folder.path())).is_ok());
        }
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let error = Catalogue::load(Some(Path::new("/nonexistent/packs"))).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/packs"));
    }
}
