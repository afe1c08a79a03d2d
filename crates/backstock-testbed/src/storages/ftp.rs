//! Private FTP servers of several makes: own users, own ports, a certificate that the tests' authority has issued.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::sftp::{PASSWORD, PASSWORD_HASH, USER, USER_ID};
use super::{Process, answers, free_port, open_folder, program, write};
use crate::error::TestbedError;
use crate::spawner;

const CERTIFICATE: &str = include_str!("../../../../fixtures/tls/loopback.pem");
const KEY: &str = include_str!("../../../../fixtures/tls/loopback.key");

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpServerKind {
    /// vsftpd: no listings for programs; data connections must resume the TLS session. Whoever comes is let in, as `anonymous`.
    Vsftpd,
    /// ProFTPD: signs in users of its own; data connections must resume the TLS session.
    ProFtpd,
    /// pyftpdlib: notices TLS connections that are not closed as they should be.
    Pyftpdlib,
}

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpManner {
    /// TLS when asked for, and nothing without.
    Explicit,
    /// TLS from the first byte on.
    Implicit,
    /// No TLS.
    Plain,
    /// No TLS, and of every file that it says it has stored the last byte is missing (pyftpdlib alone).
    Short,
    /// No TLS, and the first upload is cut after 3 MiB, with the connection for commands (pyftpdlib alone).
    Cut,
    /// No TLS, and in the middle of the first upload, after 3 MiB, nothing is heard of it for five seconds (pyftpdlib alone).
    Stall,
    /// TLS when asked for, of version 1.3 alone (pyftpdlib alone).
    NewestTls,
    /// No TLS, and neither listings for programs nor lengths of files, nor passive mode in its newer form (pyftpdlib alone).
    Old,
    /// No TLS, and room for a mebibyte in each file (pyftpdlib alone).
    Full,
}

impl FtpServerKind {
    /// All of them.
    pub const KINDS: [Self; 3] = [Self::Vsftpd, Self::ProFtpd, Self::Pyftpdlib];

    fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Vsftpd => ("vsftpd", "vsftpd"),
            Self::ProFtpd => ("proftpd", "proftpd"),
            Self::Pyftpdlib => ("pyftpdlib", "python3"),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct FtpServer {
    kind: FtpServerKind,
    port: u16,
    _process: Process,
    // Last, so that the folder goes after the process.
    folder: TempDir,
}

impl FtpServer {
    /// Starts a server; `None`, said loudly, where its programs are not there.
    ///
    /// # Panics
    /// When it does not start.
    pub fn for_test(kind: FtpServerKind, manner: FtpManner) -> Option<Self> {
        let (package, name) = kind.package();
        let program = program(package, name)?;
        match Self::start(kind, manner, &program) {
            Ok(server) => Some(server),
            Err(error) => panic!("{error}"),
        }
    }

    fn start(kind: FtpServerKind, manner: FtpManner, program: &Path) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-ftp-")?;
        let path = folder.path().to_owned();
        let port = free_port()?;
        for folder in ["home", "empty"] {
            let folder = path.join(folder);
            std::fs::create_dir(&folder).map_err(|error| TestbedError::file("create", &folder, error))?;
        }
        write(&path.join("certificate"), CERTIFICATE)?;
        write(&path.join("key"), KEY)?;
        write(&path.join("both"), &format!("{KEY}{CERTIFICATE}"))?;
        let config = path.join("config");
        let mut command = spawner::dying_with_us(program);
        match kind {
            FtpServerKind::Vsftpd => {
                write(&config, &vsftpd(&path, port, manner))?;
                command.arg(&config);
            }
            FtpServerKind::ProFtpd => {
                write(&config, &proftpd(&path, port, manner, program))?;
                Self::add_user(&path)?;
                command.args(["--nodaemon", "--config"]).arg(&config);
            }
            FtpServerKind::Pyftpdlib => {
                write(&config, &pyftpdlib(&path, port, manner))?;
                command.arg(&config);
            }
        }
        let log = path.join("log");
        let mut process = Process::start(command, &log)?;
        process.wait_until(kind.package().0, &log, || answers(port))?;
        Ok(Self { kind, port, _process: process, folder })
    }

    /// Gives ProFTPD a user that owns the home.
    fn add_user(path: &Path) -> Result<(), TestbedError> {
        let (home, users) = (path.join("home"), path.join("users"));
        let is_root = rustix::process::geteuid().is_root();
        let id = if is_root { USER_ID } else { rustix::process::geteuid().as_raw() };
        write(&users, &format!("{USER}:{PASSWORD_HASH}:{id}:{id}::{}:/bin/sh\n", home.display()))?;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&users, mode).map_err(|error| TestbedError::file("close", &users, error))?;
        if is_root {
            chown(&home, Some(id), Some(id))
                .map_err(|error| TestbedError::file("give away", &home, error))?;
        }
        Ok(())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user to sign in as.
    pub fn user(&self) -> &'static str {
        if self.kind == FtpServerKind::Vsftpd { "anonymous" } else { USER }
    }

    /// The password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The folder that a login begins in.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What the server has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn vsftpd(path: &Path, port: u16, manner: FtpManner) -> String {
    let at = path.display();
    // A user that is there; the server stays who it is.
    let user = if rustix::process::geteuid().is_root() {
        "root".to_owned()
    } else {
        std::env::var("USER").unwrap_or_default()
    };
    let tls = if manner == FtpManner::Plain {
        String::new()
    } else {
        format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_data_ssl=YES\nforce_anon_logins_ssl=YES\nssl_tlsv1=YES\n\
             require_ssl_reuse=YES\nssl_ciphers=HIGH\nrsa_cert_file={at}/certificate\nrsa_private_key_file={at}/key\n\
             implicit_ssl={}\n",
            if manner == FtpManner::Implicit { "YES" } else { "NO" }
        )
    };
    format!(
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nrun_as_launching_user=YES\n\
         ftp_username={user}\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={at}/home\nwrite_enable=YES\nanon_upload_enable=YES\n\
         anon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_umask=077\nanon_world_readable_only=NO\n\
         secure_chroot_dir={at}/empty\nallow_writeable_chroot=YES\nseccomp_sandbox=NO\nconnect_from_port_20=NO\n\
         xferlog_enable=NO\n{tls}"
    )
}

fn proftpd(path: &Path, port: u16, manner: FtpManner, program: &Path) -> String {
    let at = path.display();
    // bin/proftpd lies beside root/.
    let modules = program.ancestors().nth(2).unwrap_or(program).join("root/usr/lib/proftpd");
    let tls = if manner == FtpManner::Plain {
        String::new()
    } else {
        format!(
            "LoadModule mod_tls.c\nTLSEngine on\nTLSRequired on\nTLSECCertificateFile {at}/certificate\n\
             TLSECCertificateKeyFile {at}/key\nTLSProtocol TLSv1.2 TLSv1.3\nTLSLog {at}/tls-log\n{}",
            if manner == FtpManner::Implicit { "TLSOptions UseImplicitSSL\n" } else { "" }
        )
    };
    format!(
        "ModulePath {}\nServerName test\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {port}\nUseIPv6 off\n\
         SocketBindTight on\nUseReverseDNS off\nWtmpLog off\nPidFile {at}/pid\nScoreboardFile {at}/scoreboard\n\
         DelayEngine off\nSystemLog {at}/system-log\nTransferLog none\nAuthOrder mod_auth_file.c\nAuthUserFile {at}/users\n\
         RequireValidShell off\nUmask 077\nAllowOverwrite on\nAllowStoreRestart on\nAllowRetrieveRestart on\n{tls}",
        modules.display()
    )
}

fn pyftpdlib(path: &Path, port: u16, manner: FtpManner) -> String {
    let at = path.display();
    let (handler, tls) = match manner {
        FtpManner::Explicit | FtpManner::Implicit | FtpManner::NewestTls => (
            "TLS_FTPHandler",
            format!(
                "handler.certfile = '{at}/both'\nhandler.tls_control_required = True\nhandler.tls_data_required = True\n"
            ),
        ),
        _ => ("FTPHandler", String::new()),
    };
    let fault = match manner {
        FtpManner::Short => "        import os; os.truncate(file, max(0, os.path.getsize(file) - 1))\n",
        _ => "        pass\n",
    };
    let data = match manner {
        FtpManner::Full => {
            "        if self.get_transmitted_bytes() > 1 << 20:\n            self._resp = ('552 No space left on device.', print)\n            self.close()\n"
        }
        FtpManner::Stall => {
            "        if not handler.was_cut and self.get_transmitted_bytes() > 3 << 20:\n            handler.was_cut = True\n            \
             import time; time.sleep(5)\n"
        }
        FtpManner::Cut => {
            "        if not handler.was_cut and self.get_transmitted_bytes() > 3 << 20:\n            handler.was_cut = True\n            \
             self.cmd_channel.close()\n"
        }
        _ => "",
    };
    let version = match manner {
        FtpManner::NewestTls => {
            "from OpenSSL import SSL\nhandler.ssl_options |= SSL.OP_NO_TLSv1 | SSL.OP_NO_TLSv1_1 | SSL.OP_NO_TLSv1_2\n"
        }
        FtpManner::Old => {
            "new = ('MLSD', 'MLST', 'EPSV', 'EPRT', 'FEAT', 'SIZE', 'MDTM')\n\
             handler.proto_cmds = {name: told for name, told in handler.proto_cmds.items() if name not in new}\n"
        }
        _ => "",
    };
    let data = if data.is_empty() {
        String::new()
    } else {
        format!(
            "from pyftpdlib.handlers import DTPHandler\nhandler.was_cut = False\n\
             class Data(DTPHandler):\n    def handle_read(self):\n        super().handle_read()\n{data}    handle_read_event = handle_read\n\
             handler.dtp_handler = Data\n"
        )
    };
    format!(
        "from pyftpdlib.authorizers import DummyAuthorizer\nfrom pyftpdlib.handlers import FTPHandler\n\
         {}from pyftpdlib.servers import FTPServer\n\
         class handler({handler}):\n    def on_file_received(self, file):\n{fault}\
         users = DummyAuthorizer()\nusers.add_user('{USER}', '{PASSWORD}', '{at}/home', perm='elradfmwMT')\n\
         handler.authorizer = users\nhandler.auth_failed_timeout = 0\n{tls}{version}{data}FTPServer(('127.0.0.1', {port}), handler).serve_forever()\n",
        if tls.is_empty() { "" } else { "from pyftpdlib.handlers import TLS_FTPHandler\n" }
    )
}
