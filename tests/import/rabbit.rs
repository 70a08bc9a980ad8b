//! The same on RabbitMQ: quorum queues, native delayed delivery, task-sent events.

use std::time::Duration;

use serde_json::Value;

use crate::amqp_wire::Recorder;
use crate::messages::once;
use crate::project::Project;
use crate::sent::{Sent, amqp_envelope};
use crate::support::beat::Launch;
use crate::support::command::run;
use crate::support::rabbit::Rabbit;

fn sent(recorder: &Recorder) -> Sent {
    let told = recorder.told();
    let mut sent = Sent::default();
    for message in told.messages {
        let (envelope, headers) = amqp_envelope(message.envelope);
        sent.add("publish", &envelope, &headers, &message.body);
    }
    let declared = told.declarations.iter().map(Value::to_string);
    sent.declared.extend(declared);
    sent
}

#[test]
fn quorum_queues_and_delayed_delivery() {
    let rabbit = Rabbit::shared();
    let vhost = rabbit.vhost();
    let recorder = Recorder::start(rabbit.port());
    let url = vhost.url_at(recorder.port());
    let direct = vhost.url_at(rabbit.port());
    let project = Project::new("rabbit", &[("BROKER_URL", &direct)]);
    project.python(&["rabbit.py"]);
    project.export(&[]);
    let file = project.file("export.json");
    let done = run(&["import", file.to_str().unwrap(), "--skip-refused"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let said = "7 exact, 0 approximated, 1 refused\n";
    assert!(done.stderr.ends_with(said), "{}", done.stderr);
    for said in [
        "bytes, a Decimal or a UUID",
        "task_routes holds Python code",
    ] {
        assert!(done.stderr.contains(said), "{said}\n{}", done.stderr);
    }

    Project::new("rabbit", &[("BROKER_URL", &url)]).publish();
    let theirs = sent(&recorder);
    let recorder = Recorder::start(rabbit.port());
    let (toml, count) = once(&done.stdout);
    let state = format!("file://{}", project.file("state").display());
    let launch = Launch::schedule(&toml).broker(&vhost.url_at(recorder.port()));
    let mut beat = launch.state(&state).start();
    beat.wait_for_events_since(0, "fired", count, Duration::from_secs(20));
    beat.terminate(Duration::from_secs(5));
    let found = sent(&recorder).differences(&theirs);
    // The refused one is among Celery's.
    let found: Vec<&String> = found
        .iter()
        .filter(|line| !line.starts_with("rabbit.bytes"))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}
