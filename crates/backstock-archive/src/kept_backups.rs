//! The kept backups of `fixtures/backups`: whatever this program becomes, it reads what its first version wrote.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec, Content, Level};
use serde_json::Value;

use crate::layout::{self, BackupFolder, MANIFEST_NAME};
use crate::tree::{ExtractOptions, NoMonitor, Selection, extract};
use crate::{
    ArtifactReader, ArtifactStream, IndexReader, ManifestArtifact, Owner, ReadAt, SignedManifest, check_part,
    open_parts,
};

/// The public half of the key whose secret bytes are all 7.
const SIGNER: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";

const ZSTD_MANIFEST: &str = "4dba4836f208573bbdee538163b14e30358154ceb68ad3da020121324b172812";
const GZIP_MANIFEST: &str = "91e522f8f87472c83fdc6a629601bf1d3b4147ab05590267de8b60742e5b37a7";

const SQL_ROWS: &str = "INSERT INTO `oc_product` (`product_id`,`name`,`price`) VALUES\n\
    (1,'Teapot','4.50'),\n(2,'Cup\\r\\nwith handle',NULL);\n";

struct Kept {
    folder: PathBuf,
    signed: SignedManifest,
}

impl Kept {
    fn open(codec: Codec) -> Self {
        let set =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/backups/v1").join(codec.as_str());
        let owner = std::fs::read(set.join("owner-1.json")).unwrap();
        assert_eq!(Owner::parse(&owner, "owner-1.json").unwrap().signer.to_string(), SIGNER);
        let names: Vec<_> = std::fs::read_dir(&set)
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().into_string().unwrap().parse::<BackupFolder>().ok()
            })
            .collect();
        let [name] = &names[..] else { panic!("{names:?}") };
        assert_eq!(name.started().to_string(), "2026-11-20T03:00:00Z");
        let folder = set.join(name.to_string());
        let signed = SignedManifest::parse(&std::fs::read(folder.join(MANIFEST_NAME)).unwrap()).unwrap();
        assert_eq!(signed.manifest.backup.short(), name.short());
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
    for (codec, hash, parts) in [(Codec::Zstd, ZSTD_MANIFEST, 1), (Codec::Gzip, GZIP_MANIFEST, 2)] {
        let kept = Kept::open(codec);
        let manifest = &kept.signed.manifest;
        assert_eq!(kept.signed.sha256.to_string(), hash);
        assert_eq!(manifest.signer.to_string(), SIGNER);
        assert_eq!((manifest.sequence, manifest.level, manifest.content), (1, Level::Full, Content::Whole));
        assert_eq!(manifest.finished.to_string(), "2026-11-20T03:00:01.5Z");
        assert_eq!(kept.facts(ArtifactKind::Database).parts.len(), parts);
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
        let table: Value = index.find(b"table/oc_product").unwrap().unwrap();
        assert_eq!(table["row_count"], 2);
        let reader = kept.reader(ArtifactKind::Database, ArtifactKind::DatabaseIndex);
        let rows = reader.read_frame(table["frames"][0]["frame"].as_u64().unwrap()).unwrap();
        assert_eq!(String::from_utf8(rows).unwrap(), SQL_ROWS);
        let mut text = String::new();
        let parts = kept.parts(ArtifactKind::Database);
        let mut stream = ArtifactStream::open(kept.facts(ArtifactKind::Database), parts).unwrap();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("-- Backstock database dump {}\nSET NAMES utf8mb4;\n"), "{text}");
        assert!(text.contains(SQL_ROWS) && text.ends_with("-- Backstock database dump is complete {}\n"));
    }
}

#[test]
fn their_files_are_extracted() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let kept = Kept::open(codec);
        let index = kept.index(ArtifactKind::FilesIndex);
        let keys: Vec<_> = index.entries::<Value>().map(|entry| entry.unwrap().key).collect();
        assert_eq!(
            (keys.len(), &keys[1][..], &keys[8][..]),
            (9, &b"config.php"[..], "überall.txt".as_bytes())
        );
        let reader = kept.reader(ArtifactKind::Files, ArtifactKind::FilesIndex);
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("shop");
        let report =
            extract(&reader, &index, &Selection::Everything, &target, &ExtractOptions::default(), &NoMonitor)
                .unwrap();
        assert_eq!((report.files, report.symlinks, report.hard_links), (4, 1, 1), "{report:?}");
        assert_eq!((report.refused.count, report.damaged.count, report.absent.count), (0, 0, 0));
        let config = std::fs::read_to_string(target.join("link")).unwrap();
        assert_eq!(config, "<?php\ndefine('DB_PREFIX', 'oc_');\n");
        let picture: Vec<u8> =
            (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        assert!(std::fs::read(target.join("image/same cup.jpg")).unwrap() == picture);
        assert_eq!(std::fs::read_to_string(target.join("überall.txt")).unwrap(), "a name beyond ASCII\n");
    }
}
