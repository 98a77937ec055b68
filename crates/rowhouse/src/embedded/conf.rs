//! The server's configuration, written afresh at every start.
//!
//! Two layers. `postgres.conf` holds the defaults and what the caller sets. What the promises rest on (who may
//! connect, from where, and that no ticket, parameter or row reaches the log) goes on the command line, which
//! neither the file nor `alter system` can override; a caller who tries to set one of those is told so.

use std::ffi::OsString;
use std::fmt::Write;

use super::error::StartError;
use super::folder::Folder;

/// Overridable defaults. `postgres/postgresql.conf` comes first: initdb found out there which kinds of shared memory
/// work on this machine.
const DEFAULTS: &str = "\
# Written by Rowhouse at every start: changes made here are lost. Set them where Rowhouse is configured.
include 'postgres/postgresql.conf'
max_connections = 100
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] '
password_encryption = 'scram-sha-256'
jit = off # statements are short and many: compiling one costs more than running it
";

/// No `trust`, no `peer`, nothing from outside the machine.
const HBA: &str = "\
# Written by Rowhouse at every start: changes made here are lost.
host all         all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
";

/// Fixed on the command line, beside the port and the paths. An error's detail and its statement are kept out of the
/// log, because they show rows and tickets; the application that sent the statement gets them all the same.
const FIXED: [(&str, &str); 9] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_statement", "none"),
    ("log_min_error_statement", "panic"),
    ("log_error_verbosity", "terse"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
];

/// Settings that name the files and the port, which are ours to choose.
const PLACES: [&str; 5] = [
    "port",
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
];

/// Refuses settings that cannot be written or would break a promise.
pub(super) fn check(settings: &[(String, String)]) -> Result<(), StartError> {
    for (name, value) in settings {
        let lower = name.to_ascii_lowercase();
        let refused = |reason| {
            Err(StartError::Setting {
                name: name.clone(),
                reason,
            })
        };
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
        {
            return refused("this is not the name of a setting");
        }
        if lower.starts_with("include") {
            return refused("a file included here could change who may connect");
        }
        if PLACES.contains(&lower.as_str()) || FIXED.iter().any(|(fixed, _)| *fixed == lower) {
            return refused("the embedded server's safety rests on it");
        }
        if value.contains(['\n', '\r', '\0']) {
            return refused("its value has a line break");
        }
    }
    Ok(())
}

/// Writes both files.
pub(super) fn write(folder: &Folder, settings: &[(String, String)]) -> Result<(), StartError> {
    folder.write_for_server(&folder.conf(), &text(settings))?;
    folder.write_for_server(&folder.hba(), HBA)
}

/// The server's arguments.
pub(super) fn arguments(folder: &Folder, port: u16) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("-D"), folder.pgdata().into_os_string()];
    let mut set = |name: &str, value: OsString| {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(value);
        arguments.extend([OsString::from("-c"), setting]);
    };
    set("config_file", folder.conf().into_os_string());
    set("hba_file", folder.hba().into_os_string());
    set("port", port.to_string().into());
    for (name, value) in FIXED {
        set(name, value.into());
    }
    arguments
}

fn text(settings: &[(String, String)]) -> String {
    let mut text = DEFAULTS.to_owned();
    for (name, value) in settings {
        let value = value.replace('\\', r"\\").replace('\'', "''");
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name} = '{value}'");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{check, text};

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        let written = text(&one("search_path", r"it's \' x"));
        assert!(
            written.ends_with("search_path = 'it''s \\\\'' x'\n"),
            "{written}"
        );
        assert!(check(&one("work_mem", "4MB\nport = 1")).is_err());
    }

    #[test]
    fn what_the_safety_rests_on_is_refused() {
        for name in [
            "listen_addresses",
            "Port",
            "log_parameter_max_length",
            "include",
            "include_dir",
            "a b",
            "",
        ] {
            assert!(check(&one(name, "x")).is_err(), "{name}");
        }
        assert!(check(&one("shared_buffers", "256MB")).is_ok());
        assert!(check(&one("pg_stat_statements.track", "all")).is_ok());
    }
}
