//! Putting programs in front of an interface, in place of those that stand there, and taking them off.

use std::path::Path;

use aya::{
    Ebpf,
    programs::{
        LinkOrder, SchedClassifier, TcAttachType, Xdp,
        links::FdLink,
        tc::{SchedClassifierLink, TcAttachOptions},
        xdp::{XdpLink, XdpMode},
    },
};

use super::{
    DatapathError, Pins,
    clock::Clock,
    clsact,
    error::errno,
    foreign, interface, link,
    object::{self, Globals},
    pins::Hook,
};
use crate::{crash, policy::host};

/// Error numbers with which drivers and kernels refuse native XDP, in words.
const REFUSALS: [(i32, &str); 6] = [
    (nix::libc::EOPNOTSUPP, "the driver has none (EOPNOTSUPP)"),
    (nix::libc::EBUSY, "another XDP program is there (EBUSY)"),
    (nix::libc::EEXIST, "another XDP program is there, in another mode (EEXIST)"),
    (nix::libc::ERANGE, "the MTU is too large for it (ERANGE)"),
    (nix::libc::ENOMEM, "the driver has no memory or queues left (ENOMEM)"),
    (nix::libc::EINVAL, "the driver refuses the MTU, the offloads or the queues (EINVAL)"),
];

/// How an interface is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cover {
    /// Whether ingress is judged in the driver.
    pub native: bool,
    /// Why it is not, though it was wanted.
    pub fallback: Option<String>,
    /// The interface's index then; 0 where nothing is attached yet.
    pub index: u32,
    /// The hook that the host file asked for then.
    pub hook: Option<host::Hook>,
    /// What identifies the programs: those of another agent are replaced in place.
    pub programs: u64,
    /// Whether TC is a filter, since the kernel has no TCX.
    #[serde(default)]
    pub clsact: bool,
    /// Whether the filters' qdisc was made for them.
    #[serde(default)]
    pub qdisc: bool,
}

impl Cover {
    /// Whether it is what an attachment by this agent and host file would come to.
    #[must_use]
    pub fn is_current(&self, name: &str, wish: host::Hook) -> bool {
        let Self { native: _, fallback: _, index, hook, programs, clsact: _, qdisc: _ } = self;
        interface::index(name).is_ok_and(|now| now == *index)
            && *hook == Some(wish)
            && *programs == object::version()
    }
}

/// Attaches both directions to an interface; programs of an earlier start are replaced in place.
///
/// # Errors
/// The kernel refuses the programs, or the hook that the host file asks for.
pub fn attach(pins: &Pins, name: &str, wish: host::Hook, globals: &Globals) -> Result<Cover, DatapathError> {
    let index = interface::index(name)?;
    interface::ensure_ethernet(name)?;
    let mut ebpf = object::load(globals, Some(pins))?;
    Clock::pin(&mut ebpf, pins)?;
    let mut by = Filters::default();
    let (native, fallback) = ingress(&mut ebpf, pins, name, index, wish, &mut by)?;
    classifier(&mut ebpf, pins, name, index, Hook::Egress, &mut by)?;
    let other = if native { Hook::Ingress } else { Hook::Xdp };
    remove(pins, name, other)?;
    let Filters { clsact, qdisc } = by;
    Ok(Cover { native, fallback, index, hook: Some(wish), programs: object::version(), clsact, qdisc })
}

/// What attaching without links came to.
#[derive(Clone, Copy, Debug, Default)]
struct Filters {
    clsact: bool,
    qdisc: bool,
}

/// Takes both directions off an interface; `cover` as it was attached.
///
/// # Errors
/// A pin or a filter stays.
pub fn detach(pins: &Pins, name: &str, cover: &Cover) -> Result<(), DatapathError> {
    Hook::ALL.into_iter().try_for_each(|hook| remove(pins, name, hook))?;
    match interface::index(name) {
        Ok(index) if cover.qdisc && cover.index == index => clsact::remove_qdisc(index),
        // With the interface its qdisc has gone.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn remove(pins: &Pins, name: &str, hook: Hook) -> Result<(), DatapathError> {
    if let (Ok(index), Hook::Ingress | Hook::Egress) = (interface::index(name), hook) {
        clsact::remove(pins, index, hook)?;
    }
    Pins::remove(&pins.link(name, hook))?;
    Pins::remove(&pins.program(name, hook))
}

fn ingress(
    ebpf: &mut Ebpf,
    pins: &Pins,
    name: &str,
    index: u32,
    wish: host::Hook,
    by: &mut Filters,
) -> Result<(bool, Option<String>), DatapathError> {
    let native = match wish {
        host::Hook::Xdp => true,
        host::Hook::Tc => false,
        host::Hook::Auto => interface::is_physical(name),
    };
    let mut fallback = None;
    if native {
        match xdp(ebpf, pins, name, index) {
            Err(DatapathError::Xdp { why, .. }) if wish == host::Hook::Auto => fallback = Some(why),
            attached => return attached.map(|()| (true, None)),
        }
    }
    classifier(ebpf, pins, name, index, Hook::Ingress, by)?;
    Ok((false, fallback))
}

fn xdp(ebpf: &mut Ebpf, pins: &Pins, name: &str, index: u32) -> Result<(), DatapathError> {
    let hook = Hook::Xdp;
    let failed = |error| {
        DatapathError::program(hook.program(), format!("cannot attach {} to {name}", hook.program()), error)
    };
    let program = ebpf.program_mut(hook.program()).ok_or(DatapathError::Missing(hook.program()))?;
    let program: &mut Xdp = program.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    let path = pins.link(name, hook);
    if let Some(old) = adopt(&path, index)? {
        let old = XdpLink::try_from(old).map_err(|error| link_failed(&path, error))?;
        let id = program.attach_to_link(old).map_err(failed)?;
        crash::point();
        // The pin keeps the link.
        drop(program.take_link(id).map_err(failed)?);
        return pin_program(pins, name, hook, |path| program.pin(path));
    }
    let refused = |why: String| DatapathError::Xdp { interface: name.into(), why };
    // The kernel takes another program for a reason that it does not tell.
    if let Some(other) = foreign::xdp(index)? {
        return Err(refused(format!("{other} is there: remove it, or set hook = \"tc\"")));
    }
    crash::point();
    let id = match program.attach_to_if_index(index, XdpMode::Driver) {
        Ok(id) => id,
        Err(error) => return Err(refusal(&error).map_or_else(|| failed(error), refused)),
    };
    let number = program.info().map_err(failed)?.id();
    if !link::holds(number)? {
        // aya fell back to an attachment without a link: it can't be pinned, so it would end with this process.
        program.detach(id).map_err(failed)?;
        return Err(refused(
            "the kernel attaches it only without a link, which could not outlive the agent".into(),
        ));
    }
    let link = program.take_link(id).map_err(failed)?;
    let link = FdLink::try_from(link).map_err(|error| link_failed(&path, error))?;
    pin_link(link, &path)?;
    pin_program(pins, name, hook, |path| program.pin(path))
}

fn classifier(
    ebpf: &mut Ebpf,
    pins: &Pins,
    name: &str,
    index: u32,
    hook: Hook,
    by: &mut Filters,
) -> Result<(), DatapathError> {
    let failed = |error| {
        DatapathError::program(hook.program(), format!("cannot attach {} to {name}", hook.program()), error)
    };
    let program = ebpf.program_mut(hook.program()).ok_or(DatapathError::Missing(hook.program()))?;
    let program: &mut SchedClassifier = program.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    let path = pins.link(name, hook);
    if let Some(old) = adopt(&path, index)? {
        let old = SchedClassifierLink::try_from(old).map_err(|error| link_failed(&path, error))?;
        let id = program.attach_to_link(old).map_err(failed)?;
        crash::point();
        // The pin keeps the link.
        drop(program.take_link(id).map_err(failed)?);
        return pin_program(pins, name, hook, |path| program.pin(path));
    }
    if !clsact::has_tcx(name) {
        by.clsact = true;
        by.qdisc |= clsact::attach(program, pins, name, index, hook)?;
        return pin_program(pins, name, hook, |path| program.pin(path));
    }
    let way = if hook == Hook::Egress { TcAttachType::Egress } else { TcAttachType::Ingress };
    crash::point();
    let first = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(name, way, first).map_err(failed)?;
    let link = program.take_link(id).map_err(failed)?;
    let link = FdLink::try_from(link).map_err(|error| link_failed(&path, error))?;
    pin_link(link, &path)?;
    pin_program(pins, name, hook, |path| program.pin(path))
}

/// The pinned link, if it is on this very interface. One of an interface that has gone is removed.
fn adopt(path: &Path, index: u32) -> Result<Option<FdLink>, DatapathError> {
    let Some(old) = link::open(path)? else { return Ok(None) };
    crash::point();
    if link::facts(path, &old)?.index == Some(index) {
        return Ok(Some(old));
    }
    Pins::remove(path)?;
    Ok(None)
}

fn pin_link(link: FdLink, path: &Path) -> Result<(), DatapathError> {
    crash::point();
    let pinned = link.pin(path);
    pinned.map(drop).map_err(|source| DatapathError::Pin { path: path.into(), source: Box::new(source) })
}

/// The program's pin says which program is meant to stand there; the old one's is replaced.
fn pin_program(
    pins: &Pins,
    name: &str,
    hook: Hook,
    pin: impl FnOnce(&Path) -> Result<(), aya::pin::PinError>,
) -> Result<(), DatapathError> {
    let path = pins.program(name, hook);
    crash::point();
    Pins::remove(&path)?;
    crash::point();
    pin(&path).map_err(|source| DatapathError::Pin { path, source: Box::new(source) })
}

fn link_failed(path: &Path, source: aya::programs::links::LinkError) -> DatapathError {
    DatapathError::Link { what: path.display().to_string(), source: Box::new(source) }
}

/// Why native XDP is refused, if this is a refusal.
pub(super) fn refusal(error: &aya::programs::ProgramError) -> Option<String> {
    let number = errno(error)?;
    let known = REFUSALS.into_iter().find(|(refusal, _)| *refusal == number);
    Some(known.map_or_else(|| std::io::Error::from_raw_os_error(number).to_string(), |(_, why)| why.into()))
}
