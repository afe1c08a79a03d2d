//! Private WebDAV servers: Debian's Apache and nginx, which `ci/storages/webdav` unpacks.
//!
//! Apache's mod_dav keeps what it holds as files, wants parents of folders and files to be there, and answers nothing of
//! quotas. nginx makes no parents
//! either (as it is set up here), and lists by its extension module.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Process, answers, folder_of, free_port, open_folder, write};
use crate::error::TestbedError;
use crate::spawner::dying_with_us;

/// The only user of Apache. nginx lets everybody in.
pub const USER: &str = "backup";
/// Its password.
pub const PASSWORD: &str = "testbed-password-4711";
/// The password as Apache's file has it: SHA-1 in Base64.
const PASSWORD_LINE: &str = "backup:{SHA}twySBK7eqiCwhrIm6GcG/Jo0Gws=\n";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebDavKind {
    /// Apache 2.4 with mod_dav.
    Apache,
    /// nginx with its WebDAV modules.
    Nginx,
}

impl WebDavKind {
    /// All of them.
    pub const KINDS: [Self; 2] = [Self::Apache, Self::Nginx];
}

/// A running server with one empty folder `/dav/`.
#[derive(Debug)]
pub struct WebDavServer {
    address: SocketAddr,
    _process: Process,
    // Last, so that the folder goes after the process.
    folder: TempDir,
}

impl WebDavServer {
    /// Starts one; `None`, said loudly, where `ci/storages/webdav` has not made it.
    ///
    /// # Panics
    /// When it is there and does not start.
    pub fn for_test(kind: WebDavKind) -> Option<Self> {
        let programs = folder_of("webdav")?;
        Some(Self::start(kind, &programs).unwrap_or_else(|error| panic!("{error}")))
    }

    fn start(kind: WebDavKind, programs: &Path) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-dav-")?;
        let at = folder.path();
        for below in ["data/dav", "locks", "temporary"] {
            let path = at.join(below);
            std::fs::create_dir_all(&path).map_err(|error| TestbedError::file("create", &path, error))?;
        }
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let modules = programs.join("root/usr/lib");
        let settings = at.join("settings");
        let text = match kind {
            WebDavKind::Apache => apache(at, address, &modules.join("apache2/modules")),
            WebDavKind::Nginx => nginx(at, address, &modules.join("nginx/modules")),
        };
        write(&settings, &text)?;
        write(&at.join("users"), PASSWORD_LINE)?;
        let (server, mut command) = match kind {
            WebDavKind::Apache => {
                let mut command = dying_with_us(&programs.join("bin/apache2"));
                command.args(["-D", "FOREGROUND", "-f"]).arg(&settings);
                ("apache2", command)
            }
            WebDavKind::Nginx => {
                let mut command = dying_with_us(&programs.join("bin/nginx"));
                command.arg("-p").arg(at).arg("-e").arg(at.join("errors")).arg("-c").arg(&settings);
                ("nginx", command)
            }
        };
        command.current_dir(at);
        let mut process = Process::start(command, &at.join("log"))?;
        process.wait_until(server, &at.join("log"), || answers(port))?;
        Ok(Self { address, _process: process, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that it shows as `/dav/`.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("data/dav")
    }
}

fn apache(at: &Path, address: SocketAddr, modules: &Path) -> String {
    let mut text = String::new();
    for module in
        ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs"]
    {
        let path = modules.join(format!("mod_{module}.so"));
        let _ = writeln!(text, "LoadModule {module}_module \"{}\"", path.display());
    }
    let at = at.display();
    // One process is enough, and it is the one that the test ends.
    text + &format!(
        "ServerName localhost\nListen {address}\nPidFile \"{at}/pid\"\nErrorLog \"{at}/errors\"\n\
         DefaultRuntimeDir \"{at}/temporary\"\nDocumentRoot \"{at}/data\"\nDavLockDB \"{at}/locks/db\"\n\
         StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nLimitRequestBody 0\n\
         <Directory \"{at}/data\">\nDav On\nAuthType Basic\nAuthName dav\nAuthBasicProvider file\n\
         AuthUserFile \"{at}/users\"\nRequire valid-user\n</Directory>\n"
    )
}

fn nginx(at: &Path, address: SocketAddr, modules: &Path) -> String {
    let (at, modules) = (at.display(), modules.display());
    format!(
        "load_module \"{modules}/ngx_http_dav_ext_module.so\";\ndaemon off;\nmaster_process off;\n\
         pid \"{at}/pid\";\nerror_log \"{at}/errors\";\nevents {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n\
         client_max_body_size 0;\nclient_body_temp_path \"{at}/temporary/body\";\nproxy_temp_path \"{at}/temporary/p\";\n\
         fastcgi_temp_path \"{at}/temporary/f\";\nuwsgi_temp_path \"{at}/temporary/u\";\nscgi_temp_path \"{at}/temporary/s\";\n\
         server {{\nlisten {address};\nlocation / {{\nroot \"{at}/data\";\ndav_methods PUT DELETE MKCOL COPY MOVE;\n\
         dav_ext_methods PROPFIND OPTIONS;\n}}\n}}\n}}\n"
    )
}
