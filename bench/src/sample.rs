//! Figures out of many short rounds: medians and not means, because other work on the machine only ever adds.

use std::time::Duration;

use crate::world::Result;

/// Values of one kind, in no order.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Kept in microseconds.
    pub fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1e6);
    }

    pub fn join(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that this part of all does not exceed; nothing sensible of no values.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let place = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    /// How often one of ours is more than one of theirs, of all pairs: one half where nothing tells them apart.
    pub fn exceed(&self, other: &Self) -> f64 {
        let mut theirs = other.0.clone();
        theirs.sort_by(f64::total_cmp);
        let below: usize = self
            .0
            .iter()
            .map(|ours| theirs.partition_point(|other| other < ours))
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "a share of some millions")]
        let share = below as f64 / (self.0.len() * theirs.len()) as f64;
        share
    }

    /// Each of ours by the one of the same round.
    pub fn by(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// Each of ours without the one of the same round.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }
}

/// Microseconds that a process of the server has spent on a CPU so far. It has to be idle: what it runs right now is
/// counted later.
pub fn cpu_of(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/schedstat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let nanoseconds: f64 = text
        .split_whitespace()
        .next()
        .ok_or("schedstat is empty")?
        .parse()?;
    Ok(nanoseconds / 1e3)
}

/// The same of all threads of these processes.
pub fn cpu_of_all(processes: &[i32]) -> Result<f64> {
    let mut all = 0.0;
    for process in processes {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
            continue; // it has ended
        };
        for thread in threads {
            let name = thread?.file_name();
            all += cpu_of(name.to_str().unwrap_or_default().parse()?)?;
        }
    }
    Ok(all)
}

/// A process and its children.
pub fn family_of(parent: i32) -> Result<Vec<i32>> {
    let mut family = vec![parent];
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // `pid (name) state parent ..`; one that has ended meanwhile is none.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent_of = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        if parent_of == Some(parent) {
            family.push(pid);
        }
    }
    Ok(family)
}

/// CPU of a server process over `count` transactions, for each of them, in microseconds.
pub async fn cpu_each(pid: i32, count: u32, work: impl Future<Output = Result>) -> Result<f64> {
    settle().await;
    let before = cpu_of(pid)?;
    work.await?;
    settle().await;
    Ok((cpu_of(pid)? - before) / f64::from(count))
}

/// Lets a server process finish what it does behind its answer.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(4)).await;
}

/// Numbers without a pattern that are the same in each run: splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to `sides - 1`.
    pub fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the remainder is below `sides`"
        )]
        let side = (mixed % sides as u64) as usize;
        side
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.throw(of.len())]
    }
}
