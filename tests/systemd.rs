//! Under systemd: the unit, and what the daemon tells its manager.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::process::Command;

use support::beat::binary;
use support::repository;

/// The unit in a folder of its own, with the binary under test in place of the installed one.
fn unit(dropin: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(repository("systemd/beat.service")).unwrap();
    let unit = unit.replace("/usr/bin/beat", binary().to_str().unwrap());
    std::fs::write(folder.path().join("beat.service"), unit).unwrap();
    if let Some(name) = dropin {
        let dropins = folder.path().join("beat.service.d");
        std::fs::create_dir(&dropins).unwrap();
        let text = std::fs::read_to_string(repository("systemd").join(name)).unwrap();
        let text = text.replace("/usr/bin/beat", binary().to_str().unwrap());
        std::fs::write(dropins.join(name), text).unwrap();
    }
    folder
}

fn analyze(args: &[&str], folder: &tempfile::TempDir) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(folder.path().join("beat.service"))
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn the_unit_is_valid_and_hardened() {
    let folder = unit(None);
    let (valid, complaints) = analyze(&["verify", "--man=no"], &folder);
    assert!(valid && complaints.is_empty(), "{complaints}");
    let (hardened, table) = analyze(
        &["security", "--offline=true", "--threshold=15", "--no-pager"],
        &folder,
    );
    assert!(hardened, "{table}");
}

/// Version of systemd on this machine.
fn version() -> u32 {
    let output = Command::new("systemd-analyze").arg("--version").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_drop_in_is_valid_where_it_is_for() {
    let (valid, complaints) = analyze(&["verify", "--man=no"], &unit(Some("notify-reload.conf")));
    if version() >= 253 {
        assert!(valid && complaints.is_empty(), "{complaints}");
    } else {
        // The reason why it is no more than a drop-in.
        assert!(
            complaints.contains("Failed to parse service type"),
            "{complaints}"
        );
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
    }
}
