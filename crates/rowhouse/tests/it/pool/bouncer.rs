//! `PgBouncer` in front of the server.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rowhouse::{Config, Error, Rowhouse, SealSource};
use tokio::net::TcpStream;

use super::server_port;
use crate::world::World;

/// `PgBouncer` in front of the server, ended with the test.
pub struct Bouncer {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Bouncer {
    pub async fn start(mode: &str, always_reset: bool) -> Self {
        Self::start_with(mode, always_reset, "").await
    }

    /// With settings of its own besides.
    pub async fn start_with(mode: &str, always_reset: bool, besides: &str) -> Self {
        let program =
            std::env::var("ROWHOUSE_PGBOUNCER").unwrap_or_else(|_| "/usr/sbin/pgbouncer".into());
        assert!(
            std::path::Path::new(&program).exists(),
            "PgBouncer is missing ({program}): scripts/install-pgbouncer installs it and prints what to set ROWHOUSE_PGBOUNCER to"
        );
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder =
            std::env::temp_dir().join(format!("rowhouse-bouncer-{}-{port}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let users = folder.join("users.txt");
        std::fs::write(&users, "\"test_app\" \"test\"\n").unwrap();
        let settings = folder.join("pgbouncer.ini");
        std::fs::write(
            &settings,
            format!(
                "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}\ndefault_pool_size = 4\nmax_client_conn = 500\n\
                 server_reset_query = DISCARD ALL\nserver_reset_query_always = {reset}\nserver_login_retry = 1\n{besides}\n",
                server = server_port(),
                users = users.display(),
                reset = u8::from(always_reset),
            ),
        )
        .unwrap();
        // It refuses to run as root; and it ends with the thread that started it, even if that is killed.
        let mut command = Command::new("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        let child = command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program)
            .arg("-q")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            child,
            port,
            folder,
        };
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_ok()
            {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PgBouncer does not answer");
    }

    /// The same login and database through the pooler. It knows `test_app` only.
    pub fn url(&self, direct: &str) -> String {
        direct.replace(&format!(":{}/", server_port()), &format!(":{}/", self.port))
    }

    pub async fn house(&self, world: &World) -> Result<Rowhouse, Error> {
        let url = self.url(&world.url("test_app"));
        Rowhouse::connect(Config {
            pool_size: 8,
            pooled: true,
            ..Config::new(url, SealSource::Database(world.url("test_sealer").into()))
        })
        .await
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
