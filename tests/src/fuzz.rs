//! What the fuzzers do with a string of bytes; the suite does the same with the corpus.
//!
//! Each function panics where a promise does not hold, and says nothing else.

use std::{cell::RefCell, io::Cursor, sync::LazyLock};

use ipnet::IpNet;
use jiff::civil::{Date, date};
use portreeve::{
    capture::Capture,
    image::{Image, Slots, simulation::Simulation},
    policy::{self, Catalogue, Policy, pack::Pack},
};
use portreeve_common::{Direction, Reason, Sight, look, sight::Part};

use simple_dns::rdata::RData;

use crate::{
    answer::question,
    frame::{Frame, frame},
    generator::Timed,
    model::Model,
    step::Step,
};

const HOST: &str = r#"
[host]
name = "fuzzed"
interfaces = ["eth0"]

[baseline]
dhcp = true
ping_from = ["198.51.100.0/24", "2001:db8:2::/64"]

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.0/24", "2001:db8:2::/64"], dns_servers = ["192.0.2.53"], ntp_servers = "any", ui_clients = "any" }

[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = [22, 80]
peers = ["198.51.100.0/24", "2001:db8::/32"]
reason = "by peers"

[[allow]]
id = "SITE-2"
direction = "ingress"
protocol = "udp"
port = [53, 161]
peers = "any"
reason = "by anybody"

[[allow]]
id = "SITE-3"
direction = "egress"
protocol = "icmp"
peers = "any"
reason = "echo"
"#;

/// A host that learns names.
const NAMED_HOST: &str = r#"
[[allow]]
id = "DNS"
direction = "egress"
protocol = "udp"
port = 53
peers = ["192.0.2.53"]
reason = "resolver"
[[allow]]
id = "CLOUD"
direction = "egress"
protocol = "tcp"
port = 443
peers = ["api.example.com", "*.example.net"]
reason = "names"
"#;
/// What the answers are to.
const ASKED: [(&str, bool); 3] =
    [("api.example.com", true), ("api.example.com", false), ("a.b.example.net", true)];

const TODAY: Date = date(2026, 11, 21);
const TICKS_PER_SECOND: u64 = 1_000;
/// Sequences that one pair of judges sees before it is made anew: what is over for long still takes memory.
const PAIR_LIFE: u32 = 10_000;
/// Milliseconds between two sequences: nothing of the last one lives on.
const APART: u64 = 1 << 32;

/// What a record of a sequence may wait for, in milliseconds: around each of the idle limits.
const WAITS: [u64; 8] = [0, 1, 29_999, 30_001, 60_001, 180_001, 3_600_000, 20_000_000];

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::built_in().expect("the built-in packs"));
static PROTECTED: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    ["192.0.2.10/24", "2001:db8:1::10/64"].map(|text| text.parse().expect("a prefix")).to_vec()
});
static NAMED: LazyLock<Policy> = LazyLock::new(|| {
    policy::compile("host.toml", NAMED_HOST, &CATALOGUE, TODAY)
        .unwrap_or_else(|report| panic!("{}", report.render(false)))
});
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    policy::compile("host.toml", HOST, &CATALOGUE, TODAY)
        .unwrap_or_else(|report| panic!("{}", report.render(false)))
});

/// A resolver's answer is read without a panic, and teaches no address that is not in its answer section.
pub fn answer(message: &[u8]) {
    let Some((choice, message)) = message.split_first() else { return };
    let Some((name, v4)) = ASKED.get(usize::from(*choice) % ASKED.len()) else { return };
    let Some(id) = message.first_chunk().copied().map(u16::from_be_bytes) else { return };
    let image = Image::compile(&NAMED, &PROTECTED, &mut Slots::default(), TICKS_PER_SECOND).expect("it fits");
    let simulation = Simulation::new(image);
    let ends = (("192.0.2.10", 50_000), ("192.0.2.53", 53));
    let end = |(address, port): (&str, u16)| (address.parse::<std::net::IpAddr>().expect("an address"), port);
    let (here, there) = (end(ends.0), end(ends.1));
    let asks = frame().from(here).to(there).udp().payload(question(id, name, *v4)).bytes();
    let answers = frame().from(there).to(here).udp().payload(message).bytes();
    assert!(simulation.judge(asks.as_slice(), Direction::Egress).passes());
    simulation.judge(answers.as_slice(), Direction::Ingress);
    let read = simple_dns::Packet::parse(message);
    for learned in simulation.learned() {
        let address = learned.address.octets();
        let bytes = if learned.address.is_v4() { &address[12..] } else { &address[..] };
        assert!(
            message.windows(bytes.len()).any(|window| window == bytes),
            "{} is not in it",
            learned.address
        );
        let Ok(read) = &read else { continue };
        let listed = read.answers.iter().any(|record| {
            matches!(&record.rdata, RData::A(a) if bytes == a.address.to_be_bytes())
                || matches!(&record.rdata, RData::AAAA(aaaa) if bytes == aaaa.address.to_be_bytes())
        });
        assert!(listed, "{} is not in the answer section", learned.address);
    }
}

/// A frame is read without a panic, and never beyond its end.
pub fn parser(frame: &[u8]) {
    for direction in Direction::ALL {
        let mut sight = Sight::default();
        look(frame, direction, &mut sight);
        let headers = &sight.headers;
        if sight.part == Part::Judged {
            let reason = Reason::from_index(sight.judged()).expect("a reason");
            assert!(!reason.passes() || headers.is_ip(), "{reason} of a frame that is not IP");
        } else if headers.is_ip() {
            assert!(headers.offset <= headers.end && headers.end as usize <= frame.len(), "{headers:?}");
        }
    }
}

/// Frames after each other get the same verdict from the shared lines, by both ways, and from the model.
pub fn decision(bytes: &[u8]) {
    JUDGES.with_borrow_mut(|judges| {
        if judges.used >= PAIR_LIFE {
            *judges = Judges::default();
        }
        judges.used += 1;
        judges.now += APART;
        for Timed { at, step: Step { direction, bytes } } in sequence(bytes) {
            let now = judges.now + at;
            let judged = judges.judge(&bytes, direction, now);
            assert_eq!(judged[0], judged[1], "the short way, {direction}, at {at}: {bytes:02x?}");
            let wanted = judges.model.judge(&bytes, direction, now).reason;
            assert_eq!(judged[0], wanted, "the model, {direction}, at {at}: {bytes:02x?}");
        }
    });
}

/// A pack is read, or refused with a message.
pub fn pack(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Err(error) = Pack::parse("pack.toml", text) {
        assert!(!error.to_string().is_empty());
    }
}

/// A host file becomes tables, or a report that names a line.
pub fn host(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match policy::compile("host.toml", text, &CATALOGUE, TODAY) {
        Ok(policy) => {
            let image = Image::compile(&policy, &PROTECTED, &mut Slots::default(), TICKS_PER_SECOND);
            assert!(image.is_ok() || !policy.rules.is_empty());
        }
        Err(report) => assert!(report.render(false).contains("host.toml"), "{}", report.render(false)),
    }
}

/// A capture's frames are no longer than the file, or what is wrong with it is said.
pub fn capture(bytes: &[u8]) {
    let Ok(capture) = Capture::new(Cursor::new(bytes)) else { return };
    for frame in capture {
        match frame {
            Ok(frame) => assert!(frame.bytes.len() <= bytes.len() + LINK_HEADER),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Captures without Ethernet headers get one.
const LINK_HEADER: usize = 32;

/// Two simulations and the model, with the same policy and state.
struct Judges {
    ways: [Simulation; 2],
    model: Model,
    now: u64,
    used: u32,
}

thread_local! {
    static JUDGES: RefCell<Judges> = RefCell::default();
}

impl Default for Judges {
    fn default() -> Self {
        let simulation = || {
            let image = Image::compile(&POLICY, &PROTECTED, &mut Slots::default(), TICKS_PER_SECOND);
            Simulation::new(image.expect("an image"))
        };
        Self {
            ways: [simulation(), simulation()],
            model: Model::new(&POLICY, &PROTECTED, 0),
            now: 0,
            used: 0,
        }
    }
}

impl Judges {
    fn judge(&self, frame: &[u8], direction: Direction, now: u64) -> [Reason; 2] {
        let [long, short] = &self.ways;
        long.set_now(now);
        short.set_now(now);
        [long.judge(frame, direction).reason(), short.judge_quickly(frame, direction).reason()]
    }
}

/// Records of a control byte (bit 0: direction, bits 1 to 3: the wait), two bytes of length, and a frame.
fn sequence(mut bytes: &[u8]) -> Vec<Timed> {
    let (mut steps, mut at) = (Vec::new(), 0);
    while let [control, high, low, rest @ ..] = bytes {
        let direction = Direction::ALL[usize::from(control & 1)];
        at += WAITS[usize::from(control >> 1 & 7)];
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (frame, others) = rest.split_at(length);
        steps.push(Timed { at, step: Step { direction, bytes: frame.to_vec() } });
        bytes = others;
    }
    steps
}

/// A sequence as [`decision`] reads it: what a corpus is made of. Waits are the number of one of the known ones.
#[must_use]
pub fn record(direction: Direction, wait: u8, frame: &Frame) -> Vec<u8> {
    let bytes = frame.bytes();
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let control = u8::from(direction == Direction::Egress) | (wait & 7) << 1;
    [&[control][..], &length.to_be_bytes(), &bytes].concat()
}
