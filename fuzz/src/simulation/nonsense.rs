//! Answers as packets, and what no server would make of them.

use super::random::Random;
use landbridge::protocol::packet::{HEADER_LEN, Header, frame};

/// The payloads of framed packets.
pub fn split(mut framed: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while let Some(header) = Header::peek(framed) {
        payloads.push(&framed[HEADER_LEN..HEADER_LEN + header.len]);
        framed = &framed[HEADER_LEN + header.len..];
    }
    payloads
}

/// Makes an answer one that no server would give.
pub fn garble(answer: &mut Vec<u8>, random: &mut Random) {
    let mut packets: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut rest = &answer[..];
    while let Some(header) = Header::peek(rest) {
        packets.push((header.seq, rest[HEADER_LEN..HEADER_LEN + header.len].to_vec()));
        rest = &rest[HEADER_LEN + header.len..];
    }
    if packets.is_empty() {
        return;
    }
    let at = random.below(packets.len() as u64) as usize;
    let other = random.below(packets.len() as u64) as usize;
    match random.below(8) {
        0 => drop(packets.remove(at)),
        1 => packets.insert(at, packets[other].clone()),
        2 => packets.swap(at, other),
        3 => packets[at].0 = random.next() as u8,
        4 => {
            let payload = &mut packets[at].1;
            let place = random.below(payload.len() as u64) as usize;
            if let Some(byte) = payload.get_mut(place) {
                *byte = random.next() as u8;
            }
        }
        5 => {
            let length = random.below(packets[at].1.len() as u64) as usize;
            packets[at].1.truncate(length);
        }
        6 => packets[at].1 = b"\xfb/etc/passwd".to_vec(),
        _ => packets[at].1 = (0..random.below(20)).map(|_| random.next() as u8).collect(),
    }
    answer.clear();
    for (seq, payload) in packets {
        frame(answer, seq, &payload);
    }
}
