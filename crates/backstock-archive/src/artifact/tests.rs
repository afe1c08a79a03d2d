//! Artifacts against stock tools, against a plain copy of what was given, and against faults.

mod damage;
mod faults;
mod order;
mod round_trip;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use backstock_host::Host;
use backstock_vocabulary::ArtifactKind;
use tempfile::TempDir;

use super::*;
use crate::manifest::ManifestArtifact;
use crate::read_at::ReadAt;

/// An artifact in a folder of its own, with the text it was made of.
struct Written {
    folder: TempDir,
    artifact: Artifact,
    text: Vec<u8>,
}

/// Bytes that become somewhat shorter when compressed, the same for the same seed.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut all = Vec::with_capacity(count + 64);
    while all.len() < count {
        let word = next();
        if word[0] & 1 == 0 {
            all.extend_from_slice(&word);
        } else {
            all.resize(all.len() + usize::from(word[1] % 16), word[2]);
        }
    }
    all.truncate(count);
    all
}

fn write(options: &ArtifactOptions, frames: &[(Vec<u8>, Storing)]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let name = crate::layout::artifact_name(ArtifactKind::Database, options.codec);
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), name, options).unwrap();
    for (number, (text, storing)) in frames.iter().enumerate() {
        let mut buffer = writer.buffer();
        assert!(buffer.is_empty());
        buffer.extend_from_slice(text);
        assert_eq!(writer.frame(buffer, *storing).unwrap(), number as u64);
    }
    let artifact = writer.finish().unwrap();
    let text = frames.iter().flat_map(|(text, _)| text.iter().copied()).collect();
    Written { folder, artifact, text }
}

impl Written {
    fn facts(&self) -> ManifestArtifact {
        ManifestArtifact::data(ArtifactKind::Database, &self.artifact)
    }

    fn parts(&self) -> Vec<Box<dyn ReadAt>> {
        self.stored().into_iter().map(|bytes| Box::new(bytes) as Box<dyn ReadAt>).collect()
    }

    /// The bytes of each part.
    fn stored(&self) -> Vec<Vec<u8>> {
        let read = |part: &Part| std::fs::read(self.folder.path().join(&part.name)).unwrap();
        self.artifact.parts.iter().map(read).collect()
    }

    fn reader(&self) -> ArtifactReader {
        ArtifactReader::open(&self.facts(), self.parts(), self.artifact.frames.clone()).unwrap()
    }

    /// What `cat parts | zstd -dc` or `… | gunzip -c` gives.
    fn stock_text(&self) -> Vec<u8> {
        let tool = match self.artifact.codec {
            Codec::Zstd => "zstd -dc",
            Codec::Gzip => "gunzip -c",
        };
        let names: Vec<_> = self.artifact.parts.iter().map(|part| part.name.as_str()).collect();
        stock(self.folder.path(), &format!("cat {} | {tool}", names.join(" ")))
    }
}

fn stock(folder: &Path, command: &str) -> Vec<u8> {
    let output =
        Command::new("bash").args(["-o", "pipefail", "-c", command]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What is wrong with a part, by its blocks.
fn faults(source: &dyn ReadAt, part: &Part) -> Vec<crate::Error> {
    check_part(source, part, &mut |_| ControlFlow::Continue(())).unwrap()
}
