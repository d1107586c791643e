//! GTID sets as few bytes: a form of our own, for tokens that travel. Numbers are in LEB128, seven bits a
//! byte, the lowest first; what ascends is written as differences.

use super::domain_set::Position;
use super::interval_set::{Interval, MAX_NUMBER};
use super::uuid_set::{Listed, SourceId, TAG_MAX_LEN};
use super::{DomainSet, Family, GtidSet, UuidSet};

impl GtidSet {
    /// The set in the short form, which does not say of which family it is.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::MySql(set) => set.write(&mut out),
            Self::MariaDb(set) => set.write(&mut out),
        }
        out
    }

    /// Reads the short form; `None` if these bytes are none.
    #[must_use]
    pub fn from_bytes(family: Family, bytes: &[u8]) -> Option<Self> {
        match family {
            Family::MySql => UuidSet::read(bytes).map(Self::MySql),
            Family::MariaDb => DomainSet::read(bytes).map(Self::MariaDb),
        }
    }
}

impl DomainSet {
    fn write(&self, out: &mut Vec<u8>) {
        for position in self.positions() {
            put(out, position.domain.into());
            put(out, position.server.into());
            put(out, position.sequence);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut positions = Vec::new();
        while !rest.is_empty() {
            let domain = u32::try_from(take(&mut rest)?).ok()?;
            let server = u32::try_from(take(&mut rest)?).ok()?;
            positions.push(Position { domain, server, sequence: take(&mut rest)? });
        }
        Some(Self::new(positions))
    }
}

impl UuidSet {
    fn write(&self, out: &mut Vec<u8>) {
        for (id, numbers) in self.sources() {
            out.extend_from_slice(&id.uuid.to_be_bytes());
            let tag = id.tag.as_deref().unwrap_or_default().as_bytes();
            put(out, tag.len() as u64);
            out.extend_from_slice(tag);
            put(out, numbers.iter().count() as u64);
            let mut last = 0;
            for interval in numbers.iter() {
                put(out, interval.first - last);
                put(out, interval.last - interval.first);
                last = interval.last;
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut listed = Vec::new();
        while !rest.is_empty() {
            let (uuid, behind) = rest.split_first_chunk::<16>()?;
            rest = behind;
            let length = usize::try_from(take(&mut rest)?).ok().filter(|length| *length <= TAG_MAX_LEN)?;
            let (tag, behind) = rest.split_at_checked(length)?;
            rest = behind;
            let tag = Some(tag_of(tag)?).filter(|tag| !tag.is_empty());
            let mut intervals = Vec::new();
            let mut last = 0_u64;
            for _ in 0..take(&mut rest)? {
                let first = last.checked_add(take(&mut rest)?)?;
                last = first.checked_add(take(&mut rest)?)?;
                if first == 0 || last > MAX_NUMBER {
                    return None;
                }
                intervals.push(Interval { first, last });
            }
            listed.push(Listed { id: SourceId { uuid: u128::from_be_bytes(*uuid), tag }, intervals });
        }
        Some(Self::from_listed(listed))
    }
}

/// A tag as servers write it.
fn tag_of(bytes: &[u8]) -> Option<Box<str>> {
    let is_tag = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let starts_well = !bytes.first().is_some_and(u8::is_ascii_digit);
    (starts_well && bytes.iter().all(is_tag)).then(|| String::from_utf8_lossy(bytes).into())
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << shift;
        if shifted >> shift != bits {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>()) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn sets_come_back(numbers in prop::collection::vec((1..100_000_u64, 0..1_000_u64), 1..20), tagged in any::<bool>()) {
            let tag = if tagged { "a_1:" } else { "" };
            let listed: Vec<String> = numbers.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
            let text = format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{tag}{}", listed.join(":"));
            let set = GtidSet::parse(Family::MySql, &text).expect("well formed");
            prop_assert_eq!(GtidSet::from_bytes(Family::MySql, &set.to_bytes()), Some(set));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for family in [Family::MySql, Family::MariaDb] {
                if let Some(set) = GtidSet::from_bytes(family, &bytes) {
                    prop_assert_eq!(GtidSet::from_bytes(family, &set.to_bytes()), Some(set.clone()));
                    prop_assert_eq!(GtidSet::parse(family, &set.to_string()), Ok(set));
                }
            }
        }
    }
}
