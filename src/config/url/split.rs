//! The parts of a URL, decoded.

use percent_encoding::percent_decode_str;

use super::UrlError;

/// A URL in parts; user, password, hosts, path and query values are percent-decoded, apart from
/// the path, whose meaning differs by scheme.
#[derive(Default)]
pub(super) struct Parts {
    pub scheme: String,
    pub username: Option<String>,
    pub password: Option<String>,
    /// Hosts, without brackets, with their ports.
    pub hosts: Vec<(String, Option<u16>)>,
    /// What follows the authority, without its first `/`; still encoded.
    pub path: Option<String>,
    pub query: Vec<(String, String)>,
}

const ENCODE: &str = "percent-encode special characters in user and password: / is %2F, @ is %40, : is %3A, # is %23, ? is %3F, % is %25";

impl Parts {
    pub(super) fn parse(url: &str) -> Result<Self, UrlError> {
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlError::new("contains a blank or a control character").help(ENCODE));
        }
        let scheme = super::scheme_of(url)?;
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        if rest.contains('#') {
            return Err(UrlError::new("contains a `#`").help(ENCODE));
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, parse_query(query)?),
            None => (rest, Vec::new()),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path.to_owned())),
            None => (rest, None),
        };
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let mut parts = Self {
            scheme,
            path,
            query,
            ..Self::default()
        };
        if let Some(credentials) = credentials {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            if password.is_some_and(|p| p.contains(['@', ':'])) || user.contains('@') {
                return Err(
                    UrlError::new("has more than one `@` or `:` before the host").help(ENCODE),
                );
            }
            parts.username = Some(decode(user)?).filter(|u| !u.is_empty());
            parts.password = password.map(decode).transpose()?.filter(|p| !p.is_empty());
        }
        if !hosts.is_empty() {
            for host in hosts.split(',') {
                parts.hosts.push(parse_host(host)?);
            }
        }
        Ok(parts)
    }

    /// The host of a URL that takes one, with the port it gives or `port`.
    pub(super) fn one_host(&self, port: u16) -> Result<(String, u16), UrlError> {
        match self.hosts.as_slice() {
            [] => Ok(("localhost".to_owned(), port)),
            [(host, given)] => Ok((host.clone(), given.unwrap_or(port))),
            _ => Err(UrlError::new("takes one host").help("separate whole URLs by `;`")),
        }
    }

    /// The decoded path; empty where there is none.
    pub(super) fn decoded_path(&self) -> Result<String, UrlError> {
        self.path.as_deref().map_or(Ok(String::new()), decode)
    }
}

pub(super) fn decode(text: &str) -> Result<String, UrlError> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let hex = bytes.get(at + 1..at + 3);
        if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
            return Err(
                UrlError::new("has a `%` without two hexadecimal digits after it").help(ENCODE),
            );
        }
    }
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| UrlError::new("is not UTF-8 when percent-decoded"))
}

fn parse_host(text: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| UrlError::new("has a `[` without its `]` in the host"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(UrlError::new("has brackets around what is no IPv6 address"));
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(UrlError::new("has something between host and port")),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let named = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if !host.chars().all(named) || host.len() > 255 {
        return Err(UrlError::new("has a host name that cannot be one").help(ENCODE));
    }
    let host = if host.is_empty() { "localhost" } else { host };
    let port = match port {
        None | Some("") => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(0) => return Err(UrlError::new("has port 0; ports are 1 to 65535")),
            Ok(port) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(port),
            _ => {
                return Err(
                    UrlError::new("has a port that is no number from 1 to 65535").help(ENCODE),
                );
            }
        },
    };
    Ok((host.to_owned(), port))
}

fn parse_query(query: &str) -> Result<Vec<(String, String)>, UrlError> {
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode(key)?;
        if found.iter().any(|(k, _)| *k == key) {
            return Err(UrlError::new("gives a query parameter twice"));
        }
        found.push((key, decode(value)?));
    }
    Ok(found)
}

/// Names `key` of the query as unknown, if it can be shown at all.
pub(super) fn unknown_parameter(key: &str, known: &[&str]) -> UrlError {
    match crate::config::walk::nearest(key, known) {
        // The user's own spelling is not shown: it may be a piece of a password.
        Some(best) => UrlError::new(format!(
            "has an unknown query parameter; did you mean `{best}`?"
        )),
        None => UrlError::new(format!(
            "has an unknown query parameter; known: {}",
            known.join(", ")
        )),
    }
}
