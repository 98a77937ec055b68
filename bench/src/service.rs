//! Processes that answer over HTTP, and how they are asked.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::world::{Database, Result};

/// Connections of each of them to Postgres.
pub const POOL: usize = 8;

/// A process that answers.
pub struct Service {
    process: Child,
    pub port: u16,
}

impl Service {
    /// `rowhouse serve` as it comes.
    pub async fn ours(database: &Database) -> Result<Self> {
        // Built beside this program by `make bench`.
        let program = std::env::current_exe()?.with_file_name("rowhouse");
        let port = free_port().await?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--database", database.superuser_url(), "--port"])
            .arg(port.to_string())
            .env("ROWHOUSE_POOL_SIZE", POOL.to_string());
        Self::start(command, port).await
    }

    pub async fn start(mut command: Command, port: u16) -> Result<Self> {
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if began.elapsed() > Duration::from_secs(20) {
                return Err(format!("{command:?} does not answer").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { process, port })
    }

    pub fn pid(&self) -> Result<i32> {
        Ok(self.process.id().ok_or("it has ended")?.try_into()?)
    }
}

pub async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// Asks, and reads the whole answer; an error when it is another than expected. Gives its body.
pub async fn exchange<'a>(
    client: &mut TcpStream,
    request: &str,
    expected: u16,
    answer: &'a mut Vec<u8>,
) -> Result<&'a [u8]> {
    client.write_all(request.as_bytes()).await?;
    answer.clear();
    loop {
        if client.read_buf(answer).await? == 0 {
            return Err("it was closed".into());
        }
        if let Some(body) = body_of(answer, expected)? {
            return Ok(&answer[body..]);
        }
    }
}

/// Where the body begins, once all of it is there.
fn body_of(answer: &[u8], expected: u16) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    if !head.starts_with(&format!("HTTP/1.1 {expected}")) {
        return Err(String::from_utf8_lossy(answer).into());
    }
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .ok_or("no content-length")?
        .parse()?;
    let body = end + 4;
    Ok((answer.len() >= body + length).then_some(body))
}
