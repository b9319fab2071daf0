//! Frames of our own on a wire: written as a capture, sent by tcpreplay.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{Host, Output};

/// The header of a capture with microseconds, in this machine's byte order, of Ethernet frames.
const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
const LONGEST: u32 = 65_535;
const ETHERNET: u32 = 1;
/// A million frames take longer than other commands.
const PATIENCE: Duration = Duration::from_secs(180);

/// Writes frames as a capture, all of them at one moment.
///
/// # Errors
/// The file can't be written.
pub fn write_capture(path: &Path, frames: impl Iterator<Item = Vec<u8>>) -> Result<()> {
    let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    file.write_all(&MAGIC.to_ne_bytes())?;
    VERSION.iter().try_for_each(|number| file.write_all(&number.to_ne_bytes()))?;
    for word in [0, 0, LONGEST, ETHERNET] {
        file.write_all(&word.to_ne_bytes())?;
    }
    for frame in frames {
        let length = u32::try_from(frame.len())?;
        for word in [0, 0, length, length] {
            file.write_all(&word.to_ne_bytes())?;
        }
        file.write_all(&frame)?;
    }
    Ok(file.flush()?)
}

/// Sends a capture's frames out of an interface, as fast as it goes.
///
/// # Errors
/// tcpreplay can't be started, or does not end.
pub fn send_capture(host: &Host, interface: &str, path: &Path) -> Result<Output> {
    host.run_within(PATIENCE, ["tcpreplay", "--topspeed", "--intf1", interface, &path.to_string_lossy()])
}
