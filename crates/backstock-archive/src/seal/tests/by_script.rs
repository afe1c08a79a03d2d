//! A sealed backup in parts is opened by the published script alone, with a passphrase and with a file.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use backstock_host::{Host, InstanceKey};
use backstock_testbed::programs::peer;
use backstock_vocabulary::{ArtifactKind, Codec};

use super::{Predictable, backup_id, seal_for, text_of};
use crate::artifact::{ArtifactOptions, ArtifactWriter, Storing};
use crate::index::{IndexOptions, IndexWriter};
use crate::manifest::{Manifest, ManifestArtifact, Sealed};
use crate::seal::{ArtifactSeal, Passphrase, PrivateIdentity, SlotCost, Suite};

const PASSPHRASE: &str = "grüne Wiesen im März";

/// A set's folder with one backup of files in it, and the text of the archive. `None`: no Python is there.
struct Stored {
    set: tempfile::TempDir,
    text: Vec<u8>,
}

impl Stored {
    fn new(suite: Suite) -> Self {
        let set = tempfile::tempdir().unwrap();
        let random = Predictable::of(1);
        let (identity, seal) = seal_for(&random, suite, backup_id(1));
        let backup = set.path().join("backup");
        let files = backup.join("files");
        fs::create_dir_all(&files).unwrap();
        let of = |kind| ArtifactSeal::of(&seal, kind);
        let options = ArtifactOptions {
            part_size_bytes: 2_500_000,
            seal: Some(of(ArtifactKind::Files)),
            ..ArtifactOptions::of(Codec::Zstd, 2)
        };
        let writer = ArtifactWriter::create(&Host::real(), &files, "files.tar.zst", &options).unwrap();
        let text = text_of(9_000_000);
        for frame in text.chunks(700_000) {
            writer.frame(frame.to_vec(), Storing::Store).unwrap();
        }
        let artifact = writer.finish().unwrap();
        assert!(artifact.parts.len() > 3);
        let index = of(ArtifactKind::FilesIndex);
        let options = IndexOptions { seal: Some(&index), ..IndexOptions::default() };
        let mut index = IndexWriter::create_with(&Host::real(), &files, &options, &"header").unwrap();
        index.add(b"a", &1).unwrap();
        let part = index.finish(&artifact.frames, &()).unwrap();
        let manifest = Manifest {
            backup: backup_id(1),
            sealed: Some(Sealed { recipients: vec![identity.id()] }),
            artifacts: vec![
                ManifestArtifact::data(ArtifactKind::Files, &artifact),
                ManifestArtifact::index(ArtifactKind::FilesIndex, &part),
            ],
            ..crate::manifest::tests::manifest()
        };
        let key = InstanceKey::load_or_create(&Host::real(), &set.path().join("instance.key")).unwrap();
        fs::write(backup.join("manifest.json"), manifest.sign(&key).unwrap()).unwrap();
        let stored = Self { set, text };
        stored.keep(&random, &identity);
        stored
    }

    /// Puts the identity into `keys/`, and its private half into a file.
    fn keep(&self, random: &Predictable, identity: &PrivateIdentity) {
        let keys = self.set.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let mut public = identity.public(jiff::Timestamp::UNIX_EPOCH).unwrap();
        for text in ["the first passphrase", PASSPHRASE] {
            let passphrase = Passphrase::typed(text.to_owned());
            public = public.with_passphrase(random, SlotCost::of_tests(), identity, &passphrase).unwrap();
            fs::write(keys.join(public.name()), public.sign(identity).unwrap()).unwrap();
            public = public.next();
        }
        fs::write(self.set.path().join("private"), identity.to_file().unwrap()).unwrap();
    }

    fn open(&self, python: &Path, target: &str, more: &[&str], passphrase: &str) -> Output {
        self.open_at(python, "backup", target, more, passphrase)
    }

    fn open_at(&self, python: &Path, path: &str, target: &str, more: &[&str], passphrase: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/open-backup.py");
        Command::new(python)
            .arg(script)
            .args(more)
            .args([path, target])
            .env("BACKSTOCK_PASSPHRASE", passphrase)
            .current_dir(self.set.path())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn expect_code(&self, python: &Path, code: i32, more: &[&str], passphrase: &str) {
        let target = format!("refused-{}-{}", more.len(), passphrase.len());
        let output = self.open(python, &target, more, passphrase);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let _ = fs::remove_dir_all(self.set.path().join(target));
    }
}

#[test]
fn the_published_script_opens_a_sealed_backup_in_parts() {
    let Some(python) = peer("python3") else { return };
    for suite in Suite::ALL {
        let stored = Stored::new(suite);
        for (target, more, passphrase) in
            [("one", &[][..], PASSPHRASE), ("two", &["--identity-file", "private"][..], "")]
        {
            let output = stored.open(&python, target, more, passphrase);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let opened = stored.set.path().join(target);
            let stock = "cat files/files.tar.zst.??? | zstd -dc && zstd -dc files/index.zst >index";
            let output =
                Command::new("bash").args(["-o", "pipefail", "-c", stock]).current_dir(&opened).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.stdout == stored.text, "{suite:?} {target}");
            assert!(fs::read_to_string(opened.join("index")).unwrap().contains("\"key\":\"a\""));
        }
    }
}

#[test]
fn the_published_script_opens_an_export_of_settings() {
    let Some(python) = peer("python3") else { return };
    let stored = Stored::new(Suite::XWing);
    let (random, settings) = (Predictable::of(3), crate::settings::tests::settings(true, "daily".to_owned()));
    let (name, export) = (settings.name().path(), settings.export);
    let key = InstanceKey::load_or_create(&Host::real(), &stored.set.path().join("instance.key")).unwrap();
    let text = settings.sign(&key).unwrap();
    let identity = fs::read(stored.set.path().join("private")).unwrap();
    let identity = PrivateIdentity::of_file(&identity, "private").unwrap();
    let recipient = identity.public(jiff::Timestamp::UNIX_EPOCH).unwrap().recipient();
    let mut bytes = crate::seal::seal_settings(&random, export, &[recipient], &text).unwrap();
    fs::create_dir(stored.set.path().join("catalog")).unwrap();
    fs::write(stored.set.path().join(&name), &bytes).unwrap();
    for (target, more, passphrase) in
        [("one", &[][..], PASSPHRASE), ("two", &["--identity-file", "private"][..], "")]
    {
        let output = stored.open_at(&python, &name, target, more, passphrase);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let opened = fs::read_dir(stored.set.path().join(target)).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read(opened).unwrap(), *text);
    }
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(stored.set.path().join(&name), &bytes).unwrap();
    let output = stored.open_at(&python, &name, "three", &[], PASSPHRASE);
    assert_eq!(output.status.code(), Some(13), "{}", String::from_utf8_lossy(&output.stderr));
    let part = "backup/files/files.tar.zst.001.bks";
    assert_eq!(stored.open_at(&python, part, "four", &[], PASSPHRASE).status.code(), Some(13));
}

#[test]
fn the_published_script_tells_damage_from_a_wrong_key() {
    let Some(python) = peer("python3") else { return };
    let stored = Stored::new(Suite::XWing);
    stored.expect_code(&python, 12, &[], "the first passphrase");
    let other = PrivateIdentity::new(
        &Predictable::of(2),
        backstock_vocabulary::IdentityId::from_parts(5, [5; 10]),
        Suite::XWing,
    );
    fs::write(stored.set.path().join("other"), other.to_file().unwrap()).unwrap();
    stored.expect_code(&python, 12, &["--identity-file", "other"], "");
    let part = stored.set.path().join("backup/files/files.tar.zst.002.bks");
    let whole = fs::read(&part).unwrap();
    for at in [0, 5000, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&part, bytes).unwrap();
        stored.expect_code(&python, 13, &["--identity-file", "private"], "");
    }
    fs::write(&part, &whole).unwrap();
    let manifest = stored.set.path().join("backup/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("files.tar.zst.002", "files.tar.zst.003")).unwrap();
    stored.expect_code(&python, 13, &["--identity-file", "private"], "");
}

/// What stands in the seed of the sealed part is what Python's own cryptography makes of it: the suites of `hpke` and of
/// `cryptography` are the same, and the stream is Tink's.
#[test]
fn the_kept_parts_open_with_another_implementation() {
    let Some(python) = peer("python3") else { return };
    let program = "import sys,json,io,importlib.util as u\n\
        s=u.spec_from_file_location('s',sys.argv[1]); m=u.module_from_spec(s); s.loader.exec_module(m)\n\
        i=json.load(open(sys.argv[2])); f=open(sys.argv[3],'rb'); w,h=m.read_header(f,'x')\n\
        k=m.data_key(w,i['identity'],i['suite'],bytes.fromhex(i['private_key']))\n\
        m.open_stream(f,k,h,sys.stdout.buffer,'x')\n";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for suite in Suite::ALL {
        let kept = |what: &str| root.join(format!("fixtures/seal/{}.{what}", suite.name()));
        let output = Command::new(&python)
            .args(["-c", program])
            .args([root.join("docs/open-backup.py"), kept("identity.json"), kept("part.bks")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == text_of(1000), "{suite:?}");
    }
}
