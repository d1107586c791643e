//! Properties, checked against sets of single transactions and maps of last positions.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Family, GtidSet};

/// (UUID, tag, first, last), with few UUIDs, tags and numbers, so that they meet.
type MySqlItem = (u8, &'static str, u64, u64);
/// (domain, server, sequence).
type MariaDbItem = (u32, u32, u64);

const FAMILIES: [Family; 2] = [Family::MySql, Family::MariaDb];

fn mysql_items() -> impl Strategy<Value = Vec<MySqlItem>> {
    let tag = prop::sample::select(vec!["", "a", "b_1", "_"]);
    vec((0_u8..3, tag, 1_u64..40, 0_u64..6).prop_map(|(u, t, n, len)| (u, t, n, n + len)), 0..24)
}

fn mariadb_items() -> impl Strategy<Value = Vec<MariaDbItem>> {
    vec((0_u32..4, 0_u32..3, 0_u64..8), 0..12)
}

fn mysql_model(items: &[MySqlItem]) -> HashSet<(u8, &'static str, u64)> {
    items.iter().flat_map(|&(u, t, first, last)| (first..=last).map(move |n| (u, t, n))).collect()
}

/// The last sequence number of each domain, and the server that wrote it.
fn mariadb_model(items: &[MariaDbItem]) -> BTreeMap<u32, (u64, u32)> {
    let mut model = BTreeMap::new();
    for &(domain, server, sequence) in items.iter().filter(|item| item.2 > 0) {
        let last = model.entry(domain).or_insert((sequence, server));
        *last = (*last).max((sequence, server));
    }
    model
}

/// Writes the items in their order, in a form that varies with `style`.
fn mysql_text(items: &[MySqlItem], style: u8) -> String {
    let mut text = String::new();
    let mut open = None;
    for &(uuid, tag, first, last) in items {
        // A UUID stays open for more intervals, but only a tag can follow a tag.
        let same_source = open == Some((uuid, tag));
        let same_uuid = open.is_some_and(|(own, _)| own == uuid) && !tag.is_empty();
        let goes_on = same_source || same_uuid && style & 1 != 0;
        if !goes_on {
            if open.is_some() {
                text.push_str([",", ", ", ",\n", " , ,"][usize::from(style >> 1 & 3)]);
            }
            let name = format!("{uuid:08x}-ABCD-11e1-9e33-c80aa942956{uuid:x}");
            text.push_str(&if style & 8 != 0 { name.to_uppercase() } else { name });
        }
        if !same_source && !tag.is_empty() {
            let tag = if style & 16 != 0 { tag.to_uppercase() } else { tag.to_owned() };
            write!(text, ":{tag}").expect("a String takes everything");
        }
        let space = if style & 32 != 0 { " " } else { "" };
        if first == last && style & 64 != 0 {
            write!(text, ":{space}{first}{space}").expect("a String takes everything");
        } else {
            write!(text, ":{first}{space}-{space}{last}").expect("a String takes everything");
        }
        open = Some((uuid, tag));
    }
    text
}

fn mysql(items: &[MySqlItem]) -> GtidSet {
    let text = mysql_text(items, 0);
    GtidSet::parse(Family::MySql, &text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn mariadb(items: &[MariaDbItem]) -> GtidSet {
    let elements: Vec<_> = items.iter().map(|(d, s, n)| format!("{d}-{s}-{n}")).collect();
    let text = elements.join(",");
    GtidSet::parse(Family::MariaDb, &text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn union(a: &GtidSet, b: &GtidSet) -> GtidSet {
    let mut union = a.clone();
    union.union(b).expect("of the same family");
    union
}

/// What holds for three sets of any one family.
fn check_laws(a: &GtidSet, b: &GtidSet, c: &GtidSet) -> Result<(), TestCaseError> {
    let a_b = union(a, b);
    prop_assert_eq!(&a_b, &union(b, a), "commutative");
    prop_assert_eq!(union(&a_b, c), union(a, &union(b, c)), "associative");
    prop_assert_eq!(&union(a, a), a, "idempotent");
    prop_assert_eq!(&union(&a_b, b), &a_b, "absorbs");
    prop_assert_eq!(&union(a, &GtidSet::empty(a.family())), a, "neutral");

    prop_assert!(a.contains(a), "reflexive");
    prop_assert!(a_b.contains(a) && a_b.contains(b), "a union contains its parts");
    prop_assert!(a.contains(&GtidSet::empty(a.family())));
    prop_assert!(!a.contains(b) || !b.contains(c) || a.contains(c), "transitive");
    prop_assert!(!a.contains(b) || union(a, c).contains(b), "monotone in the set");
    prop_assert!(!a.contains(&a_b) || a.contains(b), "monotone in the other");
    prop_assert_eq!(a.contains(&union(b, c)), a.contains(b) && a.contains(c));

    for set in [a, b, c, &a_b] {
        let text = set.to_string();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:,-".contains(c);
        prop_assert!(text.chars().all(plain), "needs no escaping");
        prop_assert_eq!(GtidSet::parse(set.family(), &text), Ok(set.clone()));
    }
    Ok(())
}

/// Adds items one at a time, each as a set of its own.
fn grown<T: Copy>(family: Family, items: &[T], single: fn(&[T]) -> GtidSet) -> GtidSet {
    let mut grown = GtidSet::empty(family);
    for item in items {
        grown.union(&single(&[*item])).expect("of the same family");
    }
    grown
}

proptest! {
    #[test]
    fn mysql_is_a_set_of_transactions(a in mysql_items(), b in mysql_items()) {
        let (set_a, set_b) = (mysql(&a), mysql(&b));
        let (model_a, model_b) = (mysql_model(&a), mysql_model(&b));
        prop_assert_eq!(set_a.is_empty(), model_a.is_empty());
        prop_assert_eq!(set_a.contains(&set_b), model_a.is_superset(&model_b));
        prop_assert_eq!(set_a == set_b, model_a == model_b, "one form for one set");
        prop_assert_eq!(set_a.contains(&set_b) && set_b.contains(&set_a), set_a == set_b);
        let both = [a.clone(), b].concat();
        prop_assert_eq!(union(&set_a, &set_b), mysql(&both));
        for (uuid, tag, number) in mysql_model(&both) {
            let single = mysql(&[(uuid, tag, number, number)]);
            prop_assert_eq!(set_a.contains(&single), model_a.contains(&(uuid, tag, number)));
        }
        prop_assert_eq!(grown(Family::MySql, &a, mysql), set_a);
    }

    #[test]
    fn mysql_text_form_does_not_matter(items in mysql_items(), style: u8) {
        let text = mysql_text(&items, style);
        prop_assert_eq!(GtidSet::parse(Family::MySql, &text), Ok(mysql(&items)), "{:?}", text);
    }

    #[test]
    fn mysql_laws(a in mysql_items(), b in mysql_items(), c in mysql_items()) {
        check_laws(&mysql(&a), &mysql(&b), &mysql(&c))?;
    }

    #[test]
    fn mariadb_is_a_map_of_positions(a in mariadb_items(), b in mariadb_items()) {
        let (set_a, set_b) = (mariadb(&a), mariadb(&b));
        let (model_a, model_b) = (mariadb_model(&a), mariadb_model(&b));
        prop_assert_eq!(set_a.is_empty(), model_a.is_empty());
        let contains = model_b
            .iter()
            .all(|(domain, theirs)| model_a.get(domain).is_some_and(|own| own.0 >= theirs.0));
        prop_assert_eq!(set_a.contains(&set_b), contains);
        prop_assert_eq!(set_a == set_b, model_a == model_b, "one form for one set");
        // Antisymmetric up to who wrote the last transaction.
        let sequences = |model: &BTreeMap<u32, (u64, u32)>| {
            model.iter().map(|(domain, last)| (*domain, last.0)).collect::<Vec<_>>()
        };
        prop_assert_eq!(
            set_a.contains(&set_b) && set_b.contains(&set_a),
            sequences(&model_a) == sequences(&model_b)
        );
        prop_assert_eq!(union(&set_a, &set_b), mariadb(&[a.clone(), b].concat()));
        prop_assert_eq!(grown(Family::MariaDb, &a, mariadb), set_a);
    }

    #[test]
    fn mariadb_laws(a in mariadb_items(), b in mariadb_items(), c in mariadb_items()) {
        check_laws(&mariadb(&a), &mariadb(&b), &mariadb(&c))?;
    }

    #[test]
    fn no_text_panics_and_what_is_read_is_read_again(
        text in prop_oneof![
            any::<String>(),
            "[0-9a-fA-F:, _\n-]{0,80}",
            "(3e11fa47-71ca-11e1-9e33-c80aa942956[0-3]?[:,-]{0,2}[ a-z0-9_:-]{0,20},?){0,4}",
            "([0-9]{1,20}[-,]{1,2}){0,9}",
        ],
    ) {
        for family in FAMILIES {
            match GtidSet::parse(family, &text) {
                Ok(set) => {
                    let again = GtidSet::parse(family, &set.to_string());
                    prop_assert_eq!(again, Ok(set));
                }
                Err(error) => prop_assert!(error.at() <= text.len()),
            }
        }
    }

    #[test]
    fn damaged_text_does_not_panic(items in mysql_items(), at: prop::sample::Index, byte: char) {
        let mut text: Vec<char> = mysql_text(&items, 2).chars().collect();
        if !text.is_empty() {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let text: String = text.into_iter().collect();
        for family in FAMILIES {
            drop(GtidSet::parse(family, &text));
        }
    }
}
