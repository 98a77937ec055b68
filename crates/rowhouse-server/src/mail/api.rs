//! `GET /dev/mail`: what would have been sent, for whoever tries things out. `rowhouse up` only.

use std::path::{Path, PathBuf};

use axum::{Extension, Json};
use mail_parser::MessageParser;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Operator;
use crate::error::Problem;

/// How many are listed.
const MOST: usize = 200;

/// The folder that mail lands in, in `up`.
#[derive(Clone)]
pub struct Landing(pub Option<PathBuf>);

/// What landed.
#[derive(Serialize, ToSchema)]
pub struct Landed {
    /// The newest first, at most 200.
    items: Vec<Message>,
}

/// A mail that landed in the data folder.
#[derive(Serialize, ToSchema)]
pub struct Message {
    /// Its address.
    to: String,
    /// Its subject.
    subject: String,
    /// Its text.
    text: String,
    /// The links in its text.
    links: Vec<String>,
}

/// Mail that landed in the data folder, since no mail server is configured. Only `rowhouse up` has it.
#[utoipa::path(
    get, path = "/dev/mail", tag = "service", operation_id = "mails",
    responses((status = 200, body = Landed), (status = 404, description = "`not-found`", body = crate::error::ProblemBody, content_type = "application/problem+json")),
    security(("operator" = [])),
)]
pub async fn list(
    _: Operator,
    Extension(Landing(folder)): Extension<Landing>,
) -> Result<Json<Landed>, Problem> {
    let folder = folder.ok_or_else(Problem::no_such_path)?;
    let items = tokio::task::spawn_blocking(move || read(&folder))
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(Problem::internal)?;
    Ok(Json(Landed { items }))
}

/// Files are named by ids, which sort by age.
fn read(folder: &Path) -> std::io::Result<Vec<Message>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "eml"))
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    files.truncate(MOST);
    files
        .iter()
        .map(|file| Ok(parse(&std::fs::read(file)?)))
        .collect()
}

fn parse(bytes: &[u8]) -> Message {
    let message = MessageParser::default().parse(bytes).unwrap_or_default();
    let text = message
        .body_text(0)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    Message {
        to: message
            .to()
            .and_then(|to| to.first())
            .and_then(|to| to.address())
            .unwrap_or_default()
            .to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        links: links(&text),
        text,
    }
}

/// From `http://` or `https://` to the next blank, without the punctuation of the sentence around it.
fn links(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || "<>\"".contains(c))
        .filter_map(|word| {
            let begin = word.find("https://").or_else(|| word.find("http://"))?;
            Some(word[begin..].trim_end_matches(['.', ',', ';', ':', ')', '!', '?']))
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_end_where_their_sentence_goes_on() {
        assert_eq!(
            links("Open http://a.example/?token=inv_x.\n(or <https://b.example/y>), not httpx://c"),
            ["http://a.example/?token=inv_x", "https://b.example/y"]
        );
    }
}
