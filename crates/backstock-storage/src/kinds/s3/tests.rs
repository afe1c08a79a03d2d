//! The S3 kind against a real server that checks signatures, alone and with trouble on the way.

mod faults;
mod garage;
mod locks;
mod resume;
mod versions;

use std::path::{Path, PathBuf};

use backstock_host::Host;
use backstock_testbed::proxy::{Proxy, Trouble};
use backstock_testbed::storages::s3::{ACCESS_KEY_ID, BUCKET, S3Server, SECRET_ACCESS_KEY};
use backstock_vocabulary::Proof;
use ring::digest::digest;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::http::Patience;
use crate::{InOneGo, contract};

/// A server, a proxy before it, and a storage that knows the proxy only.
struct Trial {
    storage: S3,
    proxy: Proxy,
    server: S3Server,
    spool: TempDir,
}

fn settings(address: std::net::SocketAddr) -> serde_json::Value {
    json!({
        "endpoint": format!("http://{address}"),
        "bucket": BUCKET,
        "prefix": "shop one/ü+",
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
    })
}

impl Trial {
    fn start() -> Option<Self> {
        let server = S3Server::for_test()?;
        let proxy = Proxy::start(server.address());
        let mut storage = s3(&Host::real(), &settings(proxy.address())).unwrap();
        let patience =
            Patience { stall: std::time::Duration::from_secs(2), answer: std::time::Duration::from_secs(6) };
        storage.bucket.http = storage.bucket.http.with_patience(patience);
        Some(Self { storage, proxy, server, spool: tempfile::tempdir().unwrap() })
    }

    /// A file in the spool with bytes that do not repeat.
    fn part(&self, size_bytes: usize) -> Spooled {
        Spooled::write(self.spool.path(), size_bytes)
    }

    /// How many bytes of bodies went by.
    fn sent_bytes(&self) -> u64 {
        self.proxy.requests().iter().map(|request| request.body_bytes).sum()
    }
}

struct Spooled {
    path: PathBuf,
    size_bytes: u64,
    sha256: [u8; 32],
}

impl Spooled {
    fn write(spool: &Path, size_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(size_bytes + 8);
        let mut state = size_bytes as u64 | 1;
        while bytes.len() < size_bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(size_bytes);
        let path = spool.join("part");
        std::fs::write(&path, &bytes).unwrap();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&ring::digest::SHA256, &bytes).as_ref());
        Self { path, size_bytes: size_bytes as u64, sha256 }
    }

    fn part(&self) -> SpooledPart<'_> {
        let Self { path, size_bytes, sha256 } = self;
        SpooledPart { path, size_bytes: *size_bytes, sha256: *sha256, blocks: &[], may_consume: false }
    }
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let Some(trial) = Trial::start() else { return };
    let host = Host::real();
    // To this server a folder of its disk is a broken object; to S3 there is nothing.
    trial.proxy.order("HEAD", "/list/a?", 0, u32::MAX, Trouble::status(404, ""));
    trial.proxy.order("DELETE", "/list/a?", 0, u32::MAX, Trouble::status(204, ""));
    contract::check(&host, &trial.storage, trial.spool.path()).await.unwrap();
    let prefix = trial.server.objects().join("shop one/ü+");
    assert!(files_below(&prefix).is_empty(), "{:?}", files_below(&prefix));
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && properties.deletes && properties.resumes && !properties.is_local);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn what_is_put_in_one_request_is_confirmed_by_its_hash() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(300_000);
    let receipt = trial.storage.put(&name("a/part"), &spooled.part(), &InOneGo).await.unwrap();
    assert_eq!(receipt.proof, Proof::ProviderHash);
    let puts: Vec<_> = trial.proxy.requests().into_iter().filter(|request| request.method == "PUT").collect();
    assert_eq!(puts.len(), 1);
    let head = puts[0].head.to_lowercase();
    for header in ["content-md5: ", "x-amz-meta-sha256: ", "content-length: 300000"] {
        assert!(head.contains(header), "{header}: {head}");
    }
    for header in ["transfer-encoding", "x-amz-checksum", "x-amz-trailer", "if-none-match"] {
        assert!(!head.contains(header), "{header}: {head}");
    }
    assert!(puts[0].target.starts_with("/backups/shop%20one/%C3%BC%2B/a/part?"), "{}", puts[0].target);
}

#[tokio::test]
async fn a_list_has_all_its_pages() {
    let Some(trial) = Trial::start() else { return };
    let folder = trial.server.objects().join("shop one/ü+/many");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..2345 {
        std::fs::write(folder.join(format!("{number:05}+ü x")), "12345").unwrap();
    }
    let found = trial.storage.list(Some(&name("many"))).await.unwrap();
    assert_eq!(found.len(), 2345);
    assert_eq!(found[2344].name, name("many/02344+ü x"));
    assert!(found.iter().all(|facts| facts.size_bytes == 5));
    let pages =
        trial.proxy.requests().iter().filter(|request| request.target.contains("list-type=2")).count();
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn settings_that_cannot_be_used_say_why() {
    let host = Host::real();
    for (key, value, problem) in [
        ("endpoint", json!("ftp://x"), "endpoint"),
        ("endpoint", json!("https://"), "endpoint"),
        ("bucket", json!("a/b"), "bucket"),
        ("prefix", json!("a/../b"), "prefix"),
        ("ca_file", json!("/missing.pem"), "ca_file"),
        ("proxy", json!("::"), "proxy"),
        ("secret_access_key", json!(5), "invalid type"),
        ("unknown", json!(5), "unknown"),
    ] {
        let mut settings = settings("127.0.0.1:1".parse().unwrap());
        settings[key] = value;
        let error = s3(&host, &settings).unwrap_err().to_string();
        assert!(error.contains(problem), "{key}: {error}");
        assert!(!error.contains(SECRET_ACCESS_KEY), "{error}");
    }
    let mut virtual_style = settings("127.0.0.1:1".parse().unwrap());
    virtual_style["endpoint"] = json!("s3.eu-central-1.amazonaws.com");
    virtual_style["path_style"] = json!(false);
    let debug = format!("{:?}", s3(&host, &virtual_style).unwrap());
    assert!(debug.contains("backups.s3.eu-central-1.amazonaws.com"), "{debug}");
    assert!(!debug.contains(SECRET_ACCESS_KEY), "{debug}");
}
