//! The errors Landbridge itself sends, with the numbers and SQLSTATEs of the field.
//!
//! Each text says what happened, to whom, and what to do next. Where a real server would say the
//! same thing, its own words are used.
//! <https://dev.mysql.com/doc/mysql-errors/9.4/en/server-error-reference.html>

use super::response::ServerError;

/// `ER_ACCESS_DENIED_ERROR`, exactly as a server says it.
pub fn access_denied(user: &str, host: &str, using_password: bool) -> ServerError {
    let using = if using_password { "YES" } else { "NO" };
    ServerError::new(1045, b"28000", format!("Access denied for user '{user}'@'{host}' (using password: {using})"))
}

/// Whether a login failed for what the server knows of the account: it is unknown, not allowed in,
/// locked or blocked, or its password is another one or has expired.
/// <https://mariadb.com/docs/server/reference/error-codes>
pub fn refuses_account(error: &ServerError) -> bool {
    matches!(error.code, 1044 | 1045 | 1275 | 1698 | 1820 | 1862 | 3118 | 3955 | 4150 | 4151)
}

/// Whether a login or a statement failed for what has nothing to do with it and will pass: the server has as many
/// connections as it may have, or is stopping. Nothing was done.
pub fn is_about_server(error: &ServerError) -> bool {
    matches!(error.code, 1040 | 1053)
}

/// Whether somebody has ended the statement, or its time was up: it is over then, and not to be tried elsewhere.
/// `ER_QUERY_INTERRUPTED`, `ER_QUERY_TIMEOUT` of MySQL, `ER_STATEMENT_TIMEOUT` of MariaDB.
pub fn is_interrupted(error: &ServerError) -> bool {
    matches!(error.code, 1317 | 3024 | 1969)
}

/// Whether a read failed for how it went, not for what there was to read: somebody or the clock has ended it
/// ([`is_interrupted`]), it waited too long for a lock, it is not allowed (any more), or there is too little memory or
/// disk. It may show what it has shown before when it is tried again, and its transaction goes on.
pub fn says_nothing_of_data(error: &ServerError) -> bool {
    let is_denied = matches!(error.code, SCHEMA_DENIED | 1142 | 1143 | 1227 | 1370);
    let is_short = matches!(error.code, 1021 | 1037 | 1038 | 1041 | 1114 | 1226 | TOO_MANY_STATEMENTS);
    is_interrupted(error) || is_about_server(error) || error.code == LOCK_WAIT_TIMEOUT || is_denied || is_short
}

/// What a server said of a login, as it would have said it to a client on `host`.
pub fn as_told_to(mut error: ServerError, user: &str, host: &str) -> ServerError {
    let account = format!("'{user}'@'");
    if let Some((before, after)) = error.message.split_once(&account)
        && let Some((_our_host, rest)) = after.split_once('\'')
    {
        error.message = format!("{before}{account}{host}'{rest}");
    }
    error
}

/// `ER_NOT_SUPPORTED_AUTH_MODE`
pub fn old_client() -> ServerError {
    ServerError::new(
        1251,
        b"08004",
        "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
    )
}

/// No server could be asked whether a password is right.
pub fn cannot_verify(user: &str, why: &str) -> ServerError {
    let text = format!("Landbridge cannot verify the login of '{user}': {why}. Try again when a server is back");
    ServerError::new(UNREACHABLE, b"HY000", text)
}

/// `ER_NOT_SUPPORTED_AUTH_MODE`: the server wants what Landbridge cannot or will not give.
pub fn cannot_authenticate(why: &str) -> ServerError {
    ServerError::new(1251, b"08004", format!("Landbridge cannot log in: {why}"))
}

/// `ER_CON_COUNT_ERROR`
pub fn too_many_connections() -> ServerError {
    ServerError::new(1040, b"08004", "Too many connections")
}

/// `ER_TOO_MANY_USER_CONNECTIONS`
pub fn too_many_user_connections(user: &str) -> ServerError {
    ServerError::new(1203, b"42000", format!("User {user} already has more than 'max_clients' active connections"))
}

/// `ER_SECURE_TRANSPORT_REQUIRED`
pub fn tls_required() -> ServerError {
    ServerError::new(
        3159,
        b"08004",
        "Connections using insecure transport are prohibited by Landbridge ([listen] tls = \"required\")",
    )
}

/// `ER_HANDSHAKE_ERROR`
pub fn bad_handshake() -> ServerError {
    ServerError::new(1043, b"08S01", "Bad handshake")
}

/// `ER_MALFORMED_PACKET`
pub fn malformed_packet() -> ServerError {
    ServerError::new(1835, b"HY000", "Malformed communication packet.")
}

/// `ER_UNKNOWN_STMT_HANDLER` for a statement that would mean something else by now.
pub fn prepared_otherwise() -> ServerError {
    let why = "the session's schema, character set or sql_mode changed since it was prepared; prepare it again";
    ServerError::new(UNKNOWN_STATEMENT, b"HY000", format!("Unknown prepared statement handler: {why}"))
}

/// `ER_NET_PACKETS_OUT_OF_ORDER`
pub fn out_of_order() -> ServerError {
    ServerError::new(1156, b"08S01", "Got packets out of order")
}

/// `ER_NET_PACKET_TOO_LARGE`
pub fn packet_too_large() -> ServerError {
    ServerError::new(1153, b"08S01", "Got a packet bigger than 'max_allowed_packet' bytes")
}

/// `ER_OUT_OF_RESOURCES`: what all clients may have in memory is in use.
pub fn out_of_memory() -> ServerError {
    let text = "Landbridge: the memory that clients may use is taken by others. The statement was not sent; send less \
                at a time, or raise [limits] memory";
    ServerError::new(1041, b"HY000", text)
}

/// `ER_ACCESS_DENIED_ERROR`, for somebody who was let in before.
pub fn user_removed(user: &str) -> ServerError {
    let text = format!(
        "Access denied for user '{user}': Landbridge's configuration does not list this user any more; log in as another, \
         or add a [[user]] of this name"
    );
    ServerError::new(1045, b"28000", text)
}

/// `ER_SERVER_SHUTDOWN`
pub fn shutting_down() -> ServerError {
    ServerError::new(1053, b"08S01", "Server shutdown in progress (Landbridge is draining; connect again)")
}

/// `ER_EMPTY_QUERY`
pub fn empty_query() -> ServerError {
    ServerError::new(1065, b"42000", "Query was empty")
}

/// The numbers of errors that client libraries raise themselves.
pub const CLIENT_ERRORS_FROM: u16 = 2000;
/// The last of them.
pub const CLIENT_ERRORS_TO: u16 = 2999;
/// `ER_CONNECTION_KILLED`: a server's number for a lost connection, which frameworks know.
pub const CONNECTION_KILLED: u16 = 1927;
/// A schema that the account may not use.
pub const SCHEMA_DENIED: u16 = 1044;
/// `ER_PARSE_ERROR`
pub const SYNTAX: u16 = 1064;
/// A schema that does not exist.
pub const UNKNOWN_SCHEMA: u16 = 1049;
/// `ER_MAX_PREPARED_STMT_COUNT_REACHED`
pub const TOO_MANY_STATEMENTS: u16 = 1461;
/// `ER_LOCK_WAIT_TIMEOUT`
const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// `ER_UNKNOWN_STMT_HANDLER`: nothing was executed.
pub const UNKNOWN_STATEMENT: u16 = 1243;
/// `ER_NEED_REPREPARE`
const NEED_REPREPARE: u16 = 1615;

/// Whether a server will execute a statement only if it is prepared anew.
pub fn wants_preparing_anew(error: &ServerError) -> bool {
    matches!(error.code, UNKNOWN_STATEMENT | NEED_REPREPARE)
}

/// `ER_STMT_HAS_NO_OPEN_CURSOR`
pub fn no_open_cursor(id: u32, mariadb: bool) -> ServerError {
    let end = if mariadb { "" } else { "." };
    ServerError::new(1421, b"HY000", format!("The statement ({id}) has no open cursor{end}"))
}

/// `ER_UNKNOWN_STMT_HANDLER`
pub fn unknown_statement(id: u32, command: &str) -> ServerError {
    ServerError::new(
        UNKNOWN_STATEMENT,
        b"HY000",
        format!("Unknown prepared statement handler ({id}) given to {command}"),
    )
}

/// `ER_CLIENT_LOCAL_FILES_DISABLED`; MariaDB has `ER_LOAD_INFILE_CAPABILITY_DISABLED`.
pub fn local_infile_off(mariadb: bool) -> ServerError {
    if mariadb {
        let text = "The used command is not allowed because the MariaDB server or client has disabled the local \
                    infile capability";
        ServerError::new(4166, b"HY000", text)
    } else {
        let text = "Loading local data is disabled; this must be enabled on both the client and server sides";
        ServerError::new(3948, b"42000", text)
    }
}

/// `ER_UNKNOWN_COM_ERROR`
pub fn unknown_command() -> ServerError {
    ServerError::new(1047, b"08S01", "Unknown command")
}

/// A client library's number for a server that does not answer, which drivers know.
pub const UNREACHABLE: u16 = 2003;

/// The server a statement needs cannot be reached; nothing was sent.
pub fn unreachable(server: &str, why: &str) -> ServerError {
    ServerError::new(
        UNREACHABLE,
        b"HY000",
        format!("Landbridge cannot reach {server}: {why}. The statement was not sent; retry when the server is back"),
    )
}

/// No primary came in time; nothing was sent.
pub fn waited_in_vain(why: &ServerError, waited: std::time::Duration) -> ServerError {
    let why_not = why.message.strip_prefix("Landbridge ").unwrap_or(&why.message);
    let text = format!("Landbridge has waited for {waited:?} (primary_down) and {why_not}");
    ServerError::new(why.code, &why.state, text)
}

/// An operator has paused for longer than a statement waits; nothing was sent.
pub fn paused(waited: std::time::Duration) -> ServerError {
    let text = format!(
        "Landbridge is paused by its operator, and not resumed within {waited:?}. The statement was not sent; retry later"
    );
    ServerError::new(UNREACHABLE, b"HY000", text)
}

/// `ER_CON_COUNT_ERROR`: too many wait already; nothing was sent.
pub fn too_many_waiting(max: usize) -> ServerError {
    let text = format!(
        "Landbridge: {max} statements are waiting already ([limits] max_waiting). The statement was not sent; retry \
         later"
    );
    ServerError::new(1040, b"08004", text)
}

/// `ER_ABORTING_CONNECTION`: for the record, there is nobody who could read it.
pub fn left_while_waiting() -> ServerError {
    ServerError::new(1152, b"08S01", "Aborted connection (the client left while its statement waited)")
}

/// No connection became free in time; nothing was sent.
pub fn pool_exhausted(server: &str, waited: std::time::Duration, max: usize) -> ServerError {
    ServerError::new(
        1040,
        b"08004",
        format!(
            "Landbridge: no connection to {server} became free within {waited:?} (all {max} are in use). The statement \
             was not sent; raise [pool] max or shorten transactions"
        ),
    )
}

/// The connection to a server was lost while a statement ran.
pub fn lost_connection(server: &str, in_commit: bool) -> ServerError {
    let text = if in_commit {
        format!(
            "Lost connection to {server} during COMMIT: the transaction may or may not be committed; check before you repeat it"
        )
    } else {
        format!(
            "Lost connection to {server} during query; the statement may have run, Landbridge did not send it again"
        )
    };
    ServerError::new(2013, b"HY000", text)
}

/// A transaction's connection was lost: nothing of it was committed.
pub fn lost_transaction(server: &str) -> ServerError {
    ServerError::new(
        2013,
        b"HY000",
        format!("Lost connection to {server} inside a transaction: it was rolled back; start it again"),
    )
}

/// A session is tied to a server that is not the primary any more, and asks for something only the primary can do or tell.
pub fn deposed(server: &str, primary: &str) -> ServerError {
    let text = format!(
        "Landbridge gave up the connection to {server}, because {primary} is the primary now: what was open on it (a \
         transaction, temporary tables, locks) is gone; start again"
    );
    ServerError::new(2013, b"HY000", text)
}

/// Whether a server refuses a statement because a disk is full (or, for error 1114 alone, a table that may not grow):
/// `ER_RECORD_FILE_FULL`, `ER_DISK_FULL`, `EE_DISK_FULL`, and those that name the operating system's reason.
pub fn lacks_space(error: &ServerError) -> bool {
    match error.code {
        1114 | 1021 | 20 | 3675 => true,
        3 | 1005 | 1025 | 1026 | 1030 => says_no_space(&error.message),
        _ => false,
    }
}

/// Whether a server's words tell that a disk is full.
pub fn says_no_space(text: &str) -> bool {
    ["No space left on device", "rrno: 28 ", "rrcode: 28 ", "error 28 "].iter().any(|words| text.contains(words))
}

/// Whether a server refuses a write because it is read-only: `ER_OPTION_PREVENTS_STATEMENT`, `ER_READ_ONLY_MODE`.
pub fn is_read_only(error: &ServerError) -> bool {
    matches!(error.code, 1290 | 1836)
}

/// A transaction had to be given up: nothing of it was committed. Not with the number of the cause: behind that of
/// a statement that merely failed, applications go on in a transaction that is no more.
pub fn lost_transaction_because(cause: &ServerError) -> ServerError {
    let text = format!("{}. The transaction was rolled back with its connection; start it again", cause.message);
    ServerError::new(2013, b"HY000", text)
}

/// What a transaction read on a replica is not what the primary shows. The words are those that frameworks look for.
pub fn changed_meanwhile() -> ServerError {
    let text = "Deadlock found when trying to get lock; try restarting transaction (Landbridge: what it read on a \
                replica has changed at the primary since; nothing of it was committed)";
    ServerError::new(1213, b"40001", text.to_owned())
}

/// A transaction that lost its connection was run again, and showed something else. The words are those that frameworks
/// look for.
pub fn differs_when_run_again() -> ServerError {
    let text = "Deadlock found when trying to get lock; try restarting transaction (Landbridge: its connection was lost, \
                and run again it showed something else; nothing of it was committed)";
    ServerError::new(1213, b"40001", text.to_owned())
}

/// A server rejected part of the session's state; or all that was sent, as too large, which is the statement's fault.
pub fn state_not_restored(server: &str, cause: &ServerError) -> ServerError {
    if cause.code == packet_too_large().code {
        return cause.clone();
    }
    let why = &cause.message;
    let text =
        format!("Landbridge could not restore this session's state on {server}, the statement was not run: {why}");
    ServerError::new(cause.code, &cause.state, text)
}

/// `ER_WRONG_VALUE_FOR_VAR`
pub fn wrong_value(variable: &str, fix: &str) -> ServerError {
    ServerError::new(1231, b"42000", format!("Variable '{variable}' can't be set to that value; {fix}"))
}

/// `ER_BAD_FIELD_ERROR`, at the console.
pub fn unknown_column(name: &str, known: &str) -> ServerError {
    ServerError::new(1054, b"42S22", format!("Unknown column '{name}'; there are: {known}"))
}

/// `ER_UNKNOWN_SYSTEM_VARIABLE`
pub fn unknown_variable(name: &str) -> ServerError {
    ServerError::new(1193, b"HY000", format!("Unknown system variable '{name}'"))
}

/// `ER_NO_SUCH_THREAD`
pub fn unknown_client(id: u32) -> ServerError {
    ServerError::new(1094, b"HY000", format!("Unknown thread id: {id}; SHOW CLIENTS lists them"))
}

/// [`SYNTAX`]: the console does not know this.
pub fn not_of_the_console(text: &str) -> ServerError {
    ServerError::new(SYNTAX, b"42000", format!("'{text}' is no command of Landbridge's admin console; type HELP"))
}

/// `ER_SPECIFIC_ACCESS_DENIED_ERROR`: who may look at the console may not change anything there.
pub fn admin_only(command: &str, admin: Option<&str>) -> ServerError {
    let next = match admin {
        Some(admin) => format!("log in as '{admin}'"),
        None => "write user and password of an account for it into [admin]".to_owned(),
    };
    ServerError::new(1227, b"42000", format!("Access denied: {command} is for the account of [admin] only; {next}"))
}

/// Users who may look at the console do so from the machine it runs on.
pub fn console_is_local(user: &str, host: &str) -> ServerError {
    let text = format!(
        "Access denied for user '{user}'@'{host}': from other machines only the account of [admin] may use the console"
    );
    ServerError::new(1045, b"28000", text)
}

/// A command of the console that this process cannot carry out.
pub fn not_available(command: &str) -> ServerError {
    ServerError::new(1235, b"42000", format!("{command} is not available in this version of Landbridge"))
}

/// A command of the console that failed.
pub fn not_done(command: &str, why: &str) -> ServerError {
    ServerError::new(1105, b"HY000", format!("{command}: {why}"))
}

/// Something Landbridge does not do.
pub fn not_supported(what: &str) -> ServerError {
    ServerError::new(1235, b"42000", format!("This version of Landbridge doesn't yet support '{what}'"))
}
