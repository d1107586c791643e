//! The keywords this module acts on, found by one hash probe.

macro_rules! words {
    ($($name:ident)*) => {
        /// A keyword; any other name is `Other`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "variants are spelled like the keyword")]
        pub(super) enum Word { Other, SqlCalcFoundRows, $($name,)* }
        const WORDS: &[(&str, Word)] = &[$((stringify!($name), Word::$name),)*];
    };
}

words! {
    All Alter Analyze And Any As Autocommit Backup Begin Between Binary Binlog By Cache Call Case
    Chain Change Character Charset Char Check Checksum Clone Close Collate Columns Commit Committed
    Connection Consistent Count Create Database Deallocate Decimal Default Definer Delete Desc
    Describe Diagnostics Distinct Distinctrow Div Do Drop Dumpfile Else End Event Except Execute
    Exists Explain Export Extended Fields Flush For Format From Full Function Get Global Grant Group
    Handler Having Help If Ignore Immediate Import In Index Infile Insert Install Instance Intersect
    Interval Into Is Isolation Join Key Kill Lateral Left Level Like Limit Load Local Lock Logs Max
    Min Mod Month Names Next No Not Now Off Offset On Only Open Optimize Or Order Optimizer_trace Outfile Over
    Package Partition Partitions Password Persist Persist_only Prepare Previous Procedure Processlist Purge Read
    Recursive Regexp Release Rename Repair Repeatable Replace Reset Resignal Resource Restart
    Returning Revoke Right Rlike Role Rollback Row Savepoint Schema Select Serializable Server
    Session Set Share Show Shutdown Signal Slave Snapshot Some Sql Stage Start Statement Status Stop Sum
    System_time Table Tables Temporary Then To Transaction Trigger Truncate Uncommitted Uninstall
    Union Unlock Update Use Using Value Values Variables View Warnings When Where With Work Write Xa
    Xor
}

/// Words longer than the hash key.
const LONG: &[(&str, Word)] = &[("SQL_CALC_FOUND_ROWS", Word::SqlCalcFoundRows)];

const SLOTS: usize = 1024;

static TABLE: [(u128, Word); SLOTS] = {
    let mut table = [(0, Word::Other); SLOTS];
    let mut i = 0;
    while i < WORDS.len() {
        let key = const_key(WORDS[i].0.as_bytes());
        let mut slot = hash(key);
        while table[slot].0 != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = (key, WORDS[i].1);
        i += 1;
    }
    table
};

/// Per first letter, the lengths that keywords have: most names need no probe.
static LENGTHS: [u32; 32] = {
    let mut lengths = [0; 32];
    let mut i = 0;
    while i < WORDS.len() {
        let text = WORDS[i].0.as_bytes();
        lengths[(text[0] & 31) as usize] |= 1 << text.len();
        i += 1;
    }
    lengths
};

impl Word {
    /// The keyword spelled by an unquoted name, in any case.
    pub(super) fn find(name: &[u8]) -> Self {
        Self::find_prefix(name, name.len())
    }

    /// As [`Word::find`], for the first `len` bytes of `text`; what follows makes it faster.
    #[inline]
    pub(super) fn find_prefix(text: &[u8], len: usize) -> Self {
        if !matches!(len, 2..=16) {
            return text.get(..len).map_or(Self::Other, long);
        }
        let first = text.first().map_or(0, |byte| usize::from(byte & 31));
        if LENGTHS[first] >> len & 1 == 0 {
            return Self::Other;
        }
        probe(key(text, len))
    }
}

fn probe(key: u128) -> Word {
    let mut slot = hash(key);
    loop {
        match TABLE.get(slot) {
            Some((found, word)) if *found == key => return *word,
            Some((0, _)) | None => return Word::Other,
            Some(_) => slot = (slot + 1) % SLOTS,
        }
    }
}

#[cold]
fn long(name: &[u8]) -> Word {
    LONG.iter().find(|(text, _)| text.as_bytes().eq_ignore_ascii_case(name)).map_or(Word::Other, |(_, word)| *word)
}

const FOLD: u128 = u128::from_le_bytes([0x20; 16]);

/// Up to 16 bytes as one number, ASCII letters folded. Folding with 0x20 maps other bytes
/// together, too (`_` and 0x7F): harmless, as it can only take a name for a keyword.
fn key(text: &[u8], len: usize) -> u128 {
    let raw = if let Some(chunk) = text.first_chunk::<16>() {
        u128::from_le_bytes(*chunk)
    } else if let (true, Some(chunk)) = (len <= 8, text.first_chunk::<8>()) {
        u128::from(u64::from_le_bytes(*chunk))
    } else {
        text.iter().take(len).rev().fold(0, |raw, byte| raw << 8 | u128::from(*byte))
    };
    (raw | FOLD) & (u128::MAX >> (8 * (16 - len)))
}

const fn const_key(name: &[u8]) -> u128 {
    let mut key: u128 = 0;
    let mut i = 0;
    while i < name.len() {
        key |= ((name[i] | 0x20) as u128) << (8 * i);
        i += 1;
    }
    key
}

#[allow(clippy::cast_possible_truncation, reason = "folding a hash")]
const fn hash(key: u128) -> usize {
    let mixed = (key as u64) ^ ((key >> 64) as u64).rotate_left(29);
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case() {
        for (text, word) in WORDS.iter().chain(LONG) {
            assert_eq!(Word::find(text.as_bytes()), *word);
            assert_eq!(Word::find(text.to_ascii_lowercase().as_bytes()), *word);
        }
        for name in ["", "a", "selects", "selec", "updat", "sql_calc_found_row", "x".repeat(40).as_str()] {
            assert_eq!(Word::find(name.as_bytes()), Word::Other, "{name}");
        }
    }
}
