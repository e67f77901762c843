//! Where the engine is.

use std::net::{IpAddr, ToSocketAddrs};

use bollard::errors::Error as ClientError;

use super::EngineError;

/// Where an engine usually listens.
const USUAL_HOST: &str = "unix:///var/run/docker.sock";
/// Seconds until the client gives up on an answer's first byte; callers have shorter limits.
const CLIENT_TIMEOUT_S: u64 = 120;

/// The address to use: the one given, else `DOCKER_HOST`, else the usual socket.
///
/// # Errors
///
/// [`EngineError::Host`] for other schemes; [`EngineError::Insecure`] for plain TCP to another
/// machine, unless `insecure` allows it.
pub(crate) fn resolve(given: Option<&str>, insecure: bool) -> Result<String, EngineError> {
    let from_environment = std::env::var("DOCKER_HOST").ok();
    let host = given.or(from_environment.as_deref()).filter(|host| !host.is_empty());
    let host = host.unwrap_or(USUAL_HOST).to_owned();
    if host.starts_with("unix://") {
        return Ok(host);
    }
    let Some(address) = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")) else {
        return Err(EngineError::Host { host });
    };
    let name = address.trim_end_matches('/').rsplit_once(':').map_or(address, |(name, _)| name);
    let loopback = |ip: &IpAddr| ip.is_loopback();
    let local = name.trim_matches(['[', ']']).parse::<IpAddr>().map_or_else(
        |_| {
            (name, 0)
                .to_socket_addrs()
                .is_ok_and(|mut addresses| addresses.all(|found| loopback(&found.ip())))
        },
        |ip| loopback(&ip),
    );
    if local || insecure { Ok(host) } else { Err(EngineError::Insecure { host }) }
}

pub(super) fn client(host: &str) -> Result<Result<bollard::Docker, ClientError>, EngineError> {
    let version = bollard::API_DEFAULT_VERSION;
    if host.starts_with("unix://") {
        Ok(bollard::Docker::connect_with_unix(host, CLIENT_TIMEOUT_S, version))
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        Ok(bollard::Docker::connect_with_http(host, CLIENT_TIMEOUT_S, version))
    } else {
        Err(EngineError::Host { host: host.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_tcp_to_other_machines_needs_a_word() {
        assert!(resolve(Some("unix:///run/x.sock"), false).is_ok());
        assert!(resolve(Some("tcp://127.0.0.1:2375"), false).is_ok());
        assert!(resolve(Some("tcp://[::1]:2375"), false).is_ok());
        let refused = resolve(Some("tcp://192.0.2.7:2375"), false);
        assert!(matches!(refused, Err(EngineError::Insecure { .. })));
        assert!(resolve(Some("tcp://192.0.2.7:2375"), true).is_ok());
        assert!(matches!(resolve(Some("ssh://host"), true), Err(EngineError::Host { .. })));
    }
}
