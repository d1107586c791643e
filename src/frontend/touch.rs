//! What statements touch, where tables are told apart (`consistency.per_table`).

use super::definitions::Changing;
use super::job::{Job, JobCommand};
use super::session::Session;
use crate::consistency::catalogue::Table;
use crate::consistency::touched::Touch;
use crate::sql::{Kind, Mode, Parts, Statement, Traits, Why, tables};
use std::sync::Arc;
use std::time::Instant;

impl Session {
    /// What a statement touches.
    pub(super) fn touch(&mut self, text: &[u8], statement: &Statement<'_>) -> Touch {
        let settings = self.settings();
        if !(self.shared.definitions.tell_apart || settings.transaction_replay || settings.tries_replicas()) {
            return Touch::Anything;
        }
        let mode = self.mode();
        touch(text, statement, self.state.schema(), mode)
    }

    /// A job begins: what is known of tables is kept up to date, and is not believed while the job may change it.
    pub(super) fn keep_definitions(&mut self, job: &Job) -> Option<Changing> {
        let definitions = &self.shared.definitions;
        let is_run = !matches!(job.command, JobCommand::Prepare(..));
        match &job.touch {
            Touch::Definitions if is_run => return Some(definitions.change()),
            Touch::Reads(tables) if !tables.is_empty() => {}
            Touch::Writes(_) => {}
            _ => return None,
        }
        if let Some(primary) = self.shared.snapshot().primary()
            && let Some(server) = self.shared.server(primary.id).filter(|_| primary.is_usable())
        {
            self.sight.definitions().keep_current(Instant::now(), &server, &self.account);
        }
        None
    }
}

fn touch(text: &[u8], statement: &Statement<'_>, schema: Option<&[u8]>, mode: Mode) -> Touch {
    let alone = statement.parts == Parts::Single;
    if statement.traits.contains(Traits::CALLS_READ_FUNCTION) {
        return Touch::Anything;
    }
    match statement.kind {
        Kind::Read if !statement.traits.contains(Traits::CALLS_STORED_CODE) => {
            if statement.traits.contains(Traits::TABLE_FREE) {
                return Touch::Reads(Arc::new([]));
            }
            match named(text, schema, mode) {
                Some(tables) if !tables.is_empty() => Touch::Reads(tables.into()),
                _ => Touch::Anything,
            }
        }
        Kind::Write(Why::Insert | Why::Update | Why::Delete)
            if alone && !statement.traits.contains(Traits::CALLS_STORED_CODE) =>
        {
            match named(text, schema, mode).as_deref() {
                // Whatever else it names, its success shows.
                Some([first, rest @ ..]) if rest.iter().all(|table| table == first) => Touch::Writes(first.clone()),
                _ => Touch::Anything,
            }
        }
        Kind::Write(Why::Ddl) if alone && statement.traits.contains(Traits::CREATES_TEMP_TABLE) => Touch::Anything,
        Kind::Write(Why::Ddl | Why::Admin | Why::Call | Why::Multi | Why::Unknown) => Touch::Definitions,
        Kind::Write(_) if statement.traits.contains(Traits::SQL_EXECUTE) => Touch::Definitions,
        Kind::Begin(_) | Kind::Rollback(_) | Kind::Savepoint => Touch::Bracket,
        Kind::Commit(_) => Touch::Commits,
        Kind::Read | Kind::Write(_) | Kind::Set(_) | Kind::Use(_) | Kind::Empty => Touch::Anything,
    }
}

/// The tables that a statement names, if all of them are certain.
fn named(text: &[u8], schema: Option<&[u8]>, mode: Mode) -> Option<Vec<Table>> {
    let of = |name: crate::sql::TableName<'_>| Table::of(name.schema.as_deref().or(schema)?, &name.name);
    tables(text, mode)?.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::classify;

    fn shown(sql: &str) -> String {
        let statement = classify(sql.as_bytes(), Mode::default());
        let one = |name: &str| Table::of(b"app", name.as_bytes()).expect("a name");
        let (a, b, elsewhere) = (one("a"), one("b"), Table::of(b"x", b"a").expect("a name"));
        let name = |table: &Table| {
            [(&a, "a"), (&b, "b"), (&elsewhere, "x.a")].iter().find(|(t, _)| *t == table).map_or("?", |(_, n)| n)
        };
        match touch(sql.as_bytes(), &statement, Some(b"app"), Mode::default()) {
            Touch::Anything => "anything".into(),
            Touch::Definitions => "definitions".into(),
            Touch::Reads(tables) => format!("reads {}", tables.iter().map(name).collect::<Vec<_>>().join(",")),
            Touch::Writes(table) => format!("writes {}", name(&table)),
            Touch::Bracket => "bracket".into(),
            Touch::Commits => "commits".into(),
        }
    }

    #[test]
    fn statements_touch_what_they_name_or_anything() {
        for (sql, want) in [
            ("SELECT * FROM a", "reads a"),
            ("SELECT * FROM a JOIN x.a USING (id) WHERE i IN (SELECT i FROM b)", "reads a,x.a,b"),
            ("SELECT 1", "reads "),
            ("SELECT f(1) FROM a", "anything"),
            ("SELECT * FROM a FOR UPDATE", "anything"),
            ("SHOW COLUMNS FROM a", "anything"),
            ("SELECT * FROM a; SELECT * FROM b", "reads a,b"),
            ("INSERT INTO a VALUES (1)", "writes a"),
            ("INSERT INTO `app`.`a` (n) SELECT n FROM a", "writes a"),
            ("INSERT INTO x.a VALUES (1) ON DUPLICATE KEY UPDATE n = 2", "writes x.a"),
            ("REPLACE INTO a SET n = 1", "writes a"),
            ("UPDATE b SET n = n + 1 WHERE id = 3", "writes b"),
            ("DELETE FROM b WHERE id = 3", "writes b"),
            ("INSERT INTO a SELECT n FROM b", "anything"),
            ("UPDATE a SET n = (SELECT MAX(n) FROM b)", "anything"),
            ("UPDATE a, b SET a.n = b.n", "anything"),
            ("DELETE a FROM a JOIN b USING (id)", "anything"),
            ("INSERT INTO a VALUES (f(1))", "anything"),
            ("INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)", "definitions"),
            ("INSERT INTO a VALUES (1); INSERT INTO b VALUES (2)", "definitions"),
            ("LOAD DATA INFILE 'x' INTO TABLE a", "anything"),
            ("CALL p()", "definitions"),
            ("CREATE VIEW v AS SELECT * FROM a", "definitions"),
            ("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET @a = 1", "definitions"),
            ("ALTER TABLE a ADD COLUMN x INT", "definitions"),
            ("CREATE TEMPORARY TABLE a (n INT)", "anything"),
            ("GRANT ALL ON app.* TO app", "definitions"),
            ("EXECUTE s", "definitions"),
            ("PREPARE s FROM 'SELECT 1'", "anything"),
            ("SET @a = 1", "anything"),
            ("BEGIN", "bracket"),
            ("SAVEPOINT s", "bracket"),
            ("ROLLBACK", "bracket"),
            ("COMMIT", "commits"),
            ("XA COMMIT 'x'", "anything"),
            ("nonsense", "definitions"),
        ] {
            assert_eq!(shown(sql), want, "{sql}");
        }
    }
}
