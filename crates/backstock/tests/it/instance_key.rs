//! The key of the instance, given from outside: by the environment or as a credential of systemd. What it sealed opens with it
//! and with nothing else, and no other is ever made in its place.

use std::fs;

use backstock_testbed::storages::sftp::{PASSWORD, SftpServer};

use super::harness::{Place, Run};

/// How a run is given a key.
enum Given<'a> {
    Nothing,
    Variable(&'a str),
    Credential,
}

struct Scene {
    place: Place,
    server: SftpServer,
}

impl Scene {
    fn new() -> Option<Self> {
        let (server, place) = (SftpServer::for_test()?, Place::new());
        fs::create_dir(place.folder().join("credentials")).unwrap();
        fs::create_dir(place.folder().join("shop")).unwrap();
        fs::write(place.folder().join("shop/page"), "hello").unwrap();
        fs::write(place.folder().join("password"), format!("{PASSWORD}\n")).unwrap();
        fs::write(place.folder().join("key"), server.user_key()).unwrap();
        Some(Self { place, server })
    }

    fn run(&self, given: &Given<'_>, arguments: &[&str]) -> Run {
        let mut command = self.place.command(arguments);
        match given {
            Given::Nothing => {}
            Given::Variable(text) => drop(command.env("BACKSTOCK_INSTANCE_KEY", text)),
            Given::Credential => {
                command.env("CREDENTIALS_DIRECTORY", self.place.folder().join("credentials"));
            }
        }
        Run::of(&command.output().unwrap())
    }

    fn set_credential(&self, bytes: &[u8]) {
        fs::write(self.place.folder().join("credentials/backstock.instance-key"), bytes).unwrap();
    }

    /// Keeps a storage whose secret is sealed with the key.
    fn add_storage(&self, given: &Given<'_>) {
        let secret = if self.server.has_passwords() { "password=password" } else { "private_key=key" };
        let settings = [
            format!("port={}", self.server.port()),
            format!("user={}", self.server.user()),
            format!("host_key={}", self.server.host_key()),
            "host=127.0.0.1".to_owned(),
            "folder=backups".to_owned(),
        ];
        let mut arguments = vec!["storage", "add", "away", "--kind", "sftp", "--secret-file", secret];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        self.run(given, &arguments).expect(0);
    }
}

#[test]
fn a_key_that_is_given_lies_in_no_file_and_no_other_takes_its_place() {
    let Some(scene) = Scene::new() else { return };
    let (own, other) = ("5a".repeat(32), "5b".repeat(32));
    let variable = Given::Variable(&own);
    scene.add_storage(&variable);
    let shop = scene.place.folder().join("shop");
    scene.run(&variable, &["backup", shop.to_str().unwrap()]).expect(0);
    assert!(!scene.place.state().join("instance.key").exists());
    // The same key by the other way, as the bytes that a key file has.
    scene.set_credential(&[0x5a; 32]);
    scene.run(&Given::Credential, &["storage", "test", "away"]).expect(0);
    scene.run(&Given::Credential, &["verify", "latest"]).expect(0);
    // Without it nothing is made anew, and another one is refused.
    let test = ["storage", "test", "away"];
    scene
        .run(&Given::Nothing, &test)
        .expect_error(1, &["was not given now", "systemd credential backstock.instance-key"]);
    assert!(!scene.place.state().join("instance.key").exists());
    scene.run(&Given::Variable(&other), &test).expect_error(1, &["this instance has", "nothing was changed"]);
    scene.run(&Given::Variable("5a5a"), &test).expect_error(2, &["BACKSTOCK_INSTANCE_KEY is no key"]);
    scene.set_credential(b"not a key");
    scene.run(&Given::Credential, &test).expect_error(2, &["is no key of an instance"]);
    scene.run(&variable, &test).expect(0);
}

/// A key that lay in its file becomes a credential: the file may go once it was given.
#[test]
fn a_key_may_leave_its_file_for_a_credential() {
    let Some(scene) = Scene::new() else { return };
    scene.add_storage(&Given::Nothing);
    let file = scene.place.state().join("instance.key");
    scene.set_credential(&fs::read(&file).unwrap());
    scene.run(&Given::Credential, &["storage", "test", "away"]).expect(0);
    fs::remove_file(&file).unwrap();
    scene.run(&Given::Credential, &["storage", "test", "away"]).expect(0);
    scene.run(&Given::Nothing, &["storage", "test", "away"]).expect_error(1, &["was not given now"]);
    assert!(!file.exists());
}
