//! A trial of native XDP: our own program, without a policy, attached to an interface for a moment.

use aya::programs::{Xdp, xdp::XdpMode};

use super::{
    DatapathError,
    attach::refusal,
    object::{self, Globals, Sets},
    pins::Hook,
};
use crate::policy::host::StateLimits;

/// Attaches and takes off. Many NICs reset at either: it is for interfaces that nobody needs just now.
///
/// # Errors
/// The driver refuses, and why.
pub fn native_xdp(name: &str, index: u32) -> Result<(), DatapathError> {
    let hook = Hook::Xdp.program();
    let globals = Globals::of_any([0; 2], Sets::of(&StateLimits::default()));
    let mut ebpf = object::load(&globals, None)?;
    let failed = |error| DatapathError::program(hook, format!("cannot attach {hook} to {name}"), error);
    let program = ebpf.program_mut(hook).ok_or(DatapathError::Missing(hook))?;
    let program: &mut Xdp = program.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    match program.attach_to_if_index(index, XdpMode::Driver) {
        Ok(id) => program.detach(id).map_err(failed),
        Err(error) => Err(match refusal(&error) {
            Some(why) => DatapathError::Xdp { interface: name.into(), why },
            None => failed(error),
        }),
    }
}
