//! Debian's xdp-filter with the same rules: its loaded object to be timed, and the tool itself on an interface.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData, PerCpuArray, PerCpuHashMap, PerCpuValues},
    programs::Xdp,
    util::nr_cpus,
};
use portreeve_tests::lab::Host;

use super::{
    policy::{LISTED, OPEN, OPEN_UDP, Rule, rules},
    programs,
};

/// What denies unless a rule matches, with all features.
const OBJECT: &str = "bpf/xdpfilt_dny_all.o";
/// Where packages put it: here, or below one folder for the architecture.
const LIBRARIES: &str = "/usr/lib";
const PROGRAM: &str = "xdpfilt_dny_all";
/// Its maps' flags (`common_kern_user.h` of xdp-tools): match as source, as destination, TCP, UDP.
const SOURCE: u64 = 1;
const DESTINATION: u64 = 2;
const TCP: u64 = 4;
const UDP: u64 = 8;
/// Its tables of addresses end here.
const MOST: usize = 10_000;

/// Its program, loaded.
pub(crate) struct XdpFilter {
    ebpf: Ebpf,
}

impl XdpFilter {
    /// Loads the object that the package brings, and its rules; `pins` is a folder of a bpffs.
    pub(crate) fn load(count: usize, pins: &Path) -> Result<Self> {
        std::fs::create_dir_all(pins)?;
        let mut loader = EbpfLoader::new();
        loader.default_map_pin_directory(pins);
        let mut ebpf = loader.load_file(object()?).context("can't load xdp-filter's object")?;
        let program = ebpf.program_mut(PROGRAM).context("no program in xdp-filter's object")?;
        <&mut Xdp>::try_from(program)?.load().context("can't load xdp-filter's program")?;
        fill(count, pins)?;
        Ok(Self { ebpf })
    }

    /// Runs a frame through it.
    pub(crate) fn run(&self, frame: &[u8], repeat: u32) -> Result<(f64, u32)> {
        let program = self.ebpf.program(PROGRAM).context("no program in xdp-filter's object")?;
        programs::run(program.try_into()?, frame, repeat)
    }
}

fn object() -> Result<PathBuf> {
    let here = std::iter::once(PathBuf::from(LIBRARIES));
    let below = std::fs::read_dir(LIBRARIES)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut places = here.chain(below).map(|folder| folder.join(OBJECT));
    places.find(|file| file.is_file()).with_context(|| format!("no {OBJECT}: run `cargo xtask setup`"))
}

/// Puts the tool's program in front of an interface of a host, with these rules. `pins`: a folder of the lab's bpffs.
pub(crate) fn attach(host: &Host, interface: &str, count: usize, pins: &Path) -> Result<()> {
    std::fs::create_dir_all(pins)?;
    let pins_text = pins.to_string_lossy();
    // The tool pins below /sys/fs/bpf, which a host has only for the time of one command.
    let script = "mount --bind \"$1\" /sys/fs/bpf && exec xdp-filter load --mode native --policy deny \"$2\"";
    host.run(["sh", "-ec", script, "sh", &pins_text, interface])?.ok()?;
    fill(count, &pins.join("xdp-filter"))
}

/// Through the maps: the tool takes one rule at a time.
fn fill(count: usize, pins: &Path) -> Result<()> {
    ensure!(count <= MOST, "xdp-filter has no room for {count} addresses");
    let open = |name: &str| -> Result<Map> {
        let data = MapData::from_pin(pins.join(name)).with_context(|| format!("no map {name}"))?;
        Ok(Map::from_map_data(data)?)
    };
    let cpus = nr_cpus().map_err(|(_, error)| error)?;
    let all = |flags: u64| PerCpuValues::try_from(vec![flags; cpus]);
    let mut ports = PerCpuArray::<_, u64>::try_from(open("filter_ports")?)?;
    for (port, protocol) in [(OPEN, TCP), (LISTED, TCP), (OPEN_UDP, UDP)] {
        ports.set(u32::from(port.to_be()), all(DESTINATION | protocol)?, 0)?;
    }
    let (mut v4, mut v6) = (
        PerCpuHashMap::<_, [u8; 4], u64>::try_from(open("filter_ipv4")?)?,
        PerCpuHashMap::<_, [u8; 16], u64>::try_from(open("filter_ipv6")?)?,
    );
    for (number, Rule { port: _, v4: _, v6: address }) in (0_u16..).zip(rules(count)) {
        // An address passes with all ports, so the frames' own may not be there. These are RFC 2544's.
        let [high, low] = number.to_be_bytes();
        v4.insert([198, 18, high, low], all(SOURCE)?, 0)?;
        v6.insert(address.octets(), all(SOURCE)?, 0)?;
    }
    Ok(())
}
