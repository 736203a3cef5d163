//! Real PostgreSQL and MariaDB servers on temporary directories and Unix sockets.

use crate::{LOOK_EVERY, PATIENCE, free_port};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tempfile::TempDir;

/// Which database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB, which speaks MySQL's protocol.
    MariaDb,
}

/// A database server, stopped when dropped.
pub struct DatabaseServer {
    engine: Engine,
    folder: TempDir,
    /// Whom its processes belong to.
    user: User,
    settings: Vec<String>,
    /// Where it listens besides its socket, if it does.
    port: Option<u16>,
    child: Option<Child>,
    databases: AtomicU32,
}

#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Engine {
    /// What is not on this machine, if anything.
    pub fn missing(self) -> Option<&'static str> {
        let program = match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadbd",
        };
        self.program(program).is_none().then_some(match self {
            Self::Postgres => "PostgreSQL is not on this machine",
            Self::MariaDb => "MariaDB is not on this machine",
        })
    }

    /// A program of this engine: in the search path, or where Debian keeps PostgreSQL's.
    pub fn program(self, name: &str) -> Option<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        if self == Self::Postgres {
            let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
            folders.extend(versions.map(|version| version.path().join("bin")));
            folders.sort();
            folders.reverse();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&path));
        folders.push("/usr/sbin".into());
        folders.into_iter().map(|folder| folder.join(name)).find(|path| path.exists())
    }

    /// Root may be neither: the servers run as the users that their packages made.
    fn user(self) -> Result<User> {
        let name = match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mysql",
        };
        let own = fs::metadata("/proc/self")?;
        if own.uid() != 0 {
            return Ok(User { uid: own.uid(), gid: own.gid() });
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let line = users.lines().find(|line| line.split(':').next() == Some(name));
        let numbers: Vec<u32> =
            line.into_iter().flat_map(|line| line.split(':').skip(2).take(2)).flat_map(str::parse).collect();
        let [uid, gid] = numbers[..] else { bail!("there is no user {name:?}") };
        Ok(User { uid, gid })
    }
}

impl DatabaseServer {
    /// Makes a server and starts it. `settings` are options of its command line.
    pub fn start(engine: Engine, settings: &[&str]) -> Result<Self> {
        let mut server = Self::empty(engine, settings)?;
        server.initialize()?;
        server.restart()?;
        Ok(server)
    }

    /// The same with a port of 127.0.0.1 at which it speaks TLS, with these files in PEM.
    pub fn start_with_tls(engine: Engine, certificate: &Path, key: &Path) -> Result<Self> {
        let mut server = Self::empty(engine, &[])?;
        let (certificate, key) = (server.adopt(certificate)?, server.adopt(key)?);
        let port = free_port()?;
        server.port = Some(port);
        server.settings = match engine {
            Engine::Postgres => {
                let settings = [
                    "listen_addresses=127.0.0.1".to_owned(),
                    format!("port={port}"),
                    "ssl=on".to_owned(),
                    format!("ssl_cert_file={}", certificate.display()),
                    format!("ssl_key_file={}", key.display()),
                ];
                settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
            }
            Engine::MariaDb => vec![
                "--skip-networking=0".to_owned(),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--port={port}"),
                format!("--ssl-cert={}", certificate.display()),
                format!("--ssl-key={}", key.display()),
            ],
        };
        server.initialize()?;
        server.restart()?;
        Ok(server)
    }

    /// The port at which it speaks TLS.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Copies a file to where only the server can read it.
    fn adopt(&self, file: &Path) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let copy = self.folder.path().join(file.file_name().context("a file name")?);
        fs::copy(file, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
        chown(&copy, Some(self.user.uid), Some(self.user.gid))?;
        Ok(copy)
    }

    /// A hot standby of a PostgreSQL server: a copy that follows it.
    pub fn standby_of(primary: &Self) -> Result<Self> {
        let mut server = Self::empty(Engine::Postgres, &[])?;
        let mut copy = server.command("pg_basebackup")?;
        copy.arg("-h").arg(primary.folder.path());
        copy.args(["-U", "postgres", "-R", "-X", "stream", "--no-sync", "-c", "fast", "-D"]);
        run(copy.arg(server.data()))?;
        server.restart()?;
        Ok(server)
    }

    fn empty(engine: Engine, settings: &[&str]) -> Result<Self> {
        let user = engine.user()?;
        let folder = TempDir::with_prefix("db")?;
        chown(folder.path(), Some(user.uid), Some(user.gid))?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Ok(Self { engine, folder, user, settings, port: None, child: None, databases: AtomicU32::new(0) })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Result<Command> {
        let path = self.engine.program(program).with_context(|| format!("{program} is missing"))?;
        let mut command = Command::new(path);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let (Engine::Postgres, Some(port)) = (self.engine, self.port) {
            // It is in the name of the socket.
            command.env("PGPORT", port.to_string());
        }
        if rustix::process::geteuid().is_root() {
            command.uid(self.user.uid).gid(self.user.gid);
        }
        Ok(command)
    }

    fn initialize(&self) -> Result<()> {
        match self.engine {
            Engine::Postgres => {
                let mut initialize = self.command("initdb")?;
                run(initialize.args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"]).arg(self.data()))
            }
            Engine::MariaDb => {
                let mut initialize = self.command("mariadb-install-db")?;
                initialize.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
                run(initialize.arg(format!("--datadir={}", self.data().display())))
            }
        }
    }

    /// Starts the server (again) and waits until it serves.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let log = File::create(self.folder.path().join("log"))?;
        let mut command = match self.engine {
            Engine::Postgres => {
                let mut command = self.command("postgres")?;
                command.arg("-D").arg(self.data()).args(["-c", "listen_addresses="]);
                command.arg("-c").arg(format!("unix_socket_directories={}", self.folder.path().display()));
                command.args(["-c", "fsync=off", "-c", "max_connections=200"]);
                command
            }
            Engine::MariaDb => {
                let mut command = self.command("mariadbd")?;
                command.args(["--no-defaults", "--skip-networking"]);
                command.arg(format!("--datadir={}", self.data().display()));
                command.arg(format!("--socket={}", self.socket().display()));
                command.args(["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M"]);
                command
            }
        };
        command.args(&self.settings).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("starting a database server")?);
        self.wait_until_it_serves()
    }

    fn wait_until_it_serves(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.execute("", "SELECT 1").is_err() {
            let ended =
                self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|end| end.is_some()));
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("{:?} does not serve:\n{log}", self.engine);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Kills the server.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // PostgreSQL's children end with it, which takes longer than the process itself: it is asked.
            let end = if self.engine == Engine::Postgres { "-QUIT" } else { "-KILL" };
            let _ = Command::new("kill").arg(end).arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s.sock")
    }

    /// The directory of the server, for sockets and files beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs statements as the administrator; gives what they print.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String> {
        run_for_output(&mut self.shell(database, sql)?)
    }

    fn shell(&self, database: &str, sql: &str) -> Result<Command> {
        match self.engine {
            Engine::Postgres => {
                let mut shell = self.command("psql")?;
                let database = if database.is_empty() { "postgres" } else { database };
                shell.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]);
                shell.arg(self.folder.path()).args(["-d", database, "-c", sql]);
                Ok(shell)
            }
            Engine::MariaDb => {
                let mut shell = self.command("mariadb")?;
                shell.args(["--no-defaults", "-N", "-B", "-u", "root"]);
                shell.arg(format!("--socket={}", self.socket().display())).args(["-e", sql]);
                if !database.is_empty() {
                    shell.arg(database);
                }
                Ok(shell)
            }
        }
    }

    /// Reads a script into a database.
    pub fn load(&self, database: &str, script: &str) -> Result<()> {
        use std::io::Write;
        let mut shell = match self.engine {
            Engine::Postgres => {
                let mut shell = self.command("psql")?;
                shell.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]);
                shell.arg(self.folder.path()).args(["-d", database, "-f", "-"]);
                shell
            }
            Engine::MariaDb => {
                let mut shell = self.command("mariadb")?;
                shell.args(["--no-defaults", "-u", "root"]);
                shell.arg(format!("--socket={}", self.socket().display())).arg(database);
                shell
            }
        };
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("the shell's input")?.write_all(script.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("loading a script: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// What the engine's own tool tells of a database's schema.
    pub fn dump_schema(&self, database: &str) -> Result<String> {
        let mut dump = match self.engine {
            Engine::Postgres => {
                let mut dump = self.command("pg_dump")?;
                dump.args(["-s", "--no-comments", "-U", "postgres", "-h"]).arg(self.folder.path());
                dump
            }
            Engine::MariaDb => {
                let mut dump = self.command("mariadb-dump")?;
                dump.args(["--no-defaults", "-u", "root", "-d", "--compact"]);
                dump.arg(format!("--socket={}", self.socket().display()));
                dump
            }
        };
        run_for_output(dump.arg(database))
    }

    /// Makes an empty database; gives its name.
    pub fn create_database(&self) -> Result<String> {
        let name = format!("spire{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// SPIRE's `connection_string` for a database here.
    pub fn connection_string(&self, database: &str) -> String {
        match self.engine {
            Engine::Postgres => {
                format!(
                    "dbname={database} user=postgres host={} sslmode=disable",
                    self.folder.path().display()
                )
            }
            Engine::MariaDb => {
                format!("root@unix({})/{database}?parseTime=true", self.socket().display())
            }
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(command: &mut Command) -> Result<()> {
    run_for_output(command).map(drop)
}

fn run_for_output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
