//! Tables that the programs address directly, without a look-up on the way of every packet.

use core::cell::UnsafeCell;

/// A value that user space writes at run time. In a section of its own, `.bss.NAME`, it becomes the only value of a
/// map of that name.
#[repr(transparent)]
pub(super) struct Direct<T>(UnsafeCell<T>);

// SAFETY: the programs only read it, with volatile loads of whole words.
unsafe impl<T> Sync for Direct<T> {}

impl<T> Direct<T> {
    /// What the map holds at first; all zeros, or it would not be in `.bss`.
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Where it is.
    #[inline(always)]
    pub(super) const fn get(&self) -> *const T {
        self.0.get()
    }
}
