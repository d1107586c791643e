//! What clients ask a server about itself before they ask anything else: variables and simple functions.

use super::parse::Filter;
use super::tables::{Table, cell};

/// What this calls itself to clients: of the family of MySQL, since drivers look.
pub(super) const VERSION: &str = concat!("8.4.0-landbridge-", env!("CARGO_PKG_VERSION"));
/// The schema that there is.
pub(super) const SCHEMA: &str = "landbridge";

/// The variables that drivers ask for, as a server has them where nobody set anything.
const VARIABLES: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("character_set_system", "utf8mb3"),
    ("collation_connection", "utf8mb4_general_ci"),
    ("collation_database", "utf8mb4_general_ci"),
    ("collation_server", "utf8mb4_general_ci"),
    ("have_ssl", "YES"),
    ("hostname", "landbridge"),
    ("init_connect", ""),
    ("interactive_timeout", "28800"),
    ("license", "MIT OR Apache-2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "67108864"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "30"),
    ("net_write_timeout", "60"),
    ("performance_schema", "0"),
    ("port", "0"),
    ("protocol_version", "10"),
    ("query_cache_size", "0"),
    ("query_cache_type", "OFF"),
    ("read_only", "0"),
    ("sql_mode", "STRICT_TRANS_TABLES"),
    ("sql_quote_show_create", "1"),
    ("storage_engine", "landbridge"),
    ("system_time_zone", "UTC"),
    ("time_zone", "SYSTEM"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("transaction_read_only", "0"),
    ("tx_isolation", "REPEATABLE-READ"),
    ("tx_read_only", "0"),
    ("version", VERSION),
    ("version_comment", "Landbridge admin console; type HELP"),
    ("version_compile_machine", std::env::consts::ARCH),
    ("version_compile_os", std::env::consts::OS),
    ("wait_timeout", "28800"),
];

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Asker<'a> {
    /// Its id.
    pub id: u32,
    /// The user.
    pub user: &'a str,
    /// Where it comes from.
    pub host: &'a str,
}

/// An expression that has no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown;

/// The value of an expression, or NULL.
///
/// # Errors
/// It is not known here.
pub(super) fn value(expression: &str, asker: &Asker<'_>) -> Result<Option<String>, Unknown> {
    let lower = expression.to_ascii_lowercase();
    if let Some(name) = lower.strip_prefix("@@") {
        let name = ["session.", "global.", "local."].iter().find_map(|scope| name.strip_prefix(scope)).unwrap_or(name);
        return VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| cell(value)).ok_or(Unknown);
    }
    if let Some(text) = expression.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return Ok(cell(text));
    }
    match &*lower {
        "database()" | "schema()" => Ok(cell(SCHEMA)),
        "user()" | "current_user()" | "session_user()" | "system_user()" | "current_user" => {
            Ok(cell(format!("{}@{}", asker.user, asker.host)))
        }
        "version()" => Ok(cell(VERSION)),
        "connection_id()" => Ok(cell(asker.id)),
        "last_insert_id()" | "found_rows()" => Ok(cell(0)),
        "row_count()" => Ok(cell(-1)),
        "null" => Ok(None),
        _ if lower.starts_with('@') => Ok(None),
        number if number.parse::<f64>().is_ok() => Ok(cell(number)),
        _ => Err(Unknown),
    }
}

/// `SHOW VARIABLES`
pub(super) fn table(filter: &Filter) -> Table {
    let mut table = Table::new(&["Variable_name", "Value"]);
    for (name, value) in VARIABLES {
        table.add([cell(name), cell(value)]);
    }
    // A condition of a kind that is not understood was left out: all are shown then.
    table.rows.retain(|row| filter.fits(&["Variable_name", "Value"], row));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let asker = Asker { id: 7, user: "admin", host: "127.0.0.1" };
        for (expression, want) in [
            ("@@version_comment", Ok(cell("Landbridge admin console; type HELP"))),
            ("@@SESSION.auto_increment_increment", Ok(cell("1"))),
            ("@@nothing_like_it", Err(Unknown)),
            ("DATABASE()", Ok(cell("landbridge"))),
            ("USER()", Ok(cell("admin@127.0.0.1"))),
            ("1", Ok(cell("1"))),
            ("'it'", Ok(cell("it"))),
            ("@x", Ok(None)),
            ("SLEEP()", Err(Unknown)),
        ] {
            assert_eq!(value(expression, &asker), want, "{expression}");
        }
    }
}
