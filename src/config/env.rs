//! What a schedule takes from its surroundings: `${VAR}` in connection settings, secret files, and
//! the variables that override settings.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::secret::Secret;
use super::source::{Unreadable, open_regular};

/// Largest secret file, in bytes.
const MAX_SECRET: u64 = 4 << 10;

/// The environment variables. A map of its own, so that a test or an embedder can choose them.
#[derive(Debug, Clone, Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// Those of this process; what is not UTF-8 counts as absent.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// `text` with `${VAR}` and `${VAR:-default}` filled in. A `$` without a brace is itself.
    ///
    /// # Errors
    /// The words for the user: the variable's name, never a value.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let (inside, after) = after
                .split_once('}')
                .ok_or("`${` without its closing `}`")?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty()
                || !name.chars().all(word)
                || name.starts_with(|c: char| c.is_ascii_digit())
            {
                return Err("`${…}` takes the name of a variable: letters, digits and _".to_owned());
            }
            match self.get(name).or(default) {
                Some(value) => out.push_str(value),
                None => return Err(format!("the environment variable {name} is not set")),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Where a `*_file` setting points: a relative path is looked for in `$CREDENTIALS_DIRECTORY`
    /// (systemd) first.
    pub(super) fn credential_path(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        if path.is_relative()
            && let Some(directory) = self.get("CREDENTIALS_DIRECTORY")
        {
            let there = Path::new(directory).join(path);
            if there.exists() {
                return there;
            }
        }
        path.to_owned()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(vars: I) -> Self {
        Self(
            vars.into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        )
    }
}

/// A file that holds a secret; read anew at each connect, so that a rotated one is picked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile(pub PathBuf);

impl SecretFile {
    /// Its content without the white space around it.
    ///
    /// # Errors
    /// Why it cannot be read; never its content.
    pub fn read(&self) -> Result<Secret, String> {
        let attempt = || -> Result<String, Unreadable> {
            let (mut file, _) = open_regular(&self.0, MAX_SECRET)?;
            let mut bytes = Vec::new();
            (&mut file).take(MAX_SECRET + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MAX_SECRET {
                return Err(Unreadable::TooLarge { limit: MAX_SECRET });
            }
            String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8 { line: 1 })
        };
        match attempt() {
            Ok(text) if text.trim().is_empty() => Err(format!("{} is empty", self.0.display())),
            Ok(text) => Ok(Secret::new(text.trim())),
            Err(error) => Err(format!("{} {error}", self.0.display())),
        }
    }
}
