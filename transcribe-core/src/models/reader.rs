//! A file read front to back with an eye on its end: every step is checked against the length before it is made.

use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use super::error::ModelError;

/// Why a file is no model.
#[derive(Debug)]
pub(super) enum Defect {
    /// It can't be read.
    Io(io::Error),
    /// What is wrong with its content.
    Bad(String),
}

impl Defect {
    /// What is wrong with the file at `path`.
    pub(super) fn at(self, path: &Path) -> ModelError {
        match self {
            Self::Io(source) => ModelError::Unreadable { path: path.into(), source },
            Self::Bad(reason) => ModelError::NotAModel { path: path.into(), reason },
        }
    }
}

impl From<io::Error> for Defect {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Position and length of a file that is being walked.
pub(super) struct Reader<R> {
    inner: BufReader<R>,
    position: u64,
    len: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// A reader at the start of a file of `len` bytes.
    pub(super) fn new(inner: R, len: u64) -> Self {
        Self { inner: BufReader::new(inner), position: 0, len }
    }

    /// Up to `n` bytes that come next, without moving.
    pub(super) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        let buffered = self.inner.fill_buf()?;
        Ok(&buffered[..n.min(buffered.len())])
    }

    /// Bytes passed.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes not yet passed.
    pub(super) fn left(&self) -> u64 {
        self.len - self.position
    }

    /// Whether all bytes are passed.
    pub(super) fn at_end(&self) -> bool {
        self.left() == 0
    }

    /// The next four bytes as an unsigned number.
    pub(super) fn u32(&mut self) -> Result<u32, Defect> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The next four bytes as a signed number.
    pub(super) fn i32(&mut self) -> Result<i32, Defect> {
        self.u32().map(u32::cast_signed)
    }

    /// Fills `buffer` with what comes next.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Defect> {
        self.pass(buffer.len() as u64, "header")?;
        Ok(self.inner.read_exact(buffer)?)
    }

    /// Passes over `n` bytes of `what`.
    pub(super) fn skip(&mut self, n: u64, what: &str) -> Result<(), Defect> {
        self.pass(n, what)?;
        let n = i64::try_from(n).map_err(io::Error::other)?;
        Ok(self.inner.seek_relative(n)?)
    }

    fn pass(&mut self, n: u64, what: &str) -> Result<(), Defect> {
        if n > self.left() {
            return Err(Defect::Bad(format!(
                "the file is cut off after {} bytes, within {what}; download it again",
                self.len
            )));
        }
        self.position += n;
        Ok(())
    }
}
