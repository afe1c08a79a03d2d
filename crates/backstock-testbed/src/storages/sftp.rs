//! A private OpenSSH server that offers SFTP alone: own keys, own port, own user, nothing of the machine's.
//!
//! As root it runs in a mount namespace of its own with an `/etc` of four files, since it wants a user of its own and looks passwords
//! up in the shadow file. As another user it lets that user in, by key only.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Process, answers, free_port, not_tested, open_folder, program, write};
use crate::error::TestbedError;
use crate::programs::run;
use crate::spawner;

/// The user whom the server lets in, and its numbers.
pub(crate) const USER: &str = "shop";
pub(crate) const USER_ID: u32 = 61_234;
/// The user's password.
pub const PASSWORD: &str = "pass word-1";
/// That password as crypt(3) keeps it.
pub(crate) const PASSWORD_HASH: &str =
    "$6$backstock$1I5hsGtxfRae37lm.lGvOM2r1HZx24Mp1n.PKo.1D0HgHcuyamS6qibTSZC5lEFU.bVH0tkim/M/uDsRyXxq.1";
/// Room in the folder `small`, in bytes.
pub const SMALL_BYTES: u64 = 4 << 20;

/// A running server.
#[derive(Debug)]
pub struct SftpServer {
    port: u16,
    has_passwords: bool,
    keygen: PathBuf,
    _process: Process,
    // Last, so that the folder goes after the process.
    folder: TempDir,
}

/// A running ssh-agent with one key.
#[derive(Debug)]
pub struct Agent {
    /// What `SSH_AUTH_SOCK` would say.
    pub socket: PathBuf,
    _process: Process,
}

impl SftpServer {
    /// Starts a server; `None`, said loudly, where its programs are not there.
    ///
    /// # Panics
    /// When it does not start.
    pub fn for_test() -> Option<Self> {
        let (server, keygen) = (program("openssh", "sshd")?, program("openssh", "ssh-keygen")?);
        match Self::start(&server, keygen) {
            Ok(server) => Some(server),
            Err(error) => panic!("{error}"),
        }
    }

    fn start(server: &Path, keygen: PathBuf) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-ssh-")?;
        let path = folder.path();
        let port = free_port()?;
        let is_root = rustix::process::geteuid().is_root();
        for name in ["host_key", "user_key", "other_key"] {
            run(Command::new(&keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join(name)))?;
        }
        let file = |name: &str| path.join(name);
        std::fs::copy(file("user_key.pub"), file("authorized_keys"))
            .map_err(|error| TestbedError::file("copy", &file("user_key.pub"), error))?;
        let home = file("home");
        for folder in [home.clone(), home.join("small")] {
            std::fs::create_dir(&folder).map_err(|error| TestbedError::file("create", &folder, error))?;
            if is_root {
                chown(&folder, Some(USER_ID), Some(USER_ID))
                    .map_err(|error| TestbedError::file("give away", &folder, error))?;
            }
        }
        write(
            &file("config"),
            &format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nPidFile none\nUsePAM no\nUseDNS no\n\
                 PasswordAuthentication yes\nStrictModes no\nAuthorizedKeysFile {at}/authorized_keys\n\
                 MaxStartups 100\nSubsystem sftp internal-sftp\nForceCommand internal-sftp\n",
                at = path.display()
            ),
        )?;
        let mut command = if is_root { Self::as_root(path, server)? } else { spawner::dying_with_us(server) };
        // -r: it does not start itself again, by another loader than the one that it came with.
        command.args(["-D", "-e", "-r", "-f"]).arg(file("config"));
        let mut process = Process::start(command, &file("log"))?;
        process.wait_until("sshd", &file("log"), || answers(port))?;
        Ok(Self { port, has_passwords: is_root, keygen, _process: process, folder })
    }

    /// The command in a mount namespace with an `/etc` of its own and a small file system below the user's home.
    fn as_root(path: &Path, server: &Path) -> Result<Command, TestbedError> {
        let etc = path.join("etc");
        std::fs::create_dir(&etc).map_err(|error| TestbedError::file("create", &etc, error))?;
        let home = path.join("home");
        write(
            &etc.join("passwd"),
            &format!(
                "root:x:0:0::/root:/bin/sh\nsshd:x:61233:61233::/run/sshd:/bin/false\n\
                 {USER}:x:{USER_ID}:{USER_ID}::{}:/bin/sh\n",
                home.display()
            ),
        )?;
        write(&etc.join("group"), &format!("root:x:0:\nsshd:x:61233:\n{USER}:x:{USER_ID}:\n"))?;
        write(
            &etc.join("shadow"),
            &format!("root:*:1::::::\nsshd:!:1::::::\n{USER}:{PASSWORD_HASH}:19000::::::\n"),
        )?;
        write(&etc.join("nsswitch.conf"), "passwd: files\ngroup: files\nshadow: files\n")?;
        let script = format!(
            "set -e; mount --bind \"$1\" /etc; mount -t tmpfs none /run; mkdir -m 755 /run/sshd; \
             mount -t tmpfs -o size={SMALL_BYTES},uid={USER_ID},gid={USER_ID},mode=700 none \"$2\"; shift 2; exec \"$@\""
        );
        let mut command = spawner::dying_with_us(Path::new("/usr/bin/unshare"));
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(etc).arg(home.join("small")).arg(server);
        Ok(command)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user to sign in as.
    pub fn user(&self) -> String {
        if self.has_passwords { USER.to_owned() } else { std::env::var("USER").unwrap_or_default() }
    }

    /// Whether [`PASSWORD`] lets in, and the folder `small` has [`SMALL_BYTES`]; else this is said loudly.
    pub fn has_passwords(&self) -> bool {
        if !self.has_passwords {
            not_tested("passwords and full disks of sshd: they want root");
        }
        self.has_passwords
    }

    /// The folder that a login begins in.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The private key that lets in.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn user_key(&self) -> String {
        self.text("user_key")
    }

    /// A private key that does not let in.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn other_key(&self) -> String {
        self.text("other_key")
    }

    /// The key that lets in, with a passphrase.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn user_key_with_passphrase(&self, passphrase: &str) -> String {
        let path = self.folder.path().join("locked_key");
        std::fs::copy(self.folder.path().join("user_key"), &path).expect("the key can be copied");
        run(Command::new(&self.keygen).args(["-p", "-q", "-P", "", "-N", passphrase, "-f"]).arg(&path))
            .expect("the key takes a passphrase");
        self.text("locked_key")
    }

    /// The fingerprint of the host key, as ssh-keygen shows it.
    ///
    /// # Panics
    /// When ssh-keygen does not run.
    pub fn host_key(&self) -> String {
        let output = Command::new(&self.keygen)
            .args(["-l", "-f"])
            .arg(self.folder.path().join("host_key.pub"))
            .output();
        let output = output.expect("ssh-keygen runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split(' ').nth(1).expect("the fingerprint is the second word").to_owned()
    }

    /// Starts an agent that holds the key that lets in.
    ///
    /// # Panics
    /// When it does not start.
    pub fn agent(&self) -> Option<Agent> {
        let (agent, add) = (program("openssh", "ssh-agent")?, program("openssh", "ssh-add")?);
        let socket = self.folder.path().join("agent");
        let mut command = spawner::dying_with_us(&agent);
        command.args(["-D", "-a"]).arg(&socket);
        let log = self.folder.path().join("agent-log");
        let started = Process::start(command, &log).and_then(|mut process| {
            process.wait_until("ssh-agent", &log, || socket.exists())?;
            let key = self.folder.path().join("user_key");
            run(Command::new(add).arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket))?;
            Ok(process)
        });
        match started {
            Ok(process) => Some(Agent { socket, _process: process }),
            Err(error) => panic!("{error}"),
        }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("a key is text")
    }
}
