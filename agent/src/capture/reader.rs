//! The iterator over a capture's frames, whichever of the two formats it has.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use super::{CaptureError, Frame, Packet, link, pcap::Pcap, pcapng::Pcapng, source::Source};

/// Frames of a capture, in file order. After an error it ends.
pub struct Capture<R> {
    source: Source<R>,
    format: Format,
    packets: u64,
    ended: bool,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Capture<BufReader<File>> {
    /// Opens a capture file.
    ///
    /// # Errors
    /// As [`Capture::new`], and when the file can't be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| CaptureError::Open { path: path.into(), source })?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read> Capture<R> {
    /// Reads the header; a reader that is slow by the byte wants a [`BufReader`] around it.
    ///
    /// # Errors
    /// When the input is empty, is not a capture, or ends within its header.
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        let mut source = Source::new(reader);
        let format = match source.fill(MAGIC_LENGTH)? {
            [] => return Err(CaptureError::Empty),
            magic if Pcapng::begins_with(magic) => Format::Pcapng(Pcapng::default()),
            magic if Pcap::begins_with(magic) => Format::Pcap(Pcap::open(&mut source)?),
            _ => return Err(CaptureError::NotACapture { first: first_bytes(&mut source)? }),
        };
        Ok(Self { source, format, packets: 0, ended: false })
    }

    fn frame(&mut self) -> Result<Option<Frame>, CaptureError> {
        let packet: Option<Packet> = match &mut self.format {
            Format::Pcap(pcap) => pcap.packet(&mut self.source, self.packets)?,
            Format::Pcapng(pcapng) => pcapng.packet(&mut self.source, self.packets)?,
        };
        packet.map(|packet| link::frame(self.packets + 1, packet)).transpose()
    }
}

impl<R: Read> Iterator for Capture<R> {
    type Item = Result<Frame, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let frame = self.frame().transpose();
        match &frame {
            Some(Ok(_)) => self.packets += 1,
            Some(Err(_)) | None => self.ended = true,
        }
        frame
    }
}

/// Both formats begin with a magic number of this many bytes.
const MAGIC_LENGTH: usize = 4;

fn first_bytes<R: Read>(source: &mut Source<R>) -> Result<String, CaptureError> {
    let bytes: Vec<_> = source.fill(8)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(bytes.join(" "))
}
