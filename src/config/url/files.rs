//! URLs of folders and files.

use std::path::PathBuf;

use super::UrlError;
use super::split::decode;

/// Kombu's filesystem transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `data_folder_out`: where messages are written.
    pub data_out: PathBuf,
    /// `data_folder_in`: where Kombu would read.
    pub data_in: PathBuf,
    /// `control_folder`: bindings of exchanges.
    pub control: PathBuf,
}

/// `filesystem://` with its folders in `broker_transport_options`, or `filesystem://FOLDER` for
/// one folder that holds everything. Relative folders count from the working directory.
pub(super) fn folders(url: &str, options: &[Option<PathBuf>; 3]) -> Result<Folders, UrlError> {
    let path = local_path(url)?;
    let [data_in, data_out, control] = options.clone();
    let base = PathBuf::from(&path);
    let or_in_base = |given: Option<PathBuf>, inside: &str, kombu: &str| {
        given.unwrap_or_else(|| match (path.as_str(), inside) {
            ("", _) => PathBuf::from(kombu),
            (_, "") => base.clone(),
            _ => base.join(inside),
        })
    };
    Ok(Folders {
        data_out: or_in_base(data_out, "", "data_out"),
        data_in: or_in_base(data_in, "", "data_in"),
        control: or_in_base(control, "control", "control"),
    })
}

/// The path of `file:///absolute` or `file://relative/path`.
pub(super) fn state_path(url: &str) -> Result<PathBuf, UrlError> {
    let path = local_path(url)?;
    if path.is_empty() || path.ends_with('/') {
        return Err(UrlError::new("names no file").help("file:///var/lib/beat/state"));
    }
    Ok(PathBuf::from(path))
}

/// What follows `://`, decoded; `localhost/` in front of an absolute path is left out.
fn local_path(url: &str) -> Result<String, UrlError> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    if rest.contains('?') || rest.contains('#') {
        return Err(UrlError::new("takes a path and nothing else"));
    }
    if rest.contains('@') {
        return Err(UrlError::new("takes no user and no password"));
    }
    let rest = rest
        .strip_prefix("localhost")
        .filter(|r| r.is_empty() || r.starts_with('/'))
        .unwrap_or(rest);
    let path = decode(rest)?;
    if path.chars().any(char::is_control) {
        return Err(UrlError::new("contains a control character"));
    }
    // Kombu's users write `filesystem://localhost//` and the like for "no path".
    Ok(if path.trim_matches('/').is_empty() {
        String::new()
    } else {
        path
    })
}
