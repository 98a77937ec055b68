//! How the tour looks: plain text, at most 100 columns, colours only where they are seen.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use rowhouse::{Error, Result};

use super::attacks::{Attempt, Verdict};
use super::{Column, TourReport};

/// Between two columns.
const GAP: &str = "      ";
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "1;32";
const YELLOW: &str = "1;33";

/// Where the tour is written to.
pub(super) struct Page<'o, W> {
    out: &'o mut W,
    colours: bool,
}

impl<'o, W: Write> Page<'o, W> {
    pub fn new(out: &'o mut W, colours: bool) -> Self {
        Self { out, colours }
    }

    pub fn heading(&mut self, text: &str) -> Result<()> {
        let text = self.paint(BOLD, text);
        self.line(format_args!("\n{text}"))
    }

    pub fn sql(&mut self, sql: &str) -> Result<()> {
        let sql = self.paint(DIM, sql);
        self.line(format_args!("  {sql}\n"))
    }

    pub fn fact(&mut self, text: &str, took: Option<Duration>) -> Result<()> {
        let took = took.map_or_else(String::new, |took| {
            self.paint(DIM, &format!("  {:.1} s", took.as_secs_f64()))
        });
        self.line(format_args!("  {text}{took}"))
    }

    /// Two answers, side by side.
    pub fn beside(&mut self, answers: &[Column]) -> Result<()> {
        let mut head = Vec::new();
        for (slug, _, took) in answers {
            let title = format!(
                "{:<16}{:>10}",
                slug,
                format!("{:.1} ms", took.as_secs_f64() * 1e3)
            );
            head.push(self.paint(BOLD, &title));
        }
        self.line(format_args!("  {}", head.join(GAP)))?;
        let longest = answers
            .iter()
            .map(|(_, lines, _)| lines.len())
            .max()
            .unwrap_or(0);
        for index in 0..longest {
            let mut text = Vec::new();
            for (_, lines, _) in answers {
                let (country, total) = lines.get(index).map_or(("", ""), |(country, total)| {
                    (country.as_str(), total.as_str())
                });
                text.push(format!("{country:<16}{total:>10}"));
            }
            self.line(format_args!("  {}", text.join(GAP).trim_end()))?;
        }
        Ok(())
    }

    pub fn attempt(&mut self, number: usize, attempt: &Attempt) -> Result<()> {
        let verdict = match attempt.verdict() {
            Verdict::Held => self.paint(GREEN, "HELD    "),
            Verdict::Leaked => self.paint(RED, "LEAKED  "),
            Verdict::Unproved => self.paint(YELLOW, "UNPROVED"),
        };
        let title = self.paint(BOLD, attempt.title);
        let tried = self.paint(DIM, &attempt.tried);
        self.line(format_args!("{number:>3}  {verdict}  {title}"))?;
        self.line(format_args!("       tried     {tried}"))?;
        self.line(format_args!("       answer    {}", attempt.answer))?;
        self.line(format_args!(
            "       control   {}: {}",
            attempt.control, attempt.control_answer
        ))
    }

    pub fn close(&mut self, report: &TourReport) -> Result<()> {
        let TourReport {
            attempts,
            leaks,
            unproved,
        } = *report;
        let colour = if leaks > 0 {
            RED
        } else if unproved > 0 {
            YELLOW
        } else {
            GREEN
        };
        let doubt = if unproved > 0 {
            format!(", {unproved} unproved")
        } else {
            String::new()
        };
        let text = self.paint(colour, &format!("{attempts} attacks, {leaks} leaks{doubt}"));
        self.line(format_args!("\n{text}"))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.out, "{text}")
            .map_err(|error| Error::Config(format!("the tour cannot be written: {error}")))
    }
}
