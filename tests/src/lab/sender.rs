//! Frames of our own on a wire, one by one: as they are, or with all behind the Ethernet header in pages.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::AsRawFd as _,
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::socket::{AddressFamily, SockFlag, SockType, bind, socket},
};

use super::Host;

/// A ring that a socket's frames are sent from (`PACKET_TX_RING` in `linux/if_packet.h`): the kernel copies the Ethernet
/// header, and the rest stays in the pages of the ring (`tpacket_fill_skb` in `net/packet/af_packet.c`). A frame a line.
const RING: &str = r"
import errno, mmap, socket, struct, sys
PACKET, TX_RING, VERSION, V2, REQUEST, FRAME, DATA = 263, 13, 10, 1, 1, 16384, 32
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.setsockopt(PACKET, VERSION, V2)
s.setsockopt(PACKET, TX_RING, struct.pack('IIII', FRAME, 1, FRAME, 1))
s.bind((sys.argv[1], 0))
ring = mmap.mmap(s.fileno(), FRAME)
for line in sys.stdin:
    frame = bytes.fromhex(line)
    ring[DATA:DATA + len(frame)] = frame
    struct.pack_into('II', ring, 0, REQUEST, len(frame))
    try:
        s.send(b'')
    except OSError as error:
        # What a classifier drops was sent all the same; its place asks to be sent again.
        if error.errno != errno.ENOBUFS:
            raise
        struct.pack_into('I', ring, 0, 0)
    print(struct.unpack_from('I', ring)[0], flush=True)
";

/// Sends frames out of an interface.
#[derive(Debug)]
pub enum Sender {
    /// As they are.
    Whole(File),
    /// With all behind the Ethernet header in pages.
    Paged(Ring),
}

/// A process with such a ring.
#[derive(Debug)]
pub struct Ring {
    child: Child,
    frames: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sender {
    /// A sender that leaves frames as they are.
    ///
    /// # Errors
    /// There is no such interface, or no socket for it.
    pub fn whole(host: &Host, interface: &str) -> Result<Self> {
        let opened = host.within(|| {
            let mut all = getifaddrs()?.filter(|known| known.interface_name == interface);
            let link = all.find_map(|known| known.address?.as_link_addr().copied());
            let link = link.with_context(|| format!("no interface {interface}"))?;
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
            bind(socket.as_raw_fd(), &link)?;
            Ok(socket)
        });
        Ok(Self::Whole(opened?.into()))
    }

    /// A sender of frames in pages.
    ///
    /// # Errors
    /// It can't be started.
    pub fn paged(host: &Host, interface: &str) -> Result<Self> {
        let mut command = host.command(["/usr/bin/python3", "-c", RING, interface])?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("python3")?;
        let frames = child.stdin.take().context("no input")?;
        let answers = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self::Paged(Ring { child, frames, answers }))
    }

    /// Sends one.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        match self {
            Self::Whole(socket) => {
                let sent = socket.write(frame);
                // What a classifier drops was sent all the same.
                if sent.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::ENOBUFS as i32)) {
                    return Ok(());
                }
                let sent = sent.with_context(|| format!("{} bytes", frame.len()))?;
                ensure!(sent == frame.len(), "{sent} of {} bytes sent", frame.len());
                Ok(())
            }
            Self::Paged(ring) => ring.send(frame),
        }
    }
}

impl Ring {
    fn send(&mut self, frame: &[u8]) -> Result<()> {
        let line: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.frames, "{line}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        // Anything else than an empty place in the ring is a frame that the kernel did not like.
        match answer.trim() {
            "0" => Ok(()),
            "" => bail!("the ring's process has ended: {:?}", self.child.wait()?),
            status => bail!("the kernel takes no frame of {} bytes from a ring: {status}", frame.len()),
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // It has been told by the end of its input, at the latest by this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
