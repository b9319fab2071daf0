//! What callers of global functions hand over. The verifier proves such a function without its callers: a pointer may be
//! null there, and is memory of its type's size otherwise.

use portreeve_common::Direction;

/// What the caller's pointer points to, if it isn't null.
#[inline(always)]
pub(crate) fn given<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: the verifier lets only memory of this size or null through. It is the caller's, and outlives the call; callers
    // don't write to it meanwhile.
    unsafe { pointer.as_ref() }
}

/// As above, for one that the function writes to.
#[inline(always)]
pub(crate) fn given_mut<'a, T>(pointer: *mut T) -> Option<&'a mut T> {
    // SAFETY: as above; nobody else has it meanwhile.
    unsafe { pointer.as_mut() }
}

/// The direction with this number.
#[inline(always)]
pub(crate) const fn direction(index: u32) -> Direction {
    if index == 0 { Direction::Ingress } else { Direction::Egress }
}
