//! Artifacts against stock tools and against a plain copy of what was given.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use backstock_host::Host;
use backstock_vocabulary::ArtifactKind;

use super::*;
use crate::manifest::ManifestArtifact;
use crate::read_at::ReadAt;

fn parts(folder: &Path, artifact: &Artifact) -> Vec<Box<dyn ReadAt>> {
    let open =
        |part: &Part| Box::new(std::fs::File::open(folder.join(&part.name)).unwrap()) as Box<dyn ReadAt>;
    artifact.parts.iter().map(open).collect()
}

fn facts(artifact: &Artifact) -> ManifestArtifact {
    ManifestArtifact::data(ArtifactKind::Database, artifact)
}

fn open(folder: &Path, artifact: &Artifact) -> ArtifactReader {
    ArtifactReader::open(&facts(artifact), parts(folder, artifact), artifact.frames.clone()).unwrap()
}

fn stock_decode(folder: &Path, artifact: &Artifact) -> Vec<u8> {
    let files: Vec<_> = artifact.parts.iter().map(|part| part.name.as_str()).collect();
    let tool = match artifact.codec {
        Codec::Zstd => "zstd -dc",
        Codec::Gzip => "gunzip -c",
    };
    let output = Command::new("bash")
        .args(["-o", "pipefail", "-c", &format!("cat {} | {tool}", files.join(" "))])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn frames_come_back_one_by_one_and_through_stock_tools() {
    for codec in Codec::ALL {
        let folder = tempfile::tempdir().unwrap();
        let options = ArtifactOptions { part_size_bytes: 40_000, ..ArtifactOptions::of(*codec, 2) };
        let writer = ArtifactWriter::create(&Host::real(), folder.path(), "db.sql.zst", &options).unwrap();
        let mut all = Vec::new();
        for number in 0..20_u64 {
            let mut text = writer.buffer();
            text.extend((0..number * 1_000).map(|n| u8::try_from(n * number % 251).unwrap()));
            all.extend_from_slice(&text);
            let storing = if number % 3 == 0 { Storing::Store } else { Storing::Compress };
            assert_eq!(writer.frame(text, storing).unwrap(), number);
        }
        let artifact = writer.finish().unwrap();
        assert!(artifact.parts.len() > 1, "{:?}", artifact.parts);
        assert_eq!(stock_decode(folder.path(), &artifact), all);
        let reader = open(folder.path(), &artifact);
        let read: Vec<u8> = (0..20).flat_map(|number| reader.read_frame(number).unwrap()).collect();
        assert_eq!(read, all);
        let mut streamed = Vec::new();
        let mut stream = ArtifactStream::open(&facts(&artifact), parts(folder.path(), &artifact)).unwrap();
        stream.read_to_end(&mut streamed).unwrap();
        assert_eq!(streamed, all);
        for (part, source) in artifact.parts.iter().zip(parts(folder.path(), &artifact)) {
            check_part(&*source, part, &mut |_| ()).unwrap();
        }
    }
}
