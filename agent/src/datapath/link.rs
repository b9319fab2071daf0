//! Links: what attaches a program to an interface, and stays when it is pinned.

use std::{fs, path::Path};

use aya::programs::links::{FdLink, PinnedLink};

use super::DatapathError;

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// Its number.
    pub id: u32,
    /// The program that runs.
    pub program: u32,
    /// The interface's index; `None` when that interface is gone.
    pub index: Option<u32>,
}

/// Opens a pinned link.
///
/// # Errors
/// There is one, but it can't be opened.
pub fn open(path: &Path) -> Result<Option<FdLink>, DatapathError> {
    if !path.exists() {
        return Ok(None);
    }
    let link = PinnedLink::from_pin(path).map_err(|source| failed(path, source))?;
    Ok(Some(link.into()))
}

/// What stands behind a pinned link.
///
/// # Errors
/// The kernel does not say.
pub fn facts(path: &Path, link: &FdLink) -> Result<LinkFacts, DatapathError> {
    let info = link.info().map_err(|source| failed(path, source))?;
    Ok(LinkFacts { id: info.id(), program: info.program_id(), index: index(info.id())? })
}

/// Whether this process has a link open on which the program of this number runs.
///
/// There is no need to list all links of the kernel, which only `CAP_SYS_ADMIN` may.
///
/// # Errors
/// The kernel does not say.
pub(super) fn holds(program: u32) -> Result<bool, DatapathError> {
    let runs = |text: String| number(&text, "link_id:").and(number(&text, "prog_id:")) == Some(program);
    Ok(open_here()?.any(runs))
}

fn failed(path: &Path, source: aya::programs::links::LinkError) -> DatapathError {
    DatapathError::Link { what: path.display().to_string(), source: Box::new(source) }
}

/// The interface of a link that this process has open. aya does not hand its index out; `/proc` does.
fn index(id: u32) -> Result<Option<u32>, DatapathError> {
    let own = open_here()?.find(|text| number(text, "link_id:") == Some(id));
    Ok(own.and_then(|text| number(&text, "ifindex:")).filter(|index| *index != 0))
}

/// What the kernel tells of every descriptor of this process.
fn open_here() -> Result<impl Iterator<Item = String>, DatapathError> {
    const FOLDER: &str = "/proc/self/fdinfo";
    let entries = fs::read_dir(FOLDER).map_err(|error| DatapathError::file("read", FOLDER, error))?;
    // Descriptors come and go while other threads work.
    Ok(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()))
}

fn number(text: &str, key: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_link_names_its_interface() {
        let text = "pos:\t0\nlink_type:\ttcx\nlink_id:\t7\nprog_tag:\t3b\nprog_id:\t41\nifindex:\t12\n";
        assert_eq!(number(text, "link_id:"), Some(7));
        assert_eq!(number(text, "ifindex:"), Some(12));
        assert_eq!(number(text, "absent:"), None);
    }
}
