//! Secrets that are handed out: a prefix that tells what they are, and 32 random characters of `[0-9a-z]` (165 bits).

use sha2::{Digest, Sha256};

use crate::connect::Secret;

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const CHARACTERS: usize = 32;

/// A new secret: the prefix (`tk_`, `op_`, `ses_`), then 32 characters.
pub(crate) fn make(prefix: &str) -> Secret {
    let mut text = prefix.to_owned();
    while text.len() < prefix.len() + CHARACTERS {
        let mut bytes = [0; 64];
        #[expect(
            clippy::expect_used,
            reason = "a system without randomness can issue no secret at all"
        )]
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        // Bytes above the last whole multiple of 36 would favour the first characters.
        let fair = bytes
            .iter()
            .filter(|byte| **byte < 252)
            .map(|byte| char::from(ALPHABET[usize::from(byte % 36)]));
        text.extend(fair.take(prefix.len() + CHARACTERS - text.len()));
    }
    text.into()
}

/// Whether a text has the form of such a secret; nothing else is worth a look into the database.
pub(crate) fn has_form(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == CHARACTERS && rest.bytes().all(|byte| ALPHABET.contains(&byte))
    })
}

/// By which a secret is found again.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
