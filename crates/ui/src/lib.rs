//! The files of the web page, as they stand in the binary.
//!
//! `build.rs` makes them: out of `web/` with npm where Node is installed, otherwise one page that
//! says how to get there. Nothing is read from disk while the program runs.
//!
//! Keeps true: an [`Asset`]'s tag changes when its bytes do; files with a hash in their name may
//! be cached for ever, all others must be asked for again.
//! Not here: HTTP (`serve`), what the page does (`web/src`).

/// One file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// What it holds.
    pub bytes: &'static [u8],
    /// The same, gzipped; none where that would not be smaller.
    pub gzip: Option<&'static [u8]>,
    /// Value of the `Content-Type` header.
    pub content_type: &'static str,
    /// Value of the `ETag` header, with its quotes.
    pub etag: &'static str,
    /// Whether its name changes with its bytes, so that it may be cached for ever.
    pub is_immutable: bool,
}

/// Paths that show the page: which of its parts is shown is up to its script, from the address.
///
/// The same list as `PAGES` in `web/src/url.ts`; a test compares them.
pub const PAGES: &[&str] = &["/", "/service", "/node", "/container", "/explore", "/status"];

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at a path of a URL; [`PAGES`] are all `index.html`.
///
/// `path`: with or without its leading `/`, without query, not percent-encoded: names of files
/// hold only letters, digits, `.`, `-`, `_` and `/`. A path nobody has is none.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let is_page = PAGES.iter().any(|page| page.trim_start_matches('/') == name);
    let name = if is_page { "index.html" } else { name };
    let place = ASSETS.binary_search_by_key(&name, |(known, _)| *known).ok()?;
    ASSETS.get(place).map(|(_, asset)| *asset)
}

/// Whether the page was built; otherwise it is the one that says how to build it.
#[must_use]
pub const fn is_built() -> bool {
    IS_BUILT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_the_index() {
        let index = asset("index.html");
        assert!(index.is_some_and(|index| index.content_type == "text/html; charset=utf-8"));
        assert!(PAGES.iter().all(|page| asset(page) == index));
        assert_eq!(asset("/no-such"), None);
        assert_eq!(asset("/../Cargo.toml"), None);
    }

    #[test]
    fn pages_are_those_of_the_script() {
        let script = include_str!("../web/src/url.ts");
        let list = script.lines().find_map(|line| line.strip_prefix("export const PAGES = ["));
        let list = list.and_then(|list| list.split(']').next());
        let pages: Vec<String> = list
            .unwrap_or_default()
            .split(", ")
            .map(|name| format!("/{}", name.trim_matches('"')))
            .collect();
        assert_eq!(pages, PAGES);
    }

    #[test]
    fn the_list_is_sorted_and_small() {
        assert!(ASSETS.is_sorted_by_key(|(name, _)| *name));
        let transferred: usize =
            ASSETS.iter().map(|(_, asset)| asset.gzip.unwrap_or(asset.bytes).len()).sum();
        assert!(transferred < 250 * 1024, "{transferred} bytes go over the wire");
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_outside() {
        let page = asset("/").map(|index| String::from_utf8_lossy(index.bytes).into_owned());
        let page = page.unwrap_or_default();
        assert!(!page.contains("<style") && !page.contains(" style="), "{page}");
        assert!(!page.contains("://"), "{page}");
        assert!(page.split("<script").skip(1).all(|script| script.contains(" src=")), "{page}");
    }
}
