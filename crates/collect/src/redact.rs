//! Keeps secrets at home: what looks like one is replaced before it leaves the engine's answer.
//!
//! The rules are those of `[redaction]` in `schemas/labels.toml`. Environment variables are not
//! read at all.

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "redacted";

/// Parts of a key, in lower case, that make its value a secret.
const SECRET_KEYS: [&str; 8] = ["pass", "secret", "token", "key", "cred", "auth", "dsn", "conn"];
/// Keys that the engine, Compose and image builders write themselves and never put secrets in.
const PUBLIC_KEYS: [&str; 3] = ["com.docker.", "org.opencontainers.image.", "org.label-schema."];

/// Whether the value of this key is a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !PUBLIC_KEYS.iter().any(|prefix| key.starts_with(prefix))
        && SECRET_KEYS.iter().any(|part| key.contains(part))
}

/// Whether this looks like a secret whatever its key: a web token, a cloud access key, a private
/// key, an address with a password in it.
pub(crate) fn is_secret_value(value: &str) -> bool {
    if value.contains("-----BEGIN") && value.contains("PRIVATE KEY-----") {
        return true;
    }
    let access_key = value.match_indices("AKIA").any(|(at, _)| {
        let rest = value.get(at + 4..).unwrap_or("");
        let good = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        rest.bytes().take_while(|byte| good(byte)).count() >= 16
    });
    let web_token = value.match_indices("eyJ").any(|(at, _)| {
        let rest = value.get(at + 3..).unwrap_or("");
        let part = |text: &str| {
            text.len() >= 8
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        let mut parts = rest.splitn(3, '.');
        let first = parts.next().is_some_and(part);
        let second = parts.next().is_some_and(part);
        first && second && parts.next().is_some()
    });
    access_key || web_token || has_password(value)
}

/// Whether the text holds `://user:password@`.
fn has_password(value: &str) -> bool {
    value.match_indices("://").any(|(at, _)| {
        let rest = value.get(at + 3..).unwrap_or("");
        let authority = rest.split(|c: char| c == '/' || c.is_whitespace()).next().unwrap_or("");
        let Some((user, _)) = authority.rsplit_once('@') else { return false };
        user.split_once(':')
            .is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
    })
}

/// The value that may be kept of a label or an attribute.
pub(crate) fn redacted<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret_key(key) || is_secret_value(value) { REDACTED } else { value }
}

/// A command line without the values of what looks like secret options and variables.
///
/// Works word by word, so that scripts handed to a shell are covered too.
pub(crate) fn command(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::new();
    let mut next_is_secret = false;
    for argument in words {
        for word in argument.as_ref().split_whitespace() {
            if !out.is_empty() {
                out.push(' ');
            }
            let after_secret = std::mem::take(&mut next_is_secret);
            match word.split_once('=') {
                _ if after_secret && !word.starts_with('-') => out.push_str(REDACTED),
                Some((key, _)) if is_secret_key(key) => {
                    out.push_str(key);
                    out.push('=');
                    out.push_str(REDACTED);
                }
                _ if is_secret_value(word) => out.push_str(REDACTED),
                found => {
                    next_is_secret =
                        found.is_none() && word.starts_with('-') && is_secret_key(word);
                    out.push_str(word);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_the_schema() {
        let schema = include_str!("../../../schemas/labels.toml");
        let pattern = format!("key_pattern = \"(?i){}\"", SECRET_KEYS.join("|"));
        assert!(schema.contains(&pattern), "{pattern}");
        assert!(schema.contains(&format!("replacement = \"{REDACTED}\"")));
    }

    #[test]
    fn secrets_are_replaced_and_names_are_kept() {
        for (key, value) in [
            ("app.DB_PASSWORD", "x"),
            ("traefik.http.middlewares.auth.basicauth.users", "admin:$apr1$"),
            ("note", "postgres://bob:hunter2@db/x"),
            ("note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.sig"),
            ("note", "id AKIAIOSFODNN7EXAMPLE"),
            ("note", "-----BEGIN RSA PRIVATE KEY-----"),
        ] {
            assert_eq!(redacted(key, value), REDACTED, "{key}={value}");
        }
        for (key, value) in [
            ("com.docker.swarm.service.name", "auth"),
            ("org.opencontainers.image.authors", "somebody"),
            ("note", "https://example.org/a@b"),
            ("tier", "front"),
        ] {
            assert_eq!(redacted(key, value), value);
        }
    }

    #[test]
    fn command_lines_lose_their_secrets() {
        let read = |words: &[&str]| command(words.iter());
        assert_eq!(read(&["db", "--password", "x", "-v"]), "db --password redacted -v");
        assert_eq!(read(&["sh", "-c", "TOKEN=abc run"]), "sh -c TOKEN=redacted run");
        assert_eq!(read(&["curl", "http://u:p@h/"]), "curl redacted");
        assert_eq!(read(&["sleep", "10"]), "sleep 10");
    }
}
