//! Schedule files that are broken, gone, huge, slow, or swapped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::last;
use crate::rig::{Rig, schedule};
use crate::row::{Fault, Row};
use crate::support::wait::now;

pub fn rows() -> Vec<Row> {
    let redis = Row::redis;
    vec![
        redis("F01", "file_truncated", 1, 1.5).ci().fault("the file becomes its first half for 5 s", |rig| {
            let whole = schedule();
            // Within a string, so that no shorter schedule is seen in it.
            let half = whole[..whole.len() / 2].rfind(" = '").expect("a string") + 5;
            broken(rig, |file| std::fs::write(file, &whole[..half]).expect("written"))
        }),
        redis("F02", "file_invalid", 1, 1.5).fault("the file becomes invalid TOML for 5 s", |rig| {
            broken(rig, |file| std::fs::write(file, format!("{}\n]]\n", schedule())).expect("written"))
        }),
        redis("F03", "file_empty", 1, 1.5).fault("the file becomes empty for 5 s", |rig| {
            broken(rig, |file| std::fs::write(file, "").expect("written"))
        }),
        redis("F04", "file_huge", 1, 1.5).fault("the file becomes 64 MiB of entries for 5 s", |rig| {
            broken(rig, |file| {
                let mut text = schedule();
                let mut number = 0;
                while text.len() <= 64 << 20 {
                    let _ = write!(text, "[beat_schedule.filling-{number}]\ntask = 'tasks.add'\nschedule = 3600\n");
                    number += 1;
                }
                std::fs::write(file, text).expect("written");
            })
        }),
        redis("F05", "file_binary", 1, 1.5).fault("the file becomes random bytes for 5 s", |rig| {
            broken(rig, |file| {
                let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
                std::fs::write(file, bytes).expect("written");
            })
        }),
        redis("F06", "file_deleted", 1, 1.5).fault("the file is deleted for 5 s", |rig| {
            broken(rig, |file| std::fs::remove_file(file).expect("removed"))
        }),
        redis("F07", "file_directory", 1, 1.5).fault("the file becomes a directory for 5 s", |rig| {
            broken(rig, |file| {
                std::fs::remove_file(file).expect("removed");
                std::fs::create_dir(file).expect("made");
            })
        }),
        redis("F08", "file_fifo", 1, 1.5).fault("the file becomes a FIFO that nobody writes to, for 5 s", |rig| {
            broken(rig, |file| {
                std::fs::remove_file(file).expect("removed");
                let made = std::process::Command::new("mkfifo").arg(file).status().expect("mkfifo");
                assert!(made.success());
            })
        }),
        redis("F09", "file_one_bad_entry", 1, 1.5).fault("one bad entry among good ones for 5 s", |rig| {
            broken(rig, |file| {
                let text = format!("{}[beat_schedule.bad]\ntask = 'tasks.add'\nschedule = 'never'\n", schedule());
                std::fs::write(file, text).expect("written");
            })
        }),
        redis("F10", "file_unknown_key", 1, 1.5).fault("a misspelt key (`shedule`) for 5 s", |rig| {
            broken(rig, |file| std::fs::write(file, schedule().replace("schedule = 6.0", "shedule = 6.0")).expect("written"))
        }),
        Row { config_map: true, ..redis("F11", "configmap_swap", 1, 3.0) }.ci().fault(
            "the ..data link of a ConfigMap is swapped to a schedule with one more entry",
            |rig| {
                let dir = rig.dir().to_owned();
                std::fs::create_dir(dir.join("..2")).expect("made");
                std::fs::write(dir.join("..2/beat.toml"), with_extra()).expect("written");
                symlink("..2", dir.join("..data_tmp")).expect("linked");
                let swapped = now();
                std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("renamed");
                last(4.0);
                let fires = rig.observer.count("extra", swapped);
                rig.expect(fires >= 1, || "the new entry has not fired within 4 s".to_owned());
                Fault::at(swapped)
            },
        ),
        redis("F12", "swap_while_leader_changes", 5, 5.0).fault(
            "the file is replaced and the leader SIGKILLed in the same 50 ms",
            |rig| {
                let leader = rig.leader();
                replace(&rig.file, &with_extra());
                let at = rig.kill(leader);
                last(6.0);
                let fires = rig.observer.count("extra", at);
                rig.expect(fires >= 1, || "the new entry has not fired within 6 s".to_owned());
                Fault::at(at)
            },
        ),
        redis("F13", "file_rewritten_fast", 1, 2.0).fault(
            "200 atomic replacements in 10 s, alternating two valid schedules",
            |rig| {
                for number in 0..200 {
                    replace(&rig.file, &if number % 2 == 0 { with_extra() } else { schedule() });
                    last(0.05);
                }
                Fault::now()
            },
        ),
        redis("F14", "file_slow_write", 1, 2.0).fault("written in place in 10 pieces over 3 s", |rig| {
            let text = with_extra();
            let mut file = std::fs::File::create(&rig.file).expect("opened");
            for piece in text.as_bytes().chunks(text.len().div_ceil(10)) {
                file.write_all(piece).expect("written");
                last(0.2);
            }
            let fault = Fault::now();
            last(3.0);
            fault
        }),
    ]
}

fn with_extra() -> String {
    format!(
        "{}[beat_schedule.extra]\ntask = 'tasks.add'\nschedule = 1.0\n",
        schedule()
    )
}

fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(new, file).expect("renamed");
}

/// Breaks the file for 5 s; each instance refuses once, names the file, and goes on.
fn broken(rig: &mut Rig, harm: impl FnOnce(&Path)) -> Fault {
    harm(&rig.file);
    last(5.0);
    if rig.file.is_dir() {
        std::fs::remove_dir(&rig.file).expect("removed");
    }
    replace(&rig.file, &schedule());
    let fault = Fault::now();
    last(1.0);
    let refusals = rig.events("reload_refused");
    let expected = rig.instances.len();
    rig.expect(refusals.len() == expected, || {
        format!(
            "{} refusals of {expected} instances: {refusals:?}",
            refusals.len()
        )
    });
    let told = refusals
        .iter()
        .all(|r| r["error"].as_str().is_some_and(|e| e.contains("beat.toml")));
    rig.expect(told, || {
        format!("a refusal does not name the file: {refusals:?}")
    });
    fault
}
