//! A mail server of its own process (aiosmtpd, tests/smtp/server.py), and what it was given.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::world::free_port;

/// How it is spoken to.
#[derive(Clone, Copy)]
pub enum Tls {
    None,
    Starttls,
    /// `smtps`: nothing goes over the line in the clear.
    FirstByte,
}

/// A port, and a server on it while one runs.
pub struct Smtp {
    pub port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Smtp {
    /// Nobody listens yet.
    pub fn down() -> Self {
        Self {
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            child: None,
        }
    }

    /// A server in this mood, which takes whatever it is sent in the clear.
    pub fn up(mood: &str) -> Self {
        let mut smtp = Self::down();
        smtp.start(mood, Tls::None);
        smtp
    }

    /// Starts it, or starts it anew, in this mood. Where it takes TLS, it insists on it, and on a password.
    pub fn start(&mut self, mood: &str, tls: Tls) {
        self.stop();
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", packages())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp/server.py"))
            .args([&self.port.to_string(), mood])
            .arg(self.folder.path().join("log"));
        let how = match tls {
            Tls::None => None,
            Tls::Starttls => Some("starttls"),
            Tls::FirstByte => Some("tls"),
        };
        if let Some(how) = how {
            command.args([how, &self.certificate(), &self.folder_file("key.pem")]);
        }
        let log = std::fs::File::create(self.folder.path().join("err")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "ready");
        self.child = Some(child);
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The file with its certificate, which is its own authority.
    pub fn certificate(&self) -> String {
        let (certificate, key) = (self.folder_file("cert.pem"), self.folder_file("key.pem"));
        if !std::path::Path::new(&certificate).exists() {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(&certificate, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        }
        certificate
    }

    fn folder_file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The file with what it was given, a JSON object a line.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it was given, in the order of arrival, also what it refused.
    pub fn given(&self) -> Vec<Value> {
        std::fs::read_to_string(self.log())
            .unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The value of a header of a message.
pub fn header(message: &Value, name: &str) -> String {
    let data = message["data"].as_str().unwrap();
    let head = data.split("\r\n\r\n").next().unwrap();
    head.replace("\r\n ", " ")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_default()
        .to_owned()
}

fn packages() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/install-smtp");
        let ran = Command::new(script).output().unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    })
}
