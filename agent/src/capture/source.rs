//! The bytes of a capture, read record by record, with the offset that errors name.

use std::io::Read;

use super::CaptureError;

/// A stream of records; holds one of them in memory.
pub(super) struct Source<R> {
    inner: R,
    /// Where the present record begins in the file.
    offset: u64,
    record: Vec<u8>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, offset: 0, record: Vec::new() }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Leaves the present record behind.
    pub(super) fn advance(&mut self) {
        self.offset += self.record.len() as u64;
        self.record.clear();
    }

    /// The present record's first `length` bytes, or fewer where the file ends.
    ///
    /// Memory grows with the bytes that are there, not with those that a header claims.
    pub(super) fn fill(&mut self, length: usize) -> Result<&[u8], CaptureError> {
        let missing = length.saturating_sub(self.record.len());
        if missing > 0 {
            self.inner
                .by_ref()
                .take(missing as u64)
                .read_to_end(&mut self.record)
                .map_err(|source| CaptureError::Read { offset: self.offset, source })?;
        }
        Ok(&self.record)
    }

    /// Like `fill`, but a file that ends before `length` bytes is an error that names `what` is incomplete.
    pub(super) fn need(
        &mut self,
        length: usize,
        what: &'static str,
        packets: u64,
    ) -> Result<&[u8], CaptureError> {
        let offset = self.offset;
        let record = self.fill(length)?;
        if record.len() < length {
            let (needed, found) = (length as u64, record.len() as u64);
            return Err(CaptureError::CutOff { what, offset, packets, needed, found });
        }
        Ok(record)
    }
}
