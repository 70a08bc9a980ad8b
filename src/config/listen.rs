//! `http_listen`, also for those who only want to reach it.

use std::net::SocketAddr;

use super::env::Env;
use super::source::Sources;

/// What the setting takes.
pub(super) const HELP: &str = "an address and a port, such as \"127.0.0.1:9400\"";

/// An address and port; the empty string is off.
pub(super) fn address(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    if text.is_empty() || text == "off" {
        return Ok(None);
    }
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    match local.as_deref().unwrap_or(text).parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("http_listen has port 0; ports are 1 to 65535"),
        Ok(address) => Ok(Some(address)),
        Err(_) => Err("http_listen is no address with a port"),
    }
}

/// Where an instance with these files and this environment listens, if it does.
///
/// Only this one line is read: a probe must neither cost what a large schedule costs, nor fail
/// because of an entry that the running instance has refused to take over.
///
/// # Errors
/// What keeps the setting from being read.
pub fn http_listen(sources: &Sources, env: &Env) -> Result<Option<SocketAddr>, String> {
    if let Some(text) = env.get("BEAT_HTTP_LISTEN") {
        return Ok(address(text)?);
    }
    for file in sources.files() {
        let lines = file.text.lines().map(str::trim_start);
        let mut settings = lines.take_while(|line| !line.starts_with("[beat_schedule"));
        let Some(line) = settings.find(|line| line.starts_with("http_listen")) else {
            continue;
        };
        let setting: toml::Table = line.parse().map_err(|error: toml::de::Error| {
            format!("{}: {}", file.path.display(), error.message())
        })?;
        if let Some(text) = setting.get("http_listen").and_then(toml::Value::as_str) {
            return Ok(address(&env.fill(text)?)?);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_reads_the_settings_and_nothing_else() {
        let listen = |text: &str, env: &[(&str, &str)]| {
            let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let sources = Sources::from_text("beat.toml", text);
            http_listen(&sources, &env.collect())
        };
        let at = |text: &str| Ok(Some(text.parse().unwrap()));
        let file = "task_routes = [\n  [broken\nhttp_listen = '127.0.0.1:${PORT:-9400}'\n[beat_schedule.x\nbroken";
        assert_eq!(listen(file, &[]), at("127.0.0.1:9400"));
        assert_eq!(listen(file, &[("PORT", "1")]), at("127.0.0.1:1"));
        let env = [("BEAT_HTTP_LISTEN", "[::1]:7")];
        assert_eq!(listen(file, &env), at("[::1]:7"));
        assert_eq!(
            listen("[beat_schedule.x.kwargs]\nhttp_listen = 'a'", &[]),
            Ok(None)
        );
        assert_eq!(listen("http_listen = ''", &[]), Ok(None));
        assert!(listen("http_listen = 'x'", &[]).is_err());
        assert!(
            listen("http_listen = ", &[])
                .unwrap_err()
                .contains("beat.toml")
        );
    }
}
