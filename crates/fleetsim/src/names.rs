//! Ids and names as Docker makes them.
//!
//! Not here: which container gets which (`life`).

use crate::rng::{Draws, child};

/// The stacks and services of a fleet that is laid out per node, with no list given.
pub(crate) const STACKS: &[(&str, &[&str])] = &[
    ("shop", &["api", "web", "cart", "checkout", "search", "db", "redis"]),
    ("game", &["lobby", "match", "gateway", "world", "chat", "rank"]),
    ("ops", &["logship", "nodeexp", "proxy", "registry"]),
    ("data", &["kafka", "etl", "batch", "olap"]),
    ("auth", &["login", "token", "ldap"]),
    ("pay", &["ledger", "billing", "webhook"]),
    ("media", &["encode", "thumb", "cdn"]),
    ("ci", &["runner", "cache"]),
];

/// 64 hexadecimal digits: a container, image or network id.
pub(crate) fn hex_id(seed: u64) -> String {
    let mut draws = Draws::new(seed, 0x1D);
    let mut half = || (u128::from(draws.word()) << 64) | u128::from(draws.word());
    format!("{:032x}{:032x}", half(), half())
}

/// 25 digits in base 36: a Swarm id of a service, task or node.
pub(crate) fn swarm_id(seed: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut draws = Draws::new(seed, 0x5A);
    (0..25).map(|_| char::from(DIGITS[draws.below(36) as usize])).collect()
}

/// An engine id: twelve groups of four capitals and digits.
pub(crate) fn engine_id(seed: u64) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut draws = Draws::new(seed, 0xE1);
    let group = |draws: &mut Draws| -> String {
        (0..4).map(|_| char::from(DIGITS[draws.below(32) as usize])).collect()
    };
    (0..12).map(|_| group(&mut draws)).collect::<Vec<_>>().join(":")
}

/// A seed made of a text, for ids that depend on a name only.
pub(crate) fn text_seed(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| child(hash, u64::from(byte)))
}
