//! Tokens of single tables: what was written to them and nowhere else.

use super::catalogue::Table;
use super::gtid::GtidSet;
use super::token::Token;
use super::touched::Footing;
use crate::topology::ServerId;
use std::collections::HashMap;

/// Most tables remembered by themselves.
const MOST: usize = 256;

/// Tokens by table, of writes that one catalogue says were to plain tables.
#[derive(Debug, Default)]
pub(super) struct ByTable {
    generation: u64,
    /// Each with a number that grows with time.
    tokens: HashMap<Table, (u64, Token)>,
    noted: u64,
}

impl ByTable {
    /// Something was written to these tables and nowhere else. What all must see besides goes into `all`.
    pub(super) fn note(&mut self, footing: Footing<'_>, add: &Token, all: &mut Token) {
        if self.generation != footing.catalogue.generation {
            // By another catalogue other tables may be plain: until here, everything counts for all.
            self.merge_into(all);
            self.tokens.clear();
            all.merge(footing.catalogue.since());
            self.generation = footing.catalogue.generation;
        }
        for table in footing.tables {
            self.noted += 1;
            let (noted, token) = self.tokens.entry(table.clone()).or_default();
            *noted = self.noted;
            token.merge(add);
        }
        while self.tokens.len() > MOST {
            let Some(oldest) = self.tokens.iter().min_by_key(|(_, (noted, _))| *noted).map(|(t, _)| t.clone()) else {
                return;
            };
            if let Some((_, token)) = self.tokens.remove(&oldest) {
                all.merge(&token);
            }
        }
    }

    /// Adds what a reader must see: of these tables if the same catalogue says that they are plain, or of all.
    pub(super) fn add_to(&self, token: &mut Token, footing: Option<Footing<'_>>) {
        match footing.filter(|footing| footing.catalogue.generation == self.generation) {
            None => self.merge_into(token),
            Some(footing) => {
                for (_, own) in footing.tables.iter().filter_map(|table| self.tokens.get(table)) {
                    token.merge(own);
                }
            }
        }
    }

    fn merge_into(&self, token: &mut Token) {
        for (_, own) in self.tokens.values() {
            token.merge(own);
        }
    }

    /// Settles each, and forgets those that ask for nothing any more.
    pub(super) fn settle(&mut self, settle: impl Fn(&mut Token)) {
        self.tokens.retain(|_, (_, token)| {
            settle(token);
            !token.is_empty()
        });
    }

    /// A wait showed that `server` contains `gtids`.
    pub(super) fn satisfied_on(&mut self, server: ServerId, gtids: &GtidSet) {
        for (_, token) in self.tokens.values_mut() {
            token.satisfied_on(server, gtids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{Catalogue, Plains, Told};
    use super::super::gtid::Family;
    use super::super::scope::Scope;
    use super::super::token::{Changed, Noted};
    use super::super::touched::{Touch, Touched};
    use super::*;
    use crate::topology::Snapshot;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn gtids(text: &str) -> GtidSet {
        GtidSet::parse(Family::MariaDb, text).expect("well formed")
    }

    fn table(name: &str) -> Table {
        Table::of(b"app", name.as_bytes()).expect("a name")
    }

    /// All tables are plain; `with_trigger` only for reads.
    fn catalogue(generation: u64, names: &[String]) -> Arc<Catalogue> {
        let row = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
        let told = Told {
            session: vec![row(&["0", "app@%", "0"])],
            global: vec![row(&["'app'@'%'", "TRIGGER"])],
            tables: names.iter().map(|name| row(&["app", name, "InnoDB", "x"])).collect(),
            triggers: vec![row(&["app", "with_trigger"])],
            ..Told::default()
        };
        let plains = Plains::of(&told).expect("understood");
        Arc::new(Catalogue::new(generation, plains, Instant::now(), gtids("9-9-1")))
    }

    fn names() -> Vec<String> {
        ["a", "b", "c", "with_trigger"].map(String::from).into()
    }

    struct Bench {
        scope: Scope,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { scope: Scope::default(), now: Instant::now() }
        }

        fn wrote(&self, catalogue: &Catalogue, tables: &[&str], set: &str) {
            let tables: Vec<Table> = tables.iter().map(|name| table(name)).collect();
            self.scope.note_tables(&gtids(set), Footing { catalogue, tables: &tables }, self.now);
        }

        fn reads(&self, catalogue: &Catalogue, tables: &[&str], seen: &Snapshot) -> String {
            let tables: Vec<Table> = tables.iter().map(|name| table(name)).collect();
            let footing = catalogue.shows_only(&tables).then_some(Footing { catalogue, tables: &tables });
            let token = self.scope.token_of(footing, self.now, seen);
            token.gtids.map_or_else(String::new, |gtids| gtids.to_string())
        }
    }

    #[test]
    fn a_read_sees_what_was_written_to_its_tables() {
        let (bench, seen, catalogue) = (Bench::new(), Snapshot::default(), catalogue(1, &names()));
        bench.wrote(&catalogue, &["a"], "1-1-5");
        bench.wrote(&catalogue, &["a", "b"], "2-1-5");
        for (tables, want) in [
            (&["a"][..], "1-1-5,2-1-5,9-9-1"),
            (&["b"], "2-1-5,9-9-1"),
            (&["c"], "9-9-1"),
            (&["c", "b"], "2-1-5,9-9-1"),
            (&["a", "c"], "1-1-5,2-1-5,9-9-1"),
            (&["view"], "1-1-5,2-1-5,9-9-1"),
            (&["c", "view"], "1-1-5,2-1-5,9-9-1"),
            (&[], "1-1-5,2-1-5,9-9-1"),
        ] {
            assert_eq!(bench.reads(&catalogue, tables, &seen), want, "{tables:?}");
        }
        assert_eq!(bench.scope.everything().gtids, Some(Arc::new(gtids("1-1-5,2-1-5,9-9-1"))));
        bench.scope.note(&Noted::Gtids(gtids("3-1-1")), Changed::Data, bench.now, Duration::ZERO);
        assert_eq!(bench.reads(&catalogue, &["c"], &seen), "3-1-1,9-9-1", "what is not known to be of one table");
        bench.scope.note(&Noted::Uncertain, Changed::Data, bench.now, Duration::ZERO);
        let tables = [table("c")];
        let footing = Footing { catalogue: &catalogue, tables: &tables };
        assert!(bench.scope.token_of(Some(footing), bench.now, &seen).keeps_to_primary());
    }

    #[test]
    fn by_another_catalogue_everything_counts() {
        let (bench, seen) = (Bench::new(), Snapshot::default());
        let (first, second) = (catalogue(1, &names()), catalogue(2, &names()));
        bench.wrote(&first, &["a"], "1-1-5");
        assert_eq!(bench.reads(&second, &["c"], &seen), "1-1-5,9-9-1");
        bench.wrote(&second, &["b"], "2-1-5");
        assert_eq!(bench.reads(&second, &["c"], &seen), "1-1-5,9-9-1", "what went before counts for all");
        assert_eq!(bench.reads(&first, &["c"], &seen), "1-1-5,2-1-5,9-9-1");
        assert_eq!(bench.reads(&second, &["b"], &seen), "1-1-5,2-1-5,9-9-1");
    }

    #[test]
    fn tokens_of_tables_are_satisfied_and_forgotten_like_others() {
        let (bench, seen, catalogue) = (Bench::new(), Snapshot::default(), catalogue(1, &names()));
        let replica = ServerId(1);
        bench.wrote(&catalogue, &["a"], "1-1-5");
        bench.wrote(&catalogue, &["b"], "2-1-5");
        let is_satisfied = |name: &str| {
            let tables = [table(name)];
            let footing = Footing { catalogue: &catalogue, tables: &tables };
            bench.scope.token_of(Some(footing), bench.now, &seen).is_satisfied_on(replica)
        };
        bench.scope.satisfied_on(replica, &gtids("1-1-5,9-9-1"));
        assert!(is_satisfied("a") && is_satisfied("c") && !is_satisfied("b"));
        bench.wrote(&catalogue, &["a"], "1-1-6");
        assert!(!is_satisfied("a"));
        let everywhere = Snapshot { everywhere: Some(Arc::new(gtids("2-1-5,9-9-1"))), ..Snapshot::default() };
        assert_eq!(bench.reads(&catalogue, &["b"], &everywhere), "");
        assert_eq!(bench.reads(&catalogue, &["view"], &seen), "1-1-6");
    }

    #[test]
    fn of_many_tables_the_oldest_count_for_all() {
        let names: Vec<String> = (0..=MOST).map(|n| format!("t{n}")).collect();
        let (bench, seen, catalogue) = (Bench::new(), Snapshot::default(), catalogue(1, &names));
        for (n, name) in names.iter().enumerate().take(MOST) {
            bench.wrote(&catalogue, &[name], &format!("{n}-1-5"));
        }
        bench.wrote(&catalogue, &["t0"], "0-1-6");
        assert_eq!(bench.reads(&catalogue, &["t5"], &seen), "5-1-5,9-9-1");
        bench.wrote(&catalogue, &[&names[MOST]], "1000-1-5");
        assert_eq!(bench.reads(&catalogue, &["t5"], &seen), "1-1-5,5-1-5,9-9-1", "the one written to longest ago");
    }

    #[test]
    fn transactions_touch_what_their_statements_do() {
        let first = catalogue(1, &names());
        let writes = |name: &str| Touch::Writes(table(name));
        let reads = |names: &[&str]| Touch::Reads(names.iter().map(|name| table(name)).collect());
        for (touches, want) in [
            (vec![writes("a")], Some(vec!["a"])),
            (vec![Touch::Bracket, writes("a"), writes("b"), writes("a"), Touch::Commits], Some(vec!["a", "b"])),
            (vec![writes("a"), reads(&[]), Touch::Commits], Some(vec!["a"])),
            (vec![Touch::Commits], None),
            (vec![writes("a"), reads(&["a"])], None),
            (vec![reads(&["b"]), writes("a")], None),
            (vec![writes("a"), writes("with_trigger")], None),
            (vec![writes("view"), writes("a")], None),
            (vec![Touch::Anything, writes("a")], None),
            (vec![writes("a"), Touch::Definitions], None),
        ] {
            let mut touched = Touched::default();
            for touch in &touches {
                touched.add(touch, Some(first.clone()));
            }
            let want = want.map(|names| names.iter().map(|name| table(name)).collect::<Vec<_>>());
            let got = touched.footing(Some(&first)).map(|footing| footing.tables.to_vec());
            assert_eq!(got, want, "{touches:?}");
        }
        let mut touched = Touched::default();
        touched.add(&writes("a"), Some(first.clone()));
        let second = catalogue(2, &names());
        assert!(touched.footing(Some(&second)).is_none(), "tables may have changed meanwhile");
        assert!(touched.footing(None).is_none());
        touched.add(&writes("b"), Some(second.clone()));
        assert!(touched.footing(Some(&second)).is_none());
        let mut unknown = Touched::default();
        unknown.add(&writes("a"), None);
        assert!(unknown.footing(Some(&first)).is_none());
    }
}
