//! What a run says: tables that read the same in a terminal and in `bench/RESULTS.md`. The only place that writes to
//! stdout.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use crate::world::{Result, Server};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");

pub struct Report {
    head: String,
    parts: Vec<Part>,
}

/// One part of a run.
pub struct Part {
    pub title: &'static str,
    pub about: String,
    pub tables: Vec<Table>,
    pub goals: Vec<Goal>,
}

/// A figure that there is a target for.
pub struct Goal {
    pub what: String,
    pub figure: f64,
    pub unit: &'static str,
    pub target: Target,
}

#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Default)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new<const COLUMNS: usize>(head: [&str; COLUMNS]) -> Self {
        Self(vec![head.map(str::to_owned).to_vec()])
    }

    /// The first column, and each where the first row says no figure.
    fn is_words(&self, column: usize) -> bool {
        let cell = self.0.get(1).map_or("", |row| row[column].as_str());
        column == 0 || cell.starts_with(|first: char| first.is_alphabetic())
    }

    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.0.push(Vec::from(cells));
    }
}

impl Report {
    pub async fn new(server: &Server, parts: Vec<Part>, took: Duration) -> Result<Self> {
        let (version, date) = server.says().await?;
        let head = format!(
            "Written by `make bench`. Figures of one run, good for comparison with each other and not with those of another \
             machine.\n\n\
             - Machine: {}\n\
             - Server: {version}, its own, no flushing to disk, everything in memory\n\
             - Clients: tokio-postgres {}, sqlx {}\n\
             - Run: {date}, {} s; load average at its end {} (alone it makes 1 to 2)",
            machine(),
            locked("tokio-postgres"),
            locked("sqlx"),
            took.as_secs(),
            load()
        );
        Ok(Self { head, parts })
    }

    /// Writes it where it is committed.
    pub fn write(&self) -> Result {
        std::fs::write(FILE, self.to_string()).map_err(|error| format!("{FILE}: {error}"))?;
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# What the wall costs\n\n{}\n\n## Targets\n", self.head)?;
        let mut goals = Table::new(["what", "measured", "target", "reached"]);
        for goal in self.parts.iter().flat_map(|part| &part.goals) {
            goals.row(goal.cells());
        }
        write!(f, "{goals}")?;
        for part in &self.parts {
            writeln!(f, "\n## {}\n\n{}", part.title, part.about)?;
            for table in &part.tables {
                write!(f, "\n{table}")?;
            }
        }
        Ok(())
    }
}

impl Goal {
    fn cells(&self) -> [String; 4] {
        let shown = |value: f64| format!("{value:.2} {}", self.unit);
        let (target, reached) = match self.target {
            Target::AtMost(most) => (format!("≤ {}", shown(most)), self.figure <= most),
            Target::AtLeast(least) => (format!("≥ {}", shown(least)), self.figure >= least),
        };
        let reached = if reached { "yes" } else { "**no**" };
        [
            self.what.clone(),
            shown(self.figure),
            target,
            reached.to_owned(),
        ]
    }
}

/// Markdown whose columns stand under each other: words to the left, figures to the right.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.0.iter().map(|row| row[column].chars().count());
                cells.max().unwrap_or(0)
            })
            .collect();
        for (number, row) in self.0.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                f.write_str(if column == 0 { "|" } else { "" })?;
                if self.is_words(column) {
                    write!(f, " {cell:<width$} |")?;
                } else {
                    write!(f, " {cell:>width$} |")?;
                }
            }
            writeln!(f)?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let rule = "-".repeat(width + 1);
                    f.write_str(if column == 0 { "|" } else { "" })?;
                    f.write_str(&rule)?;
                    f.write_str(if self.is_words(column) { "-|" } else { ":|" })?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// Microseconds, for people.
pub fn time(microseconds: f64) -> String {
    if microseconds < 1000.0 {
        format!("{microseconds:.0} µs")
    } else {
        format!("{:.2} ms", microseconds / 1e3)
    }
}

pub fn times(ratio: f64) -> String {
    format!("{ratio:.2} ×")
}

/// A text on stdout.
pub fn line(text: &str) -> Result {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// Processor, cores, memory, kernel; what cannot be read is left out.
fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes / 1024 / 1024);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {memory} GB, {} {}",
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        std::env::consts::OS,
        kernel.trim()
    )
}

/// Of the last five minutes: tells whether others worked there too.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().nth(1).unwrap_or("?").to_owned()
}

/// The version of a crate that this was built with.
fn locked(package: &str) -> &'static str {
    include_str!("../../Cargo.lock")
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("?", |(version, _)| version)
}
