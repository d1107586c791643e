//! What an answer showed, in a few bytes: enough to tell whether another answer showed the same.

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, Hasher, RandomState};

/// The rows of an answer. Two that are the same had the same rows, but for a chance of one in 2^64: the key of the
/// hash is made at random for each transaction, so that nobody can look for rows that collide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Changes with the name of every column: who reads rows by these has been shown something else with others.
    columns: u64,
    /// Changes with every row, wherever it stands.
    any_order: u64,
    /// Changes with every row and its place.
    in_order: u64,
}

impl Sum {
    /// Whether an answer with this sum showed the same. Where order was not asked for, it says nothing.
    pub fn agrees(&self, other: &Self, is_ordered: bool) -> bool {
        let rows = self.columns == other.columns
            && self.rows == other.rows
            && self.bytes == other.bytes
            && self.any_order == other.any_order;
        rows && (!is_ordered || self.in_order == other.in_order)
    }

    fn add(&mut self, row: u64) {
        self.rows += 1;
        self.any_order = self.any_order.wrapping_add(row);
        self.in_order = behind(self.in_order, row);
    }
}

/// One more hash, where the order of all counts.
fn behind(before: u64, hash: u64) -> u64 {
    // An odd factor: no place loses a bit.
    before.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(hash)
}

/// Sums up rows of which the bytes come in pieces.
#[derive(Debug)]
pub struct Summing {
    key: RandomState,
    row: Option<DefaultHasher>,
    sum: Sum,
}

impl Summing {
    /// Only sums with the same one can be compared.
    pub fn new(key: &RandomState) -> Self {
        Self { key: key.clone(), row: None, sum: Sum::default() }
    }

    /// A column of the rows that follow.
    pub fn column(&mut self, name: &[u8]) {
        self.sum.columns = behind(self.sum.columns, self.key.hash_one(name));
    }

    /// A row begins; the one before is over.
    pub fn begin_row(&mut self) {
        self.end_row();
        self.row = Some(self.key.build_hasher());
    }

    /// More of the row.
    pub fn add(&mut self, bytes: &[u8]) {
        if let Some(row) = &mut self.row {
            row.write(bytes);
            self.sum.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
    }

    fn end_row(&mut self) {
        if let Some(row) = self.row.take() {
            self.sum.add(row.finish());
        }
    }

    /// That of all rows.
    pub fn finish(mut self) -> Sum {
        self.end_row();
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(key: &RandomState, rows: &[&[u8]]) -> Sum {
        let mut summing = Summing::new(key);
        for row in rows {
            summing.begin_row();
            summing.add(row);
        }
        summing.finish()
    }

    #[test]
    fn what_differs_is_told_apart() {
        let key = RandomState::new();
        let ab = sum(&key, &[b"a", b"b"]);
        for (other, any_order, in_order) in [
            (vec![&b"a"[..], b"b"], true, true),
            (vec![b"b", b"a"], true, false),
            (vec![b"a"], false, false),
            (vec![b"a", b"b", b"b"], false, false),
            (vec![b"ab"], false, false),
            (vec![b"a", b"c"], false, false),
            (vec![b"", b"ab"], false, false),
            (vec![], false, false),
        ] {
            let other_sum = sum(&key, &other);
            assert_eq!(ab.agrees(&other_sum, false), any_order, "{other:?}");
            assert_eq!(ab.agrees(&other_sum, true), in_order, "{other:?}");
        }
        // Names count even where there are no rows, and so does their order.
        let named = |names: &[&[u8]]| {
            let mut summing = Summing::new(&key);
            for name in names {
                summing.column(name);
            }
            summing.finish()
        };
        for (other, agrees) in [(&[&b"a"[..], b"b"][..], true), (&[b"b", b"a"], false), (&[b"a"], false), (&[], false)]
        {
            assert_eq!(named(&[b"a", b"b"]).agrees(&named(other), false), agrees, "{other:?}");
        }
        // A row twice is not the same as another one twice.
        let (twice_a, twice_b) = (sum(&key, &[b"a", b"a"]), sum(&key, &[b"b", b"b"]));
        assert!(!twice_a.agrees(&twice_b, false));
        assert!(sum(&key, &[b"a", b"a", b"b"]) != sum(&key, &[b"a", b"b", b"b"]));
    }

    proptest! {
        /// However a server's packets are cut into pieces.
        #[test]
        fn pieces_do_not_matter(rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6), piece in 1_usize..20) {
            let key = RandomState::new();
            let whole: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            let mut summing = Summing::new(&key);
            for row in &rows {
                summing.begin_row();
                for piece in row.chunks(piece) {
                    summing.add(piece);
                }
            }
            prop_assert_eq!(summing.finish(), sum(&key, &whole));
        }
    }
}
