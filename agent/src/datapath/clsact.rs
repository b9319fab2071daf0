//! Programs at TC where the kernel has no TCX (before Linux 6.6): filters of a clsact qdisc.
//!
//! No pin keeps such a filter, and none names it: it stands there until it is taken off, and is found by its place. The
//! first priority and a handle that goes by the instance are ours, as long as the program there is.

use aya::programs::{
    SchedClassifier, TcAttachType, loaded_programs,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle},
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle as Place, TcMessage, TcOption},
};

use super::{DatapathError, Pins, foreign, pins::Hook, route};
use crate::crash;

/// The first that a filter may have.
const PRIORITY: u16 = 1;
/// `ETH_P_ALL` (`linux/if_ether.h`).
const ALL_PROTOCOLS: u16 = 3;
/// Filters that are programs.
const KIND: &str = "bpf";

/// A filter in a direction of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    kind: String,
    priority: u16,
    handle: u32,
    program: Option<u32>,
}

/// Whether programs attach by links in front of the stack; else by filters.
///
/// With the feature `crash-points` a test may say that they do not, on a kernel where they do.
#[must_use]
pub fn has_tcx(name: &str) -> bool {
    let denied = cfg!(feature = "crash-points") && std::env::var_os("PORTREEVE_NO_TCX").is_some();
    !denied && SchedClassifier::query_tcx(name, TcAttachType::Ingress).is_ok()
}

/// Makes a program, which is loaded, a filter in front of all others; ours is replaced in place. Whether the qdisc was made
/// for it.
///
/// # Errors
/// The kernel refuses, or another program has our place.
pub fn attach(
    program: &mut SchedClassifier,
    pins: &Pins,
    name: &str,
    index: u32,
    hook: Hook,
) -> Result<bool, DatapathError> {
    let failed = |error| {
        DatapathError::program(hook.program(), format!("cannot attach {} to {name}", hook.program()), error)
    };
    let refused = |why: String| DatapathError::Filter { interface: name.into(), why };
    let made = !has_qdisc(index)?;
    if made {
        crash::point();
        tc::qdisc_add_clsact(name).map_err(|error| refused(format!("no clsact qdisc: {error}")))?;
    }
    let (way, handle) = (way(hook), TcHandle::from(handle(pins)));
    let filters = filters(index, hook)?;
    // One priority has filters of one kind.
    if let Some(other) = filters.iter().find(|filter| filter.priority == PRIORITY && filter.kind != KIND) {
        return Err(refused(format!("{} has the first priority", other.describe())));
    }
    let at = filters.into_iter().find(|filter| filter.is_at(pins));
    crash::point();
    let id = match at {
        Some(filter) if filter.runs(hook) => {
            let old = SchedClassifierLink::attached(name, way, PRIORITY, handle, None)
                .map_err(|error| refused(error.to_string()))?;
            program.attach_to_link(old).map_err(failed)?
        }
        Some(filter) => return Err(refused(format!("{} has our place", filter.describe()))),
        None => {
            let options = NlOptions { priority: PRIORITY, handle, classid: None };
            program.attach_with_options(name, way, TcAttachOptions::Netlink(options)).map_err(failed)?
        }
    };
    // Dropped, it would take the filter off, which is to outlive this process. It holds nothing but numbers.
    std::mem::forget(program.take_link(id).map_err(failed)?);
    Ok(made)
}

/// The program of our filter, and the filters that packets come to before it.
///
/// # Errors
/// The kernel does not say.
pub fn find(pins: &Pins, index: u32, hook: Hook) -> Result<Option<(u32, Vec<Filter>)>, DatapathError> {
    let mut filters = filters(index, hook)?;
    let Some(at) = filters.iter().position(|filter| filter.is_at(pins)) else { return Ok(None) };
    let program = filters.get(at).and_then(|filter| filter.program);
    filters.truncate(at);
    Ok(program.map(|program| (program, filters)))
}

/// Takes our filter off, if it is there.
///
/// # Errors
/// It is there and stays.
pub fn remove(pins: &Pins, index: u32, hook: Hook) -> Result<(), DatapathError> {
    let filters = filters(index, hook)?;
    if !filters.iter().any(|filter| filter.is_at(pins) && filter.runs(hook)) {
        return Ok(());
    }
    crash::point();
    let mut message = message(index, parent(hook));
    message.header.handle = Place::from(handle(pins));
    message.header.info = u32::from(PRIORITY) << 16 | u32::from(ALL_PROTOCOLS.to_be());
    message.attributes.push(TcAttribute::Kind(KIND.into()));
    route::ask(RouteNetlinkMessage::DelTrafficFilter(message)).map(drop).map_err(failed(index))
}

/// Takes the qdisc off, unless somebody else has a filter there.
///
/// # Errors
/// It stays.
pub fn remove_qdisc(index: u32) -> Result<(), DatapathError> {
    for hook in [Hook::Ingress, Hook::Egress] {
        if !filters(index, hook)?.is_empty() {
            return Ok(());
        }
    }
    if !has_qdisc(index)? {
        return Ok(());
    }
    crash::point();
    let mut message = message(index, Place::CLSACT);
    message.header.handle = Place { major: Place::CLSACT.major, minor: 0 };
    route::ask(RouteNetlinkMessage::DelQueueDiscipline(message)).map(drop).map_err(failed(index))
}

impl Filter {
    /// Kind, place and program.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { kind, priority, handle, program } = self;
        let program = program.map(|id| format!(", {}", foreign::describe(id))).unwrap_or_default();
        format!("a filter ({kind}, priority {priority}, handle {handle:#x}{program})")
    }

    fn is_at(&self, pins: &Pins) -> bool {
        self.priority == PRIORITY && self.handle == handle(pins)
    }

    /// Whether its program has the name of ours.
    fn runs(&self, hook: Hook) -> bool {
        let info = loaded_programs().flatten().find(|program| Some(program.id()) == self.program);
        info.is_some_and(|program| program.name_as_str() == Some(hook.program()))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate, which grows")]
    fn of(message: &TcMessage) -> Option<Self> {
        let mut filter = Self {
            kind: String::new(),
            priority: (message.header.info >> 16) as u16,
            handle: u32::from(message.header.handle),
            program: None,
        };
        for attribute in &message.attributes {
            match attribute {
                TcAttribute::Kind(kind) => filter.kind.clone_from(kind),
                TcAttribute::Options(options) => {
                    filter.program = options.iter().find_map(|option| match option {
                        TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => Some(*id),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        // The kernel tells of each priority first, without a handle.
        (filter.handle != 0).then_some(filter)
    }
}

/// In the order in which packets come to them.
fn filters(index: u32, hook: Hook) -> Result<Vec<Filter>, DatapathError> {
    let question = RouteNetlinkMessage::GetTrafficFilter(message(index, parent(hook)));
    let answers = route::list(question).map_err(failed(index))?;
    let filters = answers.iter().filter_map(|answer| {
        let RouteNetlinkMessage::NewTrafficFilter(message) = answer else { return None };
        Filter::of(message)
    });
    Ok(filters.collect())
}

fn has_qdisc(index: u32) -> Result<bool, DatapathError> {
    let question = RouteNetlinkMessage::GetQueueDiscipline(message(index, Place::UNSPEC));
    let answers = route::list(question).map_err(failed(index))?;
    Ok(answers.iter().any(|answer| {
        let RouteNetlinkMessage::NewQueueDiscipline(message) = answer else { return false };
        let clsact = TcAttribute::Kind("clsact".into());
        i64::from(message.header.index) == i64::from(index) && message.attributes.contains(&clsact)
    }))
}

fn message(index: u32, parent: Place) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = index.cast_signed();
    message.header.parent = parent;
    message
}

const fn parent(hook: Hook) -> Place {
    let minor = match hook {
        Hook::Xdp | Hook::Ingress => Place::MIN_INGRESS,
        Hook::Egress => Place::MIN_EGRESS,
    };
    Place { major: Place::CLSACT.major, minor }
}

const fn way(hook: Hook) -> TcAttachType {
    match hook {
        Hook::Xdp | Hook::Ingress => TcAttachType::Ingress,
        Hook::Egress => TcAttachType::Egress,
    }
}

/// Two instances may stand on one interface: FNV-1a over the folder of the pins, and never 0.
fn handle(pins: &Pins) -> u32 {
    let bytes = pins.root().as_os_str().as_encoded_bytes();
    let hash =
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash >> 1 | 1
}

fn failed(index: u32) -> impl Fn(std::io::Error) -> DatapathError {
    move |source| DatapathError::Netlink { index, source }
}
