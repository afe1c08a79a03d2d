//! Manifests and owner files: exact bytes, signatures, versions, damage, hostile bytes.

use std::process::Command;

use backstock_host::Host;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Owner;
use crate::artifact::{BLOCK_SIZE_BYTES, BlockHashes};
use crate::owner::Head;

/// A key of its own for each seed.
pub(crate) fn key(seed: u8) -> InstanceKey {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instance.key");
    std::fs::write(&path, [seed; 32]).unwrap();
    InstanceKey::load_or_create(&Host::real(), &path).unwrap()
}

fn part(name: &str, size_bytes: u64) -> Part {
    let blocks = usize::try_from(size_bytes.div_ceil(BLOCK_SIZE_BYTES)).unwrap();
    Part {
        name: name.to_owned(),
        size_bytes,
        sha256: Sha256::of(name.as_bytes()),
        block_hashes: BlockHashes::Blake3(vec![crate::Digest([5; 32]); blocks]),
        directory_blake3: None,
    }
}

/// An incremental backup with everything that a manifest can tell.
pub(crate) fn manifest() -> Manifest {
    let artifact =
        |kind, codec, plaintext_bytes, parts| ManifestArtifact { kind, codec, plaintext_bytes, parts };
    let index = |name| Part { directory_blake3: Some(crate::Digest([7; 32])), ..part(name, 500) };
    Manifest {
        format: Manifest::format(),
        signer: crate::Digest([0; 32]),
        instance: InstanceId::from_parts(1, [1; 10]),
        shop: ShopId::from_parts(2, [2; 10]),
        set: SetId::from_parts(3, [3; 10]),
        backup: BackupId::from_parts(4, [4; 10]),
        run: RunId::from_parts(5, [5; 10]),
        sequence: 17,
        previous_manifest_sha256: Some(Sha256::of(b"previous")),
        level: Level::Incremental,
        parent: Some(Parent {
            backup: BackupId::from_parts(3, [9; 10]),
            manifest_sha256: Sha256::of(b"parent"),
        }),
        definition_sha256: Sha256::of(b"definition"),
        started: "2026-11-20T03:00:00.5Z".parse().unwrap(),
        finished: "2026-11-20T03:04:05.123456789Z".parse().unwrap(),
        content: Content::WholeExcept,
        reason: Reason::Scheduled,
        exceptions: ExceptionCounts { database: 0, files: 2, notes: 5 },
        sealed: None,
        artifacts: vec![
            artifact(ArtifactKind::Database, Codec::Gzip, Some(9_000), vec![part("db/db.sql.gz", 1_000)]),
            artifact(ArtifactKind::DatabaseIndex, Codec::Zstd, None, vec![index("db/index.zst")]),
            artifact(
                ArtifactKind::Files,
                Codec::Zstd,
                Some(300_000_000),
                vec![part("files/files.tar.zst.001", 200_000_000), part("files/files.tar.zst.002", 1)],
            ),
            artifact(ArtifactKind::FilesIndex, Codec::Zstd, None, vec![index("files/index.zst")]),
        ],
    }
}

fn owner() -> Owner {
    Owner {
        format: Owner::format(),
        signer: crate::Digest([0; 32]),
        instance: InstanceId::from_parts(1, [1; 10]),
        machine: "0123456789abcdef0123456789abcdef".to_owned(),
        set: SetId::from_parts(3, [3; 10]),
        generation: 2,
        head: Some(Head { sequence: 17, manifest_sha256: Sha256::of(b"head") }),
        copies_from: None,
        written: "2026-11-20T03:00:00Z".parse().unwrap(),
    }
}

/// Signs whatever payload, as a newer or a hostile program would.
fn sign_value(payload: &Value, key: &InstanceKey) -> Vec<u8> {
    signed::sign(payload, MANIFEST_NAME, key).unwrap()
}

/// The payload of a good manifest, for changing.
fn value(key: &InstanceKey) -> Value {
    let bytes = manifest().sign(key).unwrap();
    serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

#[test]
fn a_signed_manifest_comes_back_with_its_signer_and_hash() {
    let key = key(1);
    let bytes = manifest().sign(&key).unwrap();
    let read = SignedManifest::parse(&bytes).unwrap();
    let expected = Manifest { signer: key.public_hex().parse().unwrap(), ..manifest() };
    assert_eq!(read.manifest, expected);
    assert_eq!(read.manifest.stored_bytes(), 1_000 + 500 + 200_000_001 + 500);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(MANIFEST_NAME), &bytes).unwrap();
    let output = Command::new("sha256sum").arg(MANIFEST_NAME).current_dir(folder.path()).output().unwrap();
    assert!(output.stdout.starts_with(read.sha256.to_string().as_bytes()));
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 2);
}

/// The exact bytes of version 1: whoever changes them changes what all later programs must read.
#[test]
fn the_payload_has_the_members_of_the_published_form() {
    let value = value(&key(1));
    let mut members: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    // Whether a parsed object keeps the order of its text is up to how serde_json was built.
    members.sort_unstable();
    let mut expected = vec![
        "format",
        "signer",
        "instance",
        "shop",
        "set",
        "backup",
        "run",
        "sequence",
        "previous_manifest_sha256",
        "level",
        "parent",
        "definition_sha256",
        "started",
        "finished",
        "content",
        "reason",
        "exceptions",
        "sealed",
        "artifacts",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(
        value["format"],
        json!({"document": "backstock.manifest", "major": 1, "minor": 0, "critical": []})
    );
    assert_eq!(value["content"], "whole-except");
    assert_eq!(value["artifacts"][2]["parts"][1]["name"], "files/files.tar.zst.002");
    assert_eq!(value["artifacts"][2]["parts"][0]["block_blake3"].as_array().unwrap().len(), 3);
}

#[test]
fn f73_f80_any_changed_bit_is_found() {
    let mut bytes = manifest().sign(&key(1)).unwrap();
    let mut owner = owner().sign(&key(1)).unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        let error = SignedManifest::parse(&bytes).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains(MANIFEST_NAME), "byte {at}: {error}");
        bytes[at] ^= 1 << (at % 8);
    }
    for at in 0..owner.len() {
        owner[at] ^= 1 << (at % 8);
        assert!(Owner::parse(&owner, "owner-2.json").unwrap_err().is_damage(), "byte {at}");
        owner[at] ^= 1 << (at % 8);
    }
}

#[test]
fn f74_any_other_length_is_refused() {
    let bytes = manifest().sign(&key(1)).unwrap();
    for length in 0..bytes.len() {
        assert!(SignedManifest::parse(&bytes[..length]).unwrap_err().is_damage(), "{length}");
    }
    for extra in ["\n", "x", " ", "{}\n"] {
        let longer = [&bytes[..], extra.as_bytes()].concat();
        assert!(SignedManifest::parse(&longer).unwrap_err().is_damage(), "{extra:?}");
    }
}

#[test]
fn f80_another_key_cannot_sign_in_this_ones_name() {
    let bytes = manifest().sign(&key(1)).unwrap();
    let other = manifest().sign(&key(2)).unwrap();
    let line = |bytes: &[u8], at| bytes.split_inclusive(|byte| *byte == b'\n').nth(at).unwrap().to_vec();
    let mixed = [line(&bytes, 0), line(&other, 1)].concat();
    assert!(SignedManifest::parse(&mixed).unwrap_err().to_string().contains("signature"));
    // A good signature by another key is good, and tells whose it is.
    let read = SignedManifest::parse(&other).unwrap();
    assert_eq!(read.manifest.signer.to_string(), key(2).public_hex());
}

#[test]
fn f83_newer_forms_are_told_as_such_and_additions_are_passed_over() {
    let key = key(1);
    let mut newer = value(&key);
    newer["format"]["major"] = json!(2);
    newer["artifacts"] = json!("of quite another form");
    let mut critical = value(&key);
    critical["format"]["critical"] = json!(["sealed-otherwise"]);
    critical["sealed"] = json!({"suite": "x"});
    for value in [newer, critical] {
        let error = SignedManifest::parse(&sign_value(&value, &key)).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { .. }), "{error}");
        assert_eq!(error.class(), backstock_vocabulary::ErrorClass::Ask);
    }
    let mut added = value(&key);
    added["format"]["minor"] = json!(9);
    added["later"] = json!({"more": [1, 2]});
    let read = SignedManifest::parse(&sign_value(&added, &key)).unwrap();
    assert_eq!(read.manifest.sequence, 17);
}

/// A program that cannot open it must not take it for an ordinary one.
#[test]
fn a_sealed_backup_calls_it_critical_and_its_parts_by_other_names() {
    let key = key(1);
    let identity = IdentityId::from_parts(1, [3; 10]);
    let mut sealed = manifest();
    sealed.sealed = Some(Sealed { recipients: vec![identity] });
    assert!(sealed.sign(&key).is_err(), "its parts have the names of parts that are not sealed");
    for part in sealed.artifacts.iter_mut().flat_map(|artifact| &mut artifact.parts) {
        part.name.push_str(".bks");
    }
    let read = SignedManifest::parse(&sealed.sign(&key).unwrap()).unwrap().manifest;
    assert_eq!((&read.sealed, read.format.critical), (&sealed.sealed, vec!["sealed".to_owned()]));
    assert_eq!(read.artifacts, sealed.artifacts);
    let mut bare = value(&key);
    bare["format"]["critical"] = json!(["sealed"]);
    assert!(SignedManifest::parse(&sign_value(&bare, &key)).unwrap_err().is_damage());
    sealed.sealed = Some(Sealed { recipients: Vec::new() });
    assert!(sealed.sign(&key).is_err(), "it is sealed for nobody");
}

#[test]
fn documents_of_another_kind_are_refused() {
    let key = key(1);
    let owner = owner().sign(&key).unwrap();
    let manifest = manifest().sign(&key).unwrap();
    assert!(SignedManifest::parse(&owner).unwrap_err().to_string().contains("backstock.owner"));
    assert!(Owner::parse(&manifest, "owner-2.json").unwrap_err().to_string().contains("backstock.manifest"));
    assert!(Owner::parse(&owner, "owner-3.json").unwrap_err().is_damage());
    assert_eq!(Owner::parse(&owner, "owner-2.json").unwrap().generation, 2);
}

#[test]
fn f84_parts_with_other_names_or_impossible_sizes_are_refused() {
    let key = key(1);
    let changes: [fn(&mut Value); 11] = [
        |value| value["artifacts"][2]["parts"][0]["name"] = json!("../../etc/passwd"),
        |value| value["artifacts"][2]["parts"][0]["name"] = json!("/etc/passwd"),
        |value| value["artifacts"][2]["parts"][1]["name"] = json!("files/files.tar.zst.001"),
        |value| value["artifacts"][2]["parts"][1]["name"] = json!("files/files.tar.zst.003"),
        |value| value["artifacts"][2]["parts"] = json!([]),
        |value| value["artifacts"][2]["parts"][0]["size_bytes"] = json!(u64::MAX),
        |value| value["artifacts"][2]["parts"][0]["block_blake3"] = json!([]),
        |value| value["artifacts"][3]["kind"] = json!("files"),
        |value| value["parent"] = Value::Null,
        |value| value["sequence"] = json!(0),
        |value| value["sealed"] = json!({}),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut value = value(&key);
        change(&mut value);
        let error = SignedManifest::parse(&sign_value(&value, &key)).unwrap_err();
        assert!(error.is_damage(), "change {number}: {error}");
    }
}

#[test]
fn what_could_not_be_read_back_is_not_signed() {
    let mut wrong = manifest();
    wrong.artifacts[0].parts[0].name = "db/other".to_owned();
    assert!(matches!(wrong.sign(&key(1)), Err(Error::Option { .. })));
}

#[test]
fn a_document_longer_than_the_limit_is_not_read() {
    let limit = usize::try_from(signed::DOCUMENT_LIMIT_BYTES).unwrap();
    let error = SignedManifest::parse(&vec![b'{'; limit + 1]).unwrap_err();
    assert!(error.to_string().contains("longer"), "{error}");
    let deep = [vec![b'['; 1 << 20], b"\n{}\n".to_vec()].concat();
    assert!(SignedManifest::parse(&deep).unwrap_err().is_damage());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(SignedManifest::parse(&bytes).is_err());
        prop_assert!(Owner::parse(&bytes, "owner-1.json").is_err());
    }

    /// Members of every name with values of every kind, rightly signed: read or refused, never more.
    #[test]
    fn any_signed_payload_is_read_or_refused(
        member in prop::sample::select(vec![
            "format", "signer", "sequence", "level", "parent", "started", "content", "exceptions", "sealed", "artifacts",
        ]),
        text in r#"(null|-1|1e999|""|"é"|\[\]|\{\}|18446744073709551616|\[null\]|"2026-13-01T00:00:00Z")"#,
    ) {
        let key = key(1);
        let mut value = value(&key);
        value[member] = serde_json::from_str(&text).unwrap_or(Value::Null);
        let changed = value[member].clone();
        match SignedManifest::parse(&sign_value(&value, &key)) {
            Ok(_) => prop_assert!(member == "artifacts" || member == "sealed", "{} {}", member, changed),
            Err(error) => prop_assert!(error.is_damage(), "{}", error),
        }
    }
}
