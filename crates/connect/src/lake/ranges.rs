//! Parts of a file in a bucket, kept in blocks: what is read one after the other is asked for once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tidegate_objects::ListedFile;
use tokio::runtime::Handle;

use super::store::Store;
use crate::error::SourceError;
use crate::files::Ranges;

/// Bytes of a block.
const BLOCK: u64 = 1 << 20;
/// Blocks that are kept: 32 MiB, whatever the file has.
const KEPT: usize = 32;
/// Bytes of one read at most: a page of a column, or what the end of the file says of the rest.
const LONGEST: u64 = 128 << 20;

/// A file in a bucket. Its methods block, so they are called from threads that may.
pub(super) struct RemoteFile {
    store: Arc<Store>,
    file: ListedFile,
    runtime: Handle,
    /// The blocks used last are at the end.
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
    failure: Mutex<Option<SourceError>>,
}

impl RemoteFile {
    /// Called on the runtime that the requests are to run on.
    pub(super) fn new(store: Arc<Store>, file: ListedFile) -> Self {
        let runtime = Handle::current();
        Self { store, file, runtime, blocks: Mutex::default(), failure: Mutex::default() }
    }

    fn kept(&self, block: u64) -> Option<Bytes> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let place = blocks.iter().position(|(index, _)| *index == block)?;
        let found = blocks.remove(place)?;
        let bytes = found.1.clone();
        blocks.push_back(found);
        Some(bytes)
    }

    fn keep(&self, block: u64, bytes: Bytes) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        while blocks.len() >= KEPT {
            blocks.pop_front();
        }
        blocks.push_back((block, bytes));
    }

    /// Blocks from one to another that are not kept, asked for at once, in pieces that the client takes.
    fn fetch(&self, first: u64, last: u64) -> Result<Bytes, SourceError> {
        let mut whole = BytesMut::new();
        let mut block = first;
        while block <= last {
            let until = last.min(block + 15);
            let range = block * BLOCK..((until + 1) * BLOCK).min(self.file.size);
            let bytes = self.runtime.block_on(self.store.read(&self.file, range))?;
            let mut rest = bytes.clone();
            for index in block..=until {
                let piece = rest.split_to(rest.len().min(usize::try_from(BLOCK).unwrap_or(usize::MAX)));
                self.keep(index, piece);
            }
            if block == first && until == last {
                return Ok(bytes);
            }
            whole.extend_from_slice(&bytes);
            block = until + 1;
        }
        Ok(whole.freeze())
    }

    fn read(&self, start: u64, length: usize) -> Result<Bytes, SourceError> {
        let end = start.saturating_add(length as u64);
        if end > self.file.size || length as u64 > LONGEST {
            return Err(SourceError::query("The Parquet file is broken: a part of it is outside of it."));
        }
        if length == 0 {
            return Ok(Bytes::new());
        }
        let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
        let mut whole = BytesMut::new();
        let mut block = first;
        while block <= last {
            match self.kept(block) {
                Some(bytes) => {
                    if first == last {
                        return Ok(cut(&bytes, start - first * BLOCK, length));
                    }
                    whole.extend_from_slice(&bytes);
                    block += 1;
                }
                None => {
                    let until = (block..last).find(|index| self.kept(index + 1).is_some()).unwrap_or(last);
                    whole.extend_from_slice(&self.fetch(block, until)?);
                    block = until + 1;
                }
            }
        }
        Ok(cut(&whole.freeze(), start - first * BLOCK, length))
    }
}

fn cut(bytes: &Bytes, from: u64, length: usize) -> Bytes {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(from..from.saturating_add(length).min(bytes.len()))
}

impl Ranges for RemoteFile {
    fn size(&self) -> u64 {
        self.file.size
    }

    fn bytes(&self, start: u64, length: usize) -> Result<Bytes, SourceError> {
        let read = self.read(start, length);
        if let Err(error) = &read {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        read
    }

    fn failure(&self) -> Option<SourceError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
