//! No password and no argument of a task in anything that the daemon writes or the other commands show, at the most
//! talkative level, while servers are down, refuse or work. (`secrets` tries more mistakes on `check`.)
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;

use support::beat::{Beat, Launch};
use support::command::run_with;
use support::rabbit::Rabbit;
use support::servers::Redis;
use support::wait::{free_port, wait_for};

/// In every password and argument of these tests, written so that percent-encoding leaves it alone.
const MARK: &str = "s3cr3t";
/// The same mark in a password that has to be percent-encoded.
const ENCODED: &str = "p%40%2Fs3cr3t%3A%25";

const ENTRY: &str = "\n[beat_schedule.e]\ntask = 't'\nschedule = { crontab = '* * * * * *' }\n";

fn assert_silent(what: &str, text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(MARK)).collect();
    assert!(lines.is_empty(), "{what}: {lines:#?}");
}

fn cmdline(beat: &Beat) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{}/cmdline", beat.pid())).unwrap())
        .into_owned()
}

/// What every offline command writes about a schedule file; the number of those that refused it.
fn offline(toml: &str, env: &[(&str, &str)]) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    std::fs::write(&file, toml).unwrap();
    let file = file.to_str().unwrap();
    let good = folder.path().join("good.toml");
    std::fs::write(&good, format!("broker_url = 'redis://h'{ENTRY}")).unwrap();
    let commands: [&[&str]; 7] = [
        &["--schedule", file, "check"],
        &["--schedule", file, "check", "--strict", "--format", "json"],
        &["--schedule", file, "preview", "--format", "json"],
        &["--schedule", file, "preview", "--timeline"],
        &["--schedule", file, "--dry-run"],
        &["diff", good.to_str().unwrap(), file],
        &["diff", file, good.to_str().unwrap(), "--format", "json"],
    ];
    let mut written = String::new();
    let mut refused = 0;
    for command in commands {
        let mut env = env.to_vec();
        env.push(("BEAT_LOG", "trace"));
        let answer = run_with(command, &env);
        refused += usize::from(answer.code == Some(2));
        written.extend([answer.stdout, answer.stderr, "\n".to_owned()]);
    }
    (written, refused)
}

/// URLs that are fine, and those that are refused.
fn urls() -> Vec<String> {
    let forms = [
        "redis://:PW@h:6379/0",
        "redis://user:PW@h/1",
        "rediss://user:PW@h",
        "redis+socket://user:PW@/tmp/r.sock?virtual_host=1",
        "redis+socket:///tmp/r.sock?virtual_host=1&password=PW",
        "sentinel://:PW@h:26379/0;sentinel://:PW@h2:26379/0",
        "redis+sentinel://:PW@h1:26379,h2:26379/mymaster/0",
        "amqp://user:PW@h//",
        "amqps://user:PW@h/v;amqp://user:PW@h2/v",
        "pyamqp://user:PW@h",
        // Refused.
        "ftp://u:PW@h",
        "sqs://PW@",
        "redis://:PW@h:0",
        "redis://:PW@h:99999",
        "redis://:PW@h:port",
        "redis://:PW@h/zero",
        "redis://:PW@h/0?pw=PW",
        "redis://h/0?PW=1",
        "redis://u:PW@",
        "redis://:PW@h:6379:6379/0",
        "redis://u:x%ZZPW@h",
        "redis://u:PW@[::1",
        "redis://u:PW @h",
        "redis:/u:PW@h",
        "redis//u:PW@h",
        "://u:PW@h",
        "u:PW@h",
        "rediss://u:PW@h?ssl_cert_reqs=none",
        "amqp://u:PW@h:0/v",
        "amqp://u:PW@h/a/b/c?x=PW",
        "redis://h/0;redis://u:PW@",
    ];
    let spell = |password: &'static str| forms.iter().map(move |form| form.replace("PW", password));
    spell(MARK).chain(spell(ENCODED)).collect()
}

#[test]
fn no_command_shows_a_url() {
    for url in urls() {
        let (from_file, refused) = offline(&format!("broker_url = '{url}'\n{ENTRY}"), &[]);
        assert_silent(&url, &from_file);
        assert!(
            refused == 0 || !from_file.trim().is_empty(),
            "{url}: silent refusal"
        );
        let (as_state, _) = offline(
            &format!("broker_url = 'redis://h'\nstate_url = '{url}'\n{ENTRY}"),
            &[],
        );
        assert_silent(&url, &as_state);
        for variable in [
            "BEAT_BROKER_URL",
            "CELERY_BROKER_URL",
            "BEAT_STATE_URL",
            "SECRET",
        ] {
            let toml = match variable {
                "SECRET" => format!("broker_url = '${{SECRET}}'\n{ENTRY}"),
                _ => ENTRY.to_owned(),
            };
            let (from_env, _) = offline(&toml, &[(variable, &url)]);
            assert_silent(&format!("{variable}={url}"), &from_env);
        }
    }
}

#[test]
fn no_mistake_around_a_url_shows_it() {
    let url = format!("redis://u:{MARK}@h");
    for toml in [
        format!("broker_url = '{url}\n"),
        format!("broker_url = \"{url}\\q\"\n"),
        format!("broker_url = {url}\n"),
        format!("broker_url = ['{url}', 1]\n"),
        format!("broker_url = {{ a = '{url}' }}\n"),
        format!("broker_url = '{url}'\nbroker_url = '{url}'\n"),
        format!("broker_url = '{url}' x = 1\n"),
        format!("brokerurl = '{url}'\n"),
        format!("broker_ur = '{url}'\n"),
        format!("BROKER_URL = '{url}'\n"),
        format!("BROKER_URL = 1\nCELERY_BROKER_URL = '{url}'\n"),
        format!("result_backend = '{url}'\nbroker_url = 'redis://h'\n"),
        format!("redbeat_redis_url = '{url}'\n"),
        format!(
            "broker_url = 'redis://h'\n[broker_transport_options.sentinel_kwargs]\npassword = '{MARK}'\n"
        ),
        format!(
            "broker_url = 'redis://h'\nbroker_transport_options = {{ sentinel_kwargs = {{ password = ['{MARK}'] }} }}\n"
        ),
        format!("broker_url = 'redis://h'\nbroker_transport_options = {{ pasword = '{MARK}' }}\n"),
        format!("broker_url = 'redis://h'\nbroker_password = '{MARK}'\n"),
        format!("broker_url = 'redis://h'\nstate_url = 'file://{url}'\n"),
        format!("broker_url = '${{X:-{url}'\n"),
        format!("broker_url = '${{X Y:-{url}}}'\n"),
        format!("broker_url = '{url}/${{MISSING}}'\n"),
        format!("broker_url_file = '/no/{url}'\nbroker_url = '{url}'\n"),
        format!("http_listen = '{url}'\nbroker_url = 'redis://h'\n"),
    ] {
        let (written, _) = offline(&format!("{toml}{ENTRY}"), &[]);
        assert_silent(&toml, &written);
    }
}

#[test]
fn a_password_file_is_not_echoed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    for content in [
        "redis://u:s3cr3t@h",
        "ftp://u:s3cr3t@h",
        "s3cr3t",
        "redis://u:s3cr3t@h\nredis://u:s3cr3t@h2",
    ] {
        std::fs::write(&file, content).unwrap();
        let toml = format!("broker_url_file = '{}'{ENTRY}", file.display());
        let (written, _) = offline(&toml, &[]);
        assert_silent(content, &written);
    }
}

/// Runs until `event`, at the most talkative level; what it wrote.
fn talk(toml: &str, event: &str) -> String {
    let mut beat = Launch::schedule(toml).env("BEAT_LOG", "trace").start();
    beat.wait_for_event(event, Duration::from_secs(20));
    assert_silent("cmdline", &cmdline(&beat));
    beat.terminate(Duration::from_secs(10));
    beat.lines().join("\n")
}

#[test]
fn redis_down_or_refusing_tells_no_password() {
    let redis = Redis::options().password("right").start();
    let (port, dead) = (redis.port(), free_port());
    let args = format!("args = ['{MARK}']\nkwargs = {{ k = '{MARK}' }}\n");
    for (url, event) in [
        (format!("redis://:{MARK}@127.0.0.1:{dead}/0"), "store_down"),
        (
            format!("redis://:{ENCODED}@127.0.0.1:{port}/0"),
            "store_down",
        ),
        (
            format!("redis://user:{MARK}@127.0.0.1:{port}/0"),
            "store_down",
        ),
        (
            format!("redis://:{MARK}@no-such-host.invalid/0"),
            "store_down",
        ),
        (
            format!("sentinel://:{MARK}@127.0.0.1:{port}/0"),
            "store_down",
        ),
        (
            format!("redis+socket://:{MARK}@/no/such/socket"),
            "store_down",
        ),
    ] {
        let options = "broker_transport_options = { master_name = 'mymaster', sentinel_kwargs = { password = 's3cr3t' } }";
        let options = if url.starts_with("sentinel") {
            options
        } else {
            ""
        };
        let written = talk(
            &format!("broker_url = '{url}'\n{options}\n{ENTRY}{args}"),
            event,
        );
        assert_silent(&url, &written);
    }
}

#[test]
fn passwords_and_arguments_that_work_are_not_told() {
    let redis = Redis::options().password(MARK).start();
    let elsewhere = Redis::options().password("s3cr3t2").start();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    let rabbit = Rabbit::start();
    rabbit.ctl(&["change_password", "guest", MARK]);
    let amqp = format!("amqp://guest:{MARK}@127.0.0.1:{}//", rabbit.port());
    let args = "args = ['s3cr3t', '{fire_time} s3cr3t']\nkwargs = { k = 's3cr3t', s3cr3t = 1 }\n\
        options = { headers = { h = 's3cr3t' }, link = { task = 'u', args = ['s3cr3t'] } }\n";
    for settings in [
        format!("broker_url = '{}'", redis.url()),
        format!(
            "broker_url = '{}'\nstate_url = '{}'",
            redis.url(),
            elsewhere.url()
        ),
        format!("broker_url = '{amqp}'\nstate_url = '{}'", redis.url()),
        format!(
            "broker_url = 'filesystem://'\nbroker_transport_options = {{ data_folder_out = '{root}/q', control_folder = '{root}/c' }}\nstate_url = '{}'",
            redis.url()
        ),
    ] {
        let sent = "task_send_sent_event = true\n";
        let written = talk(&format!("{settings}\n{sent}{ENTRY}{args}"), "fired");
        assert_silent(&settings, &written);
    }
    // A wrong password, and a broker that goes away.
    let wrong = format!("amqp://guest:{ENCODED}@127.0.0.1:{}//", rabbit.port());
    for url in [
        wrong,
        format!("amqp://guest:{MARK}@127.0.0.1:{}//", free_port()),
    ] {
        let settings = format!("broker_url = '{url}'\nstate_url = '{}'", redis.url());
        let written = talk(&format!("{settings}\n{ENTRY}{args}"), "broker_down");
        assert_silent(&settings, &written);
    }
}

#[test]
fn a_refused_reload_tells_neither() {
    let redis = Redis::options().password(MARK).start();
    let good = format!("broker_url = '{}'{ENTRY}args = ['s3cr3t']\n", redis.url());
    let mut beat = Launch::schedule(&good).env("BEAT_LOG", "trace").start();
    beat.wait_for_event("fired", Duration::from_secs(10));
    for bad in [
        format!("{good}kwargs = {{ a = 's3cr3t {{fire_time:%Q}}' }}\n"),
        format!("{good}argz = ['s3cr3t']\n"),
        format!("{good}kwargs = {{ a = 's3cr3t\n"),
        good.replace("redis://", "ftp://"),
        good.replace("/0'", "/0?x=s3cr3t'"),
    ] {
        let mark = beat.mark();
        beat.launch().rewrite(&bad);
        beat.wait_for_event_since(mark, "reload_refused", Duration::from_secs(10));
    }
    let mark = beat.mark();
    beat.launch()
        .rewrite(&good.replace("['s3cr3t']", "['s3cr3t', 2]"));
    wait_for("a fire after the edit", Duration::from_secs(10), || {
        (beat.events_since(mark, "fired").len() > 1).then_some(())
    });
    assert_silent("reloads", &beat.lines().join("\n"));
}
