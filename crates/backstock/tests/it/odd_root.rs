//! A shop whose own folder, and a folder outside it, have names that are no text: the whole job works on it, and every
//! path that is kept comes back byte by byte.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use backstock_testbed::ServerKind;

use super::harness::Run;
use super::plain_shop::PlainShop;

/// Latin-1, as a shop that moved from an old machine may have it.
const ROOT: &[u8] = b"caf\xe9 \xff";
const OUTSIDE: &[u8] = b"m\xe9dia";
/// A file of each, and its content.
const FILE: &[u8] = b"\xc3\x28.txt";
const KEPT: &[u8] = b"as it was";

struct OddShop {
    plain: PlainShop,
    root: PathBuf,
    outside: PathBuf,
}

impl OddShop {
    fn new() -> Option<Self> {
        let plain = PlainShop::new(ServerKind::MariaDb)?;
        let root = plain.place.folder().join(OsStr::from_bytes(ROOT));
        let outside = plain.place.folder().join(OsStr::from_bytes(OUTSIDE));
        for folder in [&root, &outside] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(OsStr::from_bytes(FILE)), KEPT).unwrap();
        }
        Some(Self { plain, root, outside })
    }

    /// Runs a command with the flags of the shop behind it.
    fn run(&self, orders: &str, arguments: &[&OsStr]) -> Run {
        let mut flag = OsString::from("media=");
        flag.push(&self.outside);
        let mut command = self.plain.place.command(&[]);
        command.args(arguments).args(self.plain.database_flags()).arg("--outside-folder").arg(flag);
        Run::of(&command.env("BACKSTOCK_FAILPOINT", orders).output().unwrap())
    }

    fn restore(&self, orders: &str) -> Run {
        let words = ["restore", "latest", "--shop"].map(OsStr::new);
        let more = ["--yes", "--without-maintenance"].map(OsStr::new);
        self.run(orders, &[&words[..], &[self.root.as_os_str()], &more].concat())
    }

    /// A command that knows the shop by what was kept of it.
    fn known(&self, arguments: &[&str]) -> Run {
        self.plain.place.run(arguments)
    }

    fn files(&self) -> [Option<Vec<u8>>; 2] {
        [&self.root, &self.outside].map(|folder| fs::read(folder.join(OsStr::from_bytes(FILE))).ok())
    }

    fn rows(&self) -> Vec<u8> {
        self.plain.server.client("plain", "SELECT COUNT(*) FROM cart").unwrap()
    }

    fn ruin(&self) {
        fs::write(self.root.join(OsStr::from_bytes(FILE)), "ruined").unwrap();
        fs::remove_file(self.outside.join(OsStr::from_bytes(FILE))).unwrap();
        self.plain.server.client("plain", "DELETE FROM cart").unwrap();
    }
}

#[test]
fn a_shop_whose_root_is_no_text_is_backed_up_restored_undone_and_accepted() {
    let Some(shop) = OddShop::new() else { return };
    let root = shop.root.as_os_str();
    let detected = shop.plain.place.command(&["detect", "--json"]).arg(root).output().unwrap();
    // The database is given by hand: the files do not tell of it.
    let detected = Run::of(&detected).expect(3).json();
    assert!(detected["layout"]["root"]["base64"].is_string(), "{detected}");
    let rows = shop.rows();
    shop.run("", &[OsStr::new("backup"), root]).expect(0);
    for arguments in [&["list"][..], &["list", "--json"], &["show", "latest", "--contents"], &["verify"]] {
        shop.known(arguments).expect(0);
    }
    let listed = shop.plain.place.command(&["list"]).arg(root).output().unwrap();
    Run::of(&listed).expect(0);

    shop.ruin();
    let ruined = (shop.files(), shop.rows());
    shop.restore("restore.between_swaps=kill:1").expect_killed();
    shop.known(&["restore", "--resume"]).expect(0);
    let restored = ([Some(KEPT.to_vec()), Some(KEPT.to_vec())], rows);
    assert_eq!((shop.files(), shop.rows()), restored);
    shop.known(&["undo", "--yes"]).expect(0);
    assert_eq!((shop.files(), shop.rows()), ruined);
    shop.known(&["undo", "--yes"]).expect(0);
    assert_eq!((shop.files(), shop.rows()), restored);
    shop.known(&["restore", "--accept"]).expect(0);
    assert_eq!((shop.files(), shop.rows()), restored);

    // With the folder gone, what the index keeps of the shop leads there.
    fs::remove_dir_all(&shop.root).unwrap();
    shop.restore("").expect(0);
    assert_eq!((shop.files(), shop.rows()), restored);
    shop.known(&["restore", "--accept"]).expect(0);
    for folder in ["journals", "spool"] {
        assert_eq!(fs::read_dir(shop.plain.place.state().join(folder)).unwrap().count(), 0, "{folder}");
    }
}
