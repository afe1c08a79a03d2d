//! Locked storage: what stays is locked by its generation, nobody deletes it before that, and nothing that is planted hides it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::away::Away;
use super::harness::Place;
use super::sealed::{folder_of_files, give_key};

/// What an intruder with the server's key sends, without the program.
fn request(address: SocketAddr, method: &str, key: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = [
        format!("{method} /locks/{key} HTTP/1.1"),
        format!("host: {address}"),
        "authorization: AWS4-HMAC-SHA256 Credential=a/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0".to_owned(),
        format!("connection: close\r\ncontent-length: {length}\r\n\r\n"),
    ]
    .join("\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A replica at the locked bucket: its folder, its state, and until when it is locked.
fn replica(backup: &Value) -> (String, String, Option<Timestamp>) {
    let replicas = backup["replicas"].as_array().unwrap();
    let there = replicas.iter().find(|replica| replica["storage"] == "vault").unwrap();
    let until = there["locked_until"].as_str().map(|until| until.parse().unwrap());
    (there["folder"].as_str().unwrap().to_owned(), there["state"].as_str().unwrap().to_owned(), until)
}

#[test]
fn what_stays_is_locked_and_neither_deleted_nor_hidden() {
    let Some(vault) = Away::vault() else { return };
    let address = vault.vault_address();
    let place = Place::new();
    let root = folder_of_files(&place);
    give_key(&place, &[]);
    let policy = "[retention]\nkeep_last = 2\ngrace_hours = 0\n[levels]\nmax_chain_length = 9\n";
    fs::write(place.configuration(), policy).unwrap();
    vault.add(&place, &root, &[]);
    assert_eq!(place.run(&["storage", "test", "vault", "--json"]).expect(0).json()["locks"], true);
    let made = place.run(&["backup", &root, "--level", "full", "--json"]).expect(0).json();
    assert_eq!((&made["locks"][0]["storage"], &made["locks"][0]["problem"]), (&"vault".into(), &Value::Null));
    let backup = place.list().remove(0);
    let (first, _, until) = replica(&backup);
    let started: Timestamp = backup["started"].as_str().unwrap().parse().unwrap();
    let in_days = |days: i64| started + SignedDuration::from_hours(24 * days);
    // Nobody knows the pace yet: two newer ones, one a day; a week at the least.
    assert!(until.unwrap() > in_days(6) && until.unwrap() < in_days(8), "{until:?}");
    let manifest = format!("shops/{first}/manifest.json");
    let retention = request(address, "GET", &format!("{manifest}?retention"), "");
    assert!(retention.contains("<Mode>GOVERNANCE</Mode>"), "{retention}");
    let set = first.rsplit_once('/').unwrap().0;
    let script = request(address, "GET", &format!("shops/{set}/keys/open-backup.py?retention"), "");
    assert!(script.contains("<Mode>GOVERNANCE</Mode>"), "what opens it is locked with it: {script}");

    // Whoever has the server's key plants a newer manifest, and deletes a part as anybody deletes.
    assert!(request(address, "PUT", &manifest, "{}").contains("200"), "moto takes it");
    let listed = request(address, "GET", &format!("?list-type=2&prefix=shops/{first}/"), "");
    let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
    let part = keys.into_iter().find(|key| key.contains("files.tar")).unwrap().to_owned();
    assert!(request(address, "DELETE", &part, "").contains("204"), "a marker");
    let other = Place::new();
    fs::copy(place.folder().join("passphrase"), other.folder().join("passphrase")).unwrap();
    let key = ["--passphrase-file", "passphrase"];
    vault.typed(&other, &["recover"], &[&key[..], &["--without-settings"]].concat()).expect(0);
    other.run(&[&["verify", "latest"], &key[..]].concat()).expect(0);

    // It should go, and stays: for its own server, and for whoever has another key.
    for number in 0..2 {
        fs::write(Path::new(&root).join("page"), format!("{number}")).unwrap();
        place.run(&["backup", &root, "--level", "full"]).expect(0);
    }
    place.run(&["prune", &root, "--yes"]).expect(0);
    let backups = place.list();
    let oldest = backups.iter().find(|backup| backup["sequence"] == 1).unwrap();
    assert_eq!(replica(oldest).1, "retained-by-storage");
    assert_eq!(replica(oldest).2, until, "what goes is not locked for longer");
    let finish = other.run(&["prune", "--finish", "vault", "--yes"]).expect(3);
    assert!(
        finish.stderr.contains("it is locked") || finish.stderr.contains("is locked still"),
        "{finish:?}"
    );
    let again = Place::new();
    let run = vault.typed(&again, &["recover"], &["--without-settings", "--json"]).expect(0).json();
    assert_eq!((&run["backups"], &run["irregularities"]), (&3.into(), &serde_json::json!([])));
}
