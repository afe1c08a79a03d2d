//! The kept backups of `fixtures/backups`: whatever this program becomes, it reads what its first version wrote.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec, Content, Level};
use serde_json::Value;

use crate::layout::{self, BackupFolder, MANIFEST_NAME};
use crate::tree::{ExtractOptions, FilesSource, NoMonitor, Selection, extract};
use crate::{
    ArtifactReader, ArtifactStream, IndexReader, ManifestArtifact, Owner, ReadAt, SignedManifest, check_part,
    open_parts,
};

/// SHA-256 of their manifests: what `sha256sum` prints. A kept backup is never written again.
const ZSTD_MANIFEST: &str = "e0aef2d3093eaa5595b5389760d4311b53571677c52aa6ed2cf49c578620299b";
const GZIP_MANIFEST: &str = "2469d697ec50148ee163882bd9142619f34da57b3e8e8854e1966358a2339f4f";

const SQL_ROWS: &str =
    "INSERT INTO `place` (`place_id`,`name`) VALUES\n(0,'nowhere'),\n(1,'shelf'),\n(7,'Lager Süd');\n";

struct Kept {
    folder: PathBuf,
    signed: SignedManifest,
}

impl Kept {
    fn open(codec: Codec) -> Self {
        let set =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/backups/v1").join(codec.as_str());
        let owner = std::fs::read(set.join("owner-1.json")).unwrap();
        let owner = Owner::parse(&owner, "owner-1.json").unwrap();
        let names: Vec<_> = std::fs::read_dir(&set)
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().into_string().unwrap().parse::<BackupFolder>().ok()
            })
            .collect();
        let [name] = &names[..] else { panic!("{names:?}") };
        let folder = set.join(name.to_string());
        let signed = SignedManifest::parse(&std::fs::read(folder.join(MANIFEST_NAME)).unwrap()).unwrap();
        assert_eq!(signed.manifest.backup.short(), name.short());
        assert_eq!(signed.manifest.signer, owner.signer);
        Self { folder, signed }
    }

    fn facts(&self, kind: ArtifactKind) -> &ManifestArtifact {
        self.signed.manifest.artifact(kind).unwrap()
    }

    fn parts(&self, kind: ArtifactKind) -> Vec<Box<dyn ReadAt>> {
        open_parts(&Host::real(), &self.folder, self.facts(kind)).unwrap()
    }

    fn index(&self, kind: ArtifactKind) -> IndexReader<Box<dyn ReadAt>> {
        IndexReader::open(self.parts(kind).remove(0), &self.facts(kind).parts[0]).unwrap()
    }

    fn reader(&self, kind: ArtifactKind, index: ArtifactKind) -> ArtifactReader {
        let frames = self.index(index).frame_table().unwrap();
        ArtifactReader::open(self.facts(kind), self.parts(kind), frames).unwrap()
    }
}

#[test]
fn their_manifests_say_what_they_said() {
    for (codec, hash, started) in [
        (Codec::Zstd, ZSTD_MANIFEST, "2026-11-21T14:00:56"),
        (Codec::Gzip, GZIP_MANIFEST, "2026-11-21T14:01:00"),
    ] {
        let kept = Kept::open(codec);
        let manifest = &kept.signed.manifest;
        assert_eq!(kept.signed.sha256.to_string(), hash);
        assert_eq!((manifest.sequence, manifest.level, manifest.content), (1, Level::Full, Content::Whole));
        assert!(manifest.started.to_string().starts_with(started), "{}", manifest.started);
        for kind in ArtifactKind::ALL {
            let facts = kept.facts(*kind);
            for (part, source) in facts.parts.iter().zip(kept.parts(*kind)) {
                assert_eq!(layout::parse_part_path(&part.name).unwrap().0, *kind);
                let found = check_part(&*source, part, &mut |_| ControlFlow::Continue(())).unwrap();
                assert!(found.is_empty(), "{found:?}");
            }
        }
    }
}

#[test]
fn their_databases_are_read_by_stream_and_by_frame() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let kept = Kept::open(codec);
        let index = kept.index(ArtifactKind::DatabaseIndex);
        let table: Value = index.find(b"table/place").unwrap().unwrap();
        assert_eq!(table["row_count"], 3);
        let reader = kept.reader(ArtifactKind::Database, ArtifactKind::DatabaseIndex);
        let rows = reader.read_frame(table["frames"][0]["frame"].as_u64().unwrap()).unwrap();
        assert!(String::from_utf8_lossy(&rows).contains(SQL_ROWS));
        let mut text = Vec::new();
        let parts = kept.parts(ArtifactKind::Database);
        let mut stream = ArtifactStream::open(kept.facts(ArtifactKind::Database), parts).unwrap();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.starts_with("-- Backstock database dump {") && text.contains("\nSET NAMES utf8mb4;\n"));
        let last = text.lines().last().unwrap();
        assert!(text.contains(SQL_ROWS) && last.starts_with("-- Backstock database dump is complete {"));
    }
}

#[test]
fn their_files_are_extracted() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let kept = Kept::open(codec);
        let index = kept.index(ArtifactKind::FilesIndex);
        let keys: Vec<_> = index.entries::<Value>().map(|entry| entry.unwrap().key).collect();
        assert_eq!(keys.len(), 17);
        for path in ["config.php".as_bytes(), b"latin1-\xfc.txt", "überall.txt".as_bytes()] {
            assert!(keys.iter().any(|key| key == path), "{}", path.escape_ascii());
        }
        let reader = kept.reader(ArtifactKind::Files, ArtifactKind::FilesIndex);
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("shop");
        let report = extract(
            &FilesSource::alone(reader),
            &index,
            &Selection::Everything,
            &target,
            &ExtractOptions::default(),
            &NoMonitor,
        )
        .unwrap();
        assert_eq!((report.files, report.symlinks, report.hard_links), (9, 2, 1), "{report:?}");
        assert_eq!((report.refused.count, report.damaged.count, report.absent.count), (0, 0, 0));
        let config = std::fs::read_to_string(target.join("link")).unwrap();
        assert_eq!(config, "<?php\ndefine('DB_PREFIX', '');\n");
        let picture: Vec<u8> =
            (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        assert!(std::fs::read(target.join("image/same cup.jpg")).unwrap() == picture);
        assert_eq!(std::fs::read_to_string(target.join("überall.txt")).unwrap(), "a name beyond ASCII\n");
    }
}
