use std::path::Path;
use std::sync::OnceLock;

use super::*;
use crate::clock::Timestamp;
use crate::dispatch::Scribe;
use crate::plan::{Action, Due};
use crate::testing::load;

/// Publishes every entry of a schedule once; the receipts by entry name.
async fn publish(root: &Path, toml: &str) -> Vec<(String, Receipt)> {
    let toml = format!("broker_url = 'filesystem://{}'\n{toml}", root.display());
    let loaded = load(&toml, Timestamp::EPOCH);
    let crate::config::Broker::Filesystem(folders) = &loaded.settings.broker else {
        panic!("a folder")
    };
    let mut folder = Folder::new(folders, &loaded.settings.conventions);
    folder.ready().await.unwrap();
    let dues: Vec<Due> = loaded
        .timetable
        .entries
        .values()
        .map(|entry| Due {
            slot: 0,
            entry: Arc::clone(entry),
            fire_time: Timestamp::EPOCH,
            action: Action::Fire,
            anchor: Timestamp::EPOCH,
            last_fire_time: None,
            skipped: Vec::new(),
            misfire: false,
            task_id: OnceLock::new(),
        })
        .collect();
    let scribe = Scribe::new("test");
    let parcels: Vec<Parcel<'_>> = dues
        .iter()
        .map(|due| Parcel {
            due,
            fire: scribe.fire(due, Timestamp::EPOCH),
        })
        .collect();
    let receipts = folder.publish(&parcels).await;
    dues.iter()
        .map(|due| due.entry.name.to_string())
        .zip(receipts)
        .collect()
}

/// Queues of the message files, sorted.
fn queues(root: &Path) -> Vec<String> {
    let mut queues: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| {
            let (_, rest) = name.split_once('.')?;
            Some(rest.strip_suffix(".msg")?.to_owned())
        })
        .collect();
    queues.sort();
    queues
}

fn entry(name: &str, options: &str) -> String {
    format!("[beat_schedule.{name}]\ntask = 't'\nschedule = 10\noptions = {{ {options} }}\n")
}

const MEDIA: &str = "[task_queues.feeds]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'media.#'\n\
    [task_queues.video]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'media.video.*'\n\
    [task_queues.fan]\nexchange = 'fanx'\nexchange_type = 'fanout'\nrouting_key = ''\n\
    [task_queues.plain]\nexchange = 'dx'\nexchange_type = 'direct'\nrouting_key = 'dk'\n";

/// What a worker has bound is found, whoever wrote it.
#[tokio::test]
async fn every_bound_queue_gets_a_file() {
    for (options, bound, expected) in [
        ("queue = 'plain'", None, vec!["plain"]),
        ("queue = 'made.up'", None, vec!["made.up"]),
        (
            "exchange = 'dx', routing_key = 'dk'",
            Some(("dx", "[[\"dk\", \"\", \"other\"]]")),
            vec!["other"],
        ),
        (
            "queue = 'feeds', routing_key = 'media.video.x'",
            None,
            vec!["feeds"],
        ),
        (
            "queue = 'feeds', routing_key = 'media.video.x'",
            Some((
                "media",
                "[[\"media.video.*\", \"^media\\\\.video\\\\.[^\\\\.]+$\", \"video\"]]",
            )),
            vec!["feeds", "video"],
        ),
        (
            "queue = 'fan'",
            Some(("fanx", "[[\"\", \"\", \"w1\"], [\"\", \"\", \"w2\"]]")),
            vec!["fan", "w1", "w2"],
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        if let Some((exchange, table)) = bound {
            let control = root.path().join("control");
            std::fs::create_dir(&control).unwrap();
            std::fs::write(control.join(format!("{exchange}.exchange")), table).unwrap();
        }
        let receipts = publish(root.path(), &format!("{MEDIA}{}", entry("e", options))).await;
        assert_eq!(
            receipts,
            [("e".to_owned(), Receipt::Confirmed)],
            "{options}"
        );
        assert_eq!(queues(root.path()), expected, "{options}");
    }
}

#[tokio::test]
async fn declares_what_it_publishes_to() {
    let root = tempfile::tempdir().unwrap();
    publish(
        root.path(),
        &format!("{MEDIA}{}", entry("e", "queue = 'feeds'")),
    )
    .await;
    let table = std::fs::read_to_string(root.path().join("control/media.exchange")).unwrap();
    assert_eq!(table, r#"[["media.#","^media\\..*?$","feeds"]]"#);
}

/// Nothing is dropped in silence, and nothing harms its neighbours.
#[tokio::test]
async fn what_nobody_is_bound_to_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let toml = format!(
        "{}{}",
        entry("a", "exchange = 'nobody', routing_key = 'k'"),
        entry("c", "")
    );
    let receipts = publish(root.path(), &toml).await;
    let why = |place: usize| format!("{:?}", receipts[place].1);
    assert!(why(0).contains("no queue is bound"), "{}", why(0));
    assert_eq!(receipts[1].1, Receipt::Confirmed);
    assert_eq!(queues(root.path()), ["celery"]);
}
