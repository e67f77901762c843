//! Finds the folder of a container in one cgroup tree.
//!
//! First the places the usual drivers use, then a look through the whole tree, once per round.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How deep a tree is looked through.
const DEPTH_MAX: usize = 8;
/// Folders of one tree that are looked at in one round.
const FOLDERS_MAX: usize = 20_000;
/// Digits of a container id.
const ID_DIGITS: usize = 64;

/// What was found in each tree so far in this round: mount to (id to folder).
#[derive(Debug, Default)]
pub(crate) struct Scan {
    trees: HashMap<PathBuf, HashMap<String, PathBuf>>,
}

/// The folder of container `id` below `mount`.
pub(crate) fn find(mount: &Path, id: &str, parent: &str, scan: &mut Scan) -> Option<PathBuf> {
    if id.len() != ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let parent = parent.trim_matches('/');
    let scope = format!("docker-{id}.scope");
    let mut places = vec![mount.join("docker").join(id), mount.join("system.slice").join(&scope)];
    if !parent.is_empty() {
        places.insert(0, mount.join(parent).join(&scope));
        places.insert(0, mount.join(parent).join(id));
    }
    if let Some(place) = places.into_iter().find(|place| place.is_dir()) {
        return Some(place);
    }
    if !scan.trees.contains_key(mount) {
        let mut tree = HashMap::new();
        let mut left = FOLDERS_MAX;
        look_through(mount, DEPTH_MAX, &mut left, &mut tree);
        scan.trees.insert(mount.to_owned(), tree);
    }
    scan.trees.get(mount)?.get(id).cloned()
}

fn look_through(
    folder: &Path,
    depth: usize,
    left: &mut usize,
    found: &mut HashMap<String, PathBuf>,
) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        *left -= 1;
        let name = entry.file_name();
        if let Some(id) = name.to_str().and_then(id_in) {
            found.entry(id.to_owned()).or_insert_with(|| entry.path());
        } else if depth > 0 {
            look_through(&entry.path(), depth - 1, left, found);
        }
    }
}

/// The container id in the last component of a cgroup's path: the component itself, or what
/// stands between a driver's prefix and `.scope`.
fn id_in(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let id = name.rsplit('-').next()?;
    (id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_all_drivers_names() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(id_in(&id), Some(id.as_str()));
        assert_eq!(id_in(&format!("docker-{id}.scope")), Some(id.as_str()));
        assert_eq!(id_in(&format!("libpod-{id}.scope")), Some(id.as_str()));
        assert_eq!(id_in("system.slice"), None);
        assert_eq!(id_in(&id[1..]), None);
    }
}
