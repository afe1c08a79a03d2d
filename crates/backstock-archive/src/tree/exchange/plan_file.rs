//! The files that a plan consists of: its steps (JSON lines, read in both directions), what was staged (one inode number
//! a step), and surprises (what was found in another step's place than planned).

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use backstock_host::{Host, ReadFile, WriteFile};

use super::request::ExchangePlan;
use super::step::Step;
use crate::{Error, Result};

const BLOCK_BYTES: u64 = 64 << 10;
/// A step longer than this is refused: a path, a target, and attributes, all in base64.
const STEP_LIMIT_BYTES: usize = 4 << 20;
const SURPRISES_LIMIT_BYTES: u64 = 64 << 20;

/// Writes steps one after another.
pub(crate) struct StepWriter {
    file: BufWriter<Box<dyn WriteFile>>,
    path: std::path::PathBuf,
}

impl StepWriter {
    /// Begins a new file, in the place of an old one.
    pub(crate) fn create(host: &Host, path: &Path) -> Result<Self> {
        host.files.remove_file(path).map_err(|error| Error::io("remove", path, error))?;
        let file = host.files.create_new(path).map_err(|error| Error::io("create", path, error))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    pub(crate) fn add(&mut self, step: &Step) -> Result<()> {
        let mut line = serde_json::to_vec(step).map_err(|source| Error::Json {
            act: "write",
            thing: "a step of an exchange".to_owned(),
            source,
        })?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| Error::io("write", &self.path, error))
    }

    pub(crate) fn finish(self, host: &Host) -> Result<()> {
        let path = self.path;
        let mut file =
            self.file.into_inner().map_err(|error| Error::io("write", &path, error.into_error()))?;
        file.sync().map_err(|error| Error::sync(&path, error))?;
        drop(file);
        let folder = path.parent().unwrap_or(Path::new("/"));
        host.files.sync_folder(folder).map_err(|error| Error::sync(folder, error))
    }
}

/// Reads steps in either direction.
pub(crate) struct StepReader {
    file: Box<dyn ReadFile>,
    path: std::path::PathBuf,
    size_bytes: u64,
    position: u64,
    block: Vec<u8>,
}

impl StepReader {
    pub(crate) fn open(host: &Host, plan: &ExchangePlan) -> Result<Self> {
        let path = plan.steps_path();
        let file = host.files.open(&path).map_err(|error| Error::io("open", &path, error))?;
        let size_bytes = file.size_bytes().map_err(|error| Error::io("read", &path, error))?;
        Ok(Self { file, path, size_bytes, position: 0, block: Vec::new() })
    }

    /// Each step in order.
    pub(crate) fn forward(mut self, act: &mut dyn FnMut(Step) -> Result<()>) -> Result<()> {
        loop {
            let more = self.read_block(self.position, BLOCK_BYTES)?;
            self.position += more.len() as u64;
            let is_end = more.is_empty();
            self.block.extend_from_slice(&more);
            let mut start = 0;
            while let Some(length) = self.block[start..].iter().position(|byte| *byte == b'\n') {
                act(self.parse(&self.block[start..start + length])?)?;
                start += length + 1;
            }
            self.block.drain(..start);
            if is_end {
                return if self.block.is_empty() {
                    Ok(())
                } else {
                    Err(self.damaged("it ends within a step"))
                };
            }
            self.check_length()?;
        }
    }

    /// Each step, the last one first.
    pub(crate) fn backward(mut self, act: &mut dyn FnMut(Step) -> Result<()>) -> Result<()> {
        self.position = self.size_bytes;
        let mut is_first = true;
        while self.position > 0 {
            let length = BLOCK_BYTES.min(self.position);
            self.position -= length;
            let mut block = self.read_block(self.position, length)?;
            if is_first && block.pop() != Some(b'\n') {
                return Err(self.damaged("it ends within a step"));
            }
            is_first = false;
            block.append(&mut self.block);
            self.block = block;
            while let Some(at) = self.block.iter().rposition(|byte| *byte == b'\n') {
                act(self.parse(&self.block[at + 1..])?)?;
                self.block.truncate(at);
            }
            self.check_length()?;
        }
        if is_first { Ok(()) } else { act(self.parse(&self.block)?) }
    }

    fn check_length(&self) -> Result<()> {
        if self.block.len() > STEP_LIMIT_BYTES { Err(self.damaged("a step is too long")) } else { Ok(()) }
    }

    fn read_block(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut block = vec![0; usize::try_from(length).unwrap_or(0)];
        let mut filled = 0;
        while filled < block.len() {
            match self.file.read_at(&mut block[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path, error)),
            }
        }
        block.truncate(filled);
        Ok(block)
    }

    fn parse(&self, line: &[u8]) -> Result<Step> {
        serde_json::from_slice(line).map_err(|source| Error::Json {
            act: "read",
            thing: format!("a step in {}", self.path.display()),
            source,
        })
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged {
            part: self.path.display().to_string(),
            offset: self.position,
            size_bytes: self.size_bytes - self.position.min(self.size_bytes),
            what: what.to_owned(),
        }
    }
}

/// What was staged: the inode of each step's new side (0: none), and of each root's staging folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Staged {
    pub(crate) folders: Vec<u64>,
    pub(crate) inodes: Vec<u64>,
}

impl Staged {
    pub(crate) fn write(&self, host: &Host, plan: &ExchangePlan) -> Result<()> {
        let path = plan.staged_path();
        let numbers = std::iter::once(self.folders.len() as u64)
            .chain(self.folders.iter().copied())
            .chain(self.inodes.iter().copied());
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        host.files.write_durably(&path, &bytes).map_err(|error| Error::io("write", &path, error))
    }

    pub(crate) fn read(host: &Host, plan: &ExchangePlan) -> Result<Self> {
        let path = plan.staged_path();
        let count = 1 + plan.roots.len() as u64 + plan.summary.steps;
        let bytes = host.files.read(&path, count * 8).map_err(|error| Error::io("read", &path, error))?;
        let numbers: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|chunk| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|at| chunk[at])))
            .collect();
        if numbers.len() as u64 != count || numbers[0] != plan.roots.len() as u64 {
            return Err(Error::Damaged {
                part: path.display().to_string(),
                offset: 0,
                size_bytes: bytes.len() as u64,
                what: "it does not belong to this plan".to_owned(),
            });
        }
        let (folders, inodes) = numbers[1..].split_at(plan.roots.len());
        Ok(Self { folders: folders.to_vec(), inodes: inodes.to_vec() })
    }
}

/// What forward found in the place of a step, where it is not what was there when the plan was made. Written before the
/// step is done: the way back needs it.
#[derive(Debug, Default)]
pub(crate) struct Surprises {
    inodes: HashMap<u64, u64>,
}

impl Surprises {
    pub(crate) fn read(host: &Host, plan: &ExchangePlan) -> Result<Self> {
        let path = plan.surprises_path();
        let fault = |error| Error::io("read", &path, error);
        if host.files.stat(&path).map_err(fault)?.is_none() {
            return Ok(Self::default());
        }
        let bytes = host.files.read(&path, SURPRISES_LIMIT_BYTES).map_err(fault)?;
        let inodes: Vec<(u64, u64)> = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            act: "read",
            thing: path.display().to_string(),
            source,
        })?;
        Ok(Self { inodes: inodes.into_iter().collect() })
    }

    pub(crate) fn get(&self, step: u64) -> Option<u64> {
        self.inodes.get(&step).copied()
    }

    pub(crate) fn add(&mut self, host: &Host, plan: &ExchangePlan, step: u64, inode: u64) -> Result<()> {
        self.inodes.insert(step, inode);
        let mut pairs: Vec<(u64, u64)> = self.inodes.iter().map(|(step, inode)| (*step, *inode)).collect();
        pairs.sort_unstable();
        let bytes = serde_json::to_vec(&pairs).map_err(|source| Error::Json {
            act: "write",
            thing: "surprises of an exchange".to_owned(),
            source,
        })?;
        let path = plan.surprises_path();
        host.files.write_durably(&path, &bytes).map_err(|error| Error::io("write", &path, error))
    }
}
