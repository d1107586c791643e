//! The verifier on histories made by hand.

use crate::history::{Deed, End, History, Key, Moment, Step, Tag, Transaction};
use crate::verify::{Level, Rule, report, verify};

/// The lists that tests write to.
const A: Key = 1;
const B: Key = 2;

fn read(lists: &[(Key, &[Tag])]) -> Deed {
    Deed::Read(lists.iter().map(|(key, tags)| (*key, tags.to_vec())).collect())
}

/// A transaction of a scope whose steps take one nanosecond each, with one in between.
fn transaction(scope: &str, at: u64, deeds: &[Deed], end: End) -> Transaction {
    let step = |(n, deed): (u64, &Deed)| Step {
        invoked: Moment(at + 2 * n),
        completed: Moment(at + 2 * n + 1),
        deed: deed.clone(),
    };
    Transaction {
        client: format!("client of {scope}").into(),
        scope: (scope != "primary").then(|| scope.into()),
        at_primary: scope == "primary",
        invoked: Moment(at),
        completed: Moment(at + 2 * u64::try_from(deeds.len()).expect("few")),
        steps: (0..).zip(deeds).map(step).collect(),
        unanswered: Vec::new(),
        end,
    }
}

fn committed(scope: &str, at: u64, deeds: &[Deed]) -> Transaction {
    transaction(scope, at, deeds, End::Committed)
}

fn append(scope: &str, at: u64, key: Key, tag: Tag) -> Transaction {
    committed(scope, at, &[Deed::Append(key, tag)])
}

fn unknown(at: u64, appends: &[(Key, Tag)]) -> Transaction {
    let deeds: Vec<Deed> = appends.iter().map(|(key, tag)| Deed::Append(*key, *tag)).collect();
    transaction("a", at, &deeds, End::Unknown("lost".into()))
}

fn aborted(at: u64, deeds: &[Deed]) -> Transaction {
    transaction("a", at, deeds, End::Aborted("1213".into()))
}

/// The rules that these transactions break, with these lists at the end.
fn broken(level: Level, transactions: Vec<Transaction>, last: &[(Key, &[Tag])]) -> Vec<Rule> {
    let last = last.iter().map(|(key, tags)| (*key, tags.to_vec())).collect();
    let history = History { transactions, last, events: Vec::new() };
    let mut rules: Vec<Rule> = verify(&history, level).iter().map(|anomaly| anomaly.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// Named transactions and how the lists ended.
type Case = (&'static str, Vec<Transaction>, &'static [(Key, &'static [Tag])]);

#[test]
fn what_the_primary_alone_allows() {
    let cases: Vec<Case> = vec![
        ("nothing", vec![], &[]),
        ("one after the other", vec![append("a", 0, A, 1), committed("a", 10, &[read(&[(A, &[1])])])], &[(A, &[1])]),
        (
            "others may read the past",
            vec![append("a", 0, A, 1), committed("b", 10, &[read(&[(A, &[])])])],
            &[(A, &[1])],
        ),
        (
            "what others committed since stays unseen",
            vec![
                append("b", 1, A, 1),
                committed("a", 0, &[read(&[(A, &[])]), read(&[(A, &[])]), Deed::Append(B, 2), read(&[(A, &[])])]),
            ],
            &[(A, &[1]), (B, &[2])],
        ),
        (
            "but not in the list to which it writes itself",
            vec![
                append("b", 1, A, 1),
                committed("a", 0, &[read(&[(A, &[])]), Deed::Append(A, 2), read(&[(A, &[1, 2])])]),
            ],
            &[(A, &[1, 2])],
        ),
        (
            "nor in one that it locks",
            vec![append("b", 1, A, 1), committed("a", 0, &[read(&[(A, &[])]), Deed::Lock(A, vec![1])])],
            &[(A, &[1])],
        ),
        (
            "write skew",
            vec![
                committed("a", 0, &[read(&[(A, &[]), (B, &[])]), Deed::Append(A, 1)]),
                committed("b", 0, &[read(&[(A, &[]), (B, &[])]), Deed::Append(B, 2)]),
            ],
            &[(A, &[1]), (B, &[2])],
        ),
        (
            "a lost answer that was committed",
            vec![unknown(0, &[(A, 1)]), committed("b", 10, &[read(&[(A, &[1])])])],
            &[(A, &[1])],
        ),
        ("or not", vec![unknown(0, &[(A, 1)]), committed("a", 10, &[read(&[(A, &[])])])], &[(A, &[])]),
        (
            "a read of what it has changed fixes the moment, too",
            vec![
                committed(
                    "primary",
                    10,
                    &[Deed::Append(A, 1), read(&[(A, &[1])]), Deed::Lock(3, vec![]), read(&[(B, &[])])],
                ),
                append("b", 13, B, 2),
            ],
            &[(A, &[1]), (B, &[2])],
        ),
        (
            "what a savepoint took back is unseen, by itself too",
            vec![committed("a", 0, &[Deed::Undone(A, 1), read(&[(A, &[])]), Deed::Append(A, 2)])],
            &[(A, &[2])],
        ),
        (
            "a refused transaction may have read the past",
            vec![append("primary", 0, A, 1), aborted(10, &[read(&[(A, &[])])])],
            &[(A, &[1])],
        ),
        (
            "so may one that only reads, at one moment",
            vec![
                append("b", 0, A, 1),
                append("b", 10, B, 2),
                committed("a", 20, &[read(&[(A, &[1])]), read(&[(B, &[])])]),
            ],
            &[(A, &[1]), (B, &[2])],
        ),
    ];
    for (name, transactions, last) in cases {
        assert_eq!(broken(Level::RepeatableRead, transactions.clone(), last), [], "{name}");
        if !name.contains("fixes") && !name.contains("stays unseen") {
            assert_eq!(broken(Level::ReadCommitted, transactions, last), [], "{name}");
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_no_level_allows() {
    use Rule::{
        AbortedRead, AppliedTwice, CircularFlow, DirtyWrite, IntermediateRead, Internal, LostAppend, ReadSkew,
        ScopeUnseen, Stale, ThinAir,
    };
    let cases: Vec<(Case, Rule)> = vec![
        (("it is gone", vec![append("a", 0, A, 1)], &[(A, &[])]), LostAppend),
        (("half of it is gone", vec![unknown(0, &[(A, 1), (B, 2)])], &[(A, &[1]), (B, &[])]), LostAppend),
        (
            (
                "the order was another one",
                vec![append("a", 0, A, 1), append("b", 0, A, 2), committed("c", 10, &[read(&[(A, &[2, 1])])])],
                &[(A, &[1, 2])],
            ),
            LostAppend,
        ),
        (("twice", vec![append("a", 0, A, 1)], &[(A, &[1, 1])]), AppliedTwice),
        (("nobody's", vec![committed("a", 0, &[read(&[(A, &[7])])])], &[(A, &[])]), ThinAir),
        (("another list's", vec![append("a", 0, A, 1)], &[(A, &[1]), (B, &[1])]), ThinAir),
        (("a refused one has left something", vec![aborted(0, &[Deed::Append(A, 1)])], &[(A, &[1])]), AbortedRead),
        (
            (
                "or had, for a while",
                vec![aborted(0, &[Deed::Append(A, 1)]), committed("b", 10, &[read(&[(A, &[1])])])],
                &[(A, &[])],
            ),
            AbortedRead,
        ),
        (("what was taken back", vec![committed("a", 0, &[Deed::Undone(A, 1)])], &[(A, &[1])]), AbortedRead),
        (
            (
                "half of a transaction",
                vec![
                    committed("a", 0, &[Deed::Append(A, 1), Deed::Append(A, 2)]),
                    committed("b", 1, &[read(&[(A, &[1])])]),
                ],
                &[(A, &[1, 2])],
            ),
            IntermediateRead,
        ),
        (
            ("its own append unseen", vec![committed("a", 0, &[Deed::Append(A, 1), read(&[(A, &[])])])], &[(A, &[1])]),
            Internal,
        ),
        (
            ("or seen beforehand", vec![committed("a", 0, &[read(&[(A, &[1])]), Deed::Append(A, 1)])], &[(A, &[1])]),
            Internal,
        ),
        (
            (
                "writes overtake each other",
                vec![
                    committed("a", 0, &[Deed::Append(A, 1), Deed::Append(B, 2)]),
                    committed("b", 0, &[Deed::Append(A, 3), Deed::Append(B, 4)]),
                ],
                &[(A, &[1, 3]), (B, &[4, 2])],
            ),
            DirtyWrite,
        ),
        (
            (
                "others write in between",
                vec![committed("a", 0, &[Deed::Append(A, 1), Deed::Append(A, 2)]), append("b", 0, A, 3)],
                &[(A, &[1, 3, 2])],
            ),
            DirtyWrite,
        ),
        (
            (
                "they see each other",
                vec![
                    committed("a", 0, &[read(&[(B, &[2])]), Deed::Append(A, 1)]),
                    committed("b", 0, &[read(&[(A, &[1])]), Deed::Append(B, 2)]),
                ],
                &[(A, &[1]), (B, &[2])],
            ),
            CircularFlow,
        ),
        (
            (
                "one statement sees half a transaction",
                vec![
                    committed("a", 0, &[Deed::Append(A, 1), Deed::Append(B, 2)]),
                    committed("b", 0, &[read(&[(A, &[1]), (B, &[])])]),
                ],
                &[(A, &[1]), (B, &[2])],
            ),
            ReadSkew,
        ),
        (
            (
                "two see two writes in different order",
                vec![
                    append("a", 0, A, 1),
                    append("b", 0, B, 2),
                    committed("c", 0, &[read(&[(A, &[1]), (B, &[])])]),
                    committed("d", 0, &[read(&[(A, &[]), (B, &[2])])]),
                ],
                &[(A, &[1]), (B, &[2])],
            ),
            ReadSkew,
        ),
        (
            (
                "one's own write unseen",
                vec![append("a", 0, A, 1), committed("a", 10, &[read(&[(A, &[])])])],
                &[(A, &[1])],
            ),
            ScopeUnseen,
        ),
        (
            (
                "unseen again",
                vec![
                    append("b", 0, A, 1),
                    committed("a", 10, &[read(&[(A, &[1])])]),
                    committed("a", 20, &[read(&[(A, &[])])]),
                ],
                &[(A, &[1])],
            ),
            ScopeUnseen,
        ),
        (
            (
                "the past at the primary",
                vec![append("b", 0, A, 1), committed("primary", 10, &[read(&[(A, &[])])])],
                &[(A, &[1])],
            ),
            Stale,
        ),
        (("a later write comes first", vec![append("a", 0, A, 1), append("b", 10, A, 2)], &[(A, &[2, 1])]), Stale),
    ];
    for ((name, transactions, last), rule) in cases {
        for level in [Level::RepeatableRead, Level::ReadCommitted] {
            assert_eq!(broken(level, transactions.clone(), last), [rule], "{name}, {level:?}");
        }
    }
}

/// Where a transaction began on a replica and went on unverified.
#[test]
fn what_repeatable_read_alone_forbids() {
    use Rule::{ReadSkew, Stale};
    let cases: Vec<(Case, Rule)> = vec![
        (
            (
                "it wrote upon the past",
                vec![append("primary", 0, A, 1), committed("a", 10, &[read(&[(A, &[])]), Deed::Append(B, 2)])],
                &[(A, &[1]), (B, &[2])],
            ),
            Stale,
        ),
        (
            (
                "even if it was rolled back then",
                vec![
                    append("primary", 0, A, 1),
                    transaction("a", 10, &[read(&[(A, &[])]), Deed::Append(B, 2)], End::RolledBack),
                ],
                &[(A, &[1]), (B, &[])],
            ),
            Stale,
        ),
        (
            (
                "two moments in one transaction",
                vec![
                    committed("b", 0, &[Deed::Append(A, 1), Deed::Append(B, 2)]),
                    committed("a", 0, &[read(&[(A, &[])]), Deed::Lock(3, vec![]), read(&[(B, &[2])])]),
                ],
                &[(A, &[1]), (B, &[2])],
            ),
            ReadSkew,
        ),
        (
            (
                "the same read twice",
                vec![append("b", 0, A, 1), committed("a", 0, &[read(&[(A, &[])]), read(&[(A, &[1])])])],
                &[(A, &[1])],
            ),
            ReadSkew,
        ),
    ];
    for ((name, transactions, last), rule) in cases {
        assert_eq!(broken(Level::RepeatableRead, transactions.clone(), last), [rule], "{name}");
        assert_eq!(broken(Level::ReadCommitted, transactions, last), [], "{name}");
    }
}

/// After its first write a transaction of READ COMMITTED reads at the primary.
#[test]
fn what_read_committed_forbids_behind_a_write() {
    let transactions = vec![append("primary", 0, A, 1), committed("a", 10, &[Deed::Append(B, 2), read(&[(A, &[])])])];
    assert_eq!(broken(Level::ReadCommitted, transactions, &[(A, &[1]), (B, &[2])]), [Rule::Stale]);
}

#[test]
fn a_report_tells_who_did_what() {
    let transactions = vec![append("primary", 0, A, 1), committed("a", 10, &[read(&[(A, &[])]), Deed::Append(B, 2)])];
    let events = vec![(Moment(5), "the applier stops".to_owned())];
    let history = History { transactions, last: vec![(A, vec![1]), (B, vec![2])], events };
    let text = report(&history, &verify(&history, Level::RepeatableRead));
    for part in ["1 x Stale", "append 1 to 1", "read 1 = []", "the commit of client of primary", "the applier stops"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}
