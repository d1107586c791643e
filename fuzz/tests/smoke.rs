//! Every target on mutated seeds, the same ones each time: no nightly toolchain, no coverage.
//!
//! `FUZZ_ROUNDS=n` goes n times as far.

use landbridge_fuzz::TARGETS;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Inputs longer than this are cut.
const LONGEST: usize = 8 * 1024;

const INTERESTING: [u64; 16] = [
    0,
    1,
    0x7F,
    0x80,
    0xFA,
    0xFB,
    0xFC,
    0xFD,
    0xFE,
    0xFF,
    0x7FFF,
    0xFFFF,
    0xFF_FFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    u64::MAX,
];

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `n`, or 0.
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }

    /// A short range within `len`.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let from = self.below(len + 1);
        let most = if self.below(4) == 0 { len } else { 16 };
        from..(from + self.below(most + 1)).min(len)
    }
}

/// Changes an input in one way.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => input.truncate(at),
        3 => drop(input.drain(random.range(input.len()))),
        4 => {
            let piece = input[random.range(input.len())].to_vec();
            input.splice(at..at, piece);
        }
        5 => {
            let seed = &seeds[random.below(seeds.len())];
            let piece = seed[random.range(seed.len())].to_vec();
            input.splice(at..at, piece);
        }
        6 => {
            let seed = &seeds[random.below(seeds.len())];
            input.truncate(at);
            input.extend_from_slice(&seed[random.below(seed.len() + 1)..]);
        }
        7 => {
            let (number, width) = (INTERESTING[random.below(INTERESTING.len())], [1, 2, 3, 4, 8][random.below(5)]);
            let mut bytes = number.to_le_bytes();
            if random.below(2) == 0 {
                bytes[..width].reverse();
            }
            let end = (at + width).min(input.len());
            input.splice(at..end, bytes[..width].iter().copied());
        }
        _ => {
            let (a, b) = (random.below(input.len()), at);
            if !input.is_empty() {
                input.swap(a, b);
            }
        }
    }
    input.truncate(LONGEST);
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a file")).collect()
}

fn smoke(name: &str, inputs: usize) {
    let &(_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let run = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{name}: input of {} bytes: b\"{}\"", input.len(), input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    };
    let seeds = seeds(name);
    run(b"");
    for seed in &seeds {
        run(seed);
        (0..seed.len().min(512)).for_each(|len| run(&seed[..len]));
    }
    let rounds: usize = std::env::var("FUZZ_ROUNDS").map_or(1, |n| n.parse().expect("FUZZ_ROUNDS is a number"));
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..inputs * rounds {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut input, &seeds, &mut random);
        }
        run(&input);
    }
}

macro_rules! targets {
    ($($name:ident: $inputs:literal,)*) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name), $inputs);
        })*

        #[test]
        fn every_target_is_smoked() {
            let names = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|(name, _)| *name).eq(names));
        }
    };
}

targets! {
    framing: 20_000,
    greeting: 200_000,
    login: 200_000,
    auth_switch: 200_000,
    change_user: 200_000,
    response: 200_000,
    exchange: 200_000,
    translate: 100_000,
    rows: 100_000,
    sql: 20_000,
    state: 50_000,
    gtid: 100_000,
    execute: 100_000,
    config: 5_000,
    compression: 20_000,
    token: 100_000,
    executed: 50_000,
}
