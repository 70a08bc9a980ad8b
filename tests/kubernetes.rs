//! The manifests in `k8s/`: valid by the published schemas, restricted, complete, and true of the binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::beat::Launch;
use support::command::run_with;
use support::http::Http;
use support::servers::Redis;
use support::wait::wait_for;
use support::{repository, venv};

const BASES: [&str; 2] = ["base-one", "base-two"];

/// Kubernetes' oldest version that providers still run, and the newest one.
const VERSIONS: &str = "1.29,1.37";

const SOON: Duration = Duration::from_secs(20);

/// Base and file name → its documents; each is valid by the schemas.
static MANIFESTS: LazyLock<BTreeMap<(String, String), Vec<Value>>> = LazyLock::new(|| {
    let files = BASES.iter().flat_map(|base| {
        let entries = std::fs::read_dir(repository("k8s").join(base)).unwrap();
        entries.map(|entry| entry.unwrap().path())
    });
    let output = Command::new(venv().join("bin/python"))
        .arg(repository("tests/python/kubernetes.py"))
        .arg(VERSIONS)
        .args(files)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    read.into_iter()
        .map(|(file, documents)| {
            let file = Path::new(&file);
            ((name(file.parent().unwrap()), name(file)), documents)
        })
        .collect()
});

fn manifest(base: &str, file: &str) -> &'static Value {
    let documents = &MANIFESTS[&(base.to_owned(), file.to_owned())];
    assert_eq!(documents.len(), 1, "{base}/{file}");
    &documents[0]
}

fn pod(base: &str) -> &'static Value {
    &manifest(base, "deployment.yaml")["spec"]["template"]["spec"]
}

fn container(base: &str) -> &'static Value {
    let containers = pod(base)["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

#[test]
fn each_base_is_complete_and_shares_what_does_not_differ() {
    for base in BASES {
        let files: Vec<&str> = MANIFESTS
            .keys()
            .filter(|(of, file)| of == base && file != "kustomization.yaml")
            .map(|(_, file)| file.as_str())
            .collect();
        let kustomization = manifest(base, "kustomization.yaml");
        let mut listed: Vec<&str> = kustomization["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file.as_str().unwrap())
            .collect();
        // Needs the Prometheus Operator, so it is there to be switched on.
        listed.push("podmonitor.yaml");
        listed.sort_unstable();
        assert_eq!(listed, files, "{base}");
        assert_eq!(kustomization["images"][0]["name"], container(base)["image"]);
        assert_eq!(
            kustomization["images"][0]["newTag"],
            env!("CARGO_PKG_VERSION")
        );
    }
    for ((base, file), documents) in &*MANIFESTS {
        let differs = ["deployment.yaml", "kustomization.yaml"].contains(&file.as_str());
        if base == BASES[0] && !differs {
            assert_eq!(
                documents,
                &MANIFESTS[&(BASES[1].to_owned(), file.clone())],
                "{file}"
            );
        }
    }
}

#[test]
fn pods_are_restricted() {
    for base in BASES {
        let pod = pod(base);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["runAsUser"], 65532, "the image's user");
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        let context = &container(base)["securityContext"];
        assert_eq!(
            *context,
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            })
        );
        for key in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert_eq!(pod[key], Value::Null, "{key}");
        }
        let limits = &container(base)["resources"]["limits"];
        assert_eq!(*limits, json!({"memory": "64Mi"}), "and no limit of CPU");
    }
}

#[test]
fn a_rolling_update_never_leaves_fewer_instances_and_a_drain_takes_one() {
    for (base, replicas) in BASES.into_iter().zip([1, 2]) {
        let deployment = &manifest(base, "deployment.yaml")["spec"];
        assert_eq!(deployment["replicas"], replicas);
        let rolling = &deployment["strategy"]["rollingUpdate"];
        assert_eq!(*rolling, json!({"maxSurge": 1, "maxUnavailable": 0}));
        assert!(pod(base)["terminationGracePeriodSeconds"].as_u64().unwrap() > 5);
    }
    let labels = &manifest("base-two", "deployment.yaml")["spec"]["template"]["metadata"]["labels"];
    let budget = &manifest("base-two", "poddisruptionbudget.yaml")["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    let spread = &pod("base-two")["topologySpreadConstraints"][0];
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
    // Whatever selects pods selects these.
    for selector in [
        &budget["selector"],
        &spread["labelSelector"],
        &manifest("base-two", "networkpolicy.yaml")["spec"]["podSelector"],
        &manifest("base-two", "podmonitor.yaml")["spec"]["selector"],
        &manifest("base-two", "deployment.yaml")["spec"]["selector"],
    ] {
        assert_eq!(&selector["matchLabels"], labels);
    }
}

#[test]
fn volumes_are_folders_so_that_edits_arrive() {
    for base in BASES {
        let mounts = container(base)["volumeMounts"].as_array().unwrap();
        assert!(mounts.iter().all(|mount| mount.get("subPath").is_none()));
        let args: Vec<_> = container(base)["args"].as_array().unwrap().clone();
        assert_eq!(args, [json!("--schedule"), mounts[0]["mountPath"].clone()]);
        let volumes = &pod(base)["volumes"];
        let named = |file: &str| &manifest(base, file)["metadata"]["name"];
        assert_eq!(&volumes[0]["configMap"]["name"], named("configmap.yaml"));
        assert_eq!(&volumes[1]["secret"]["secretName"], named("secret.yaml"));
    }
}

#[test]
fn what_is_scraped_is_a_port_of_the_pod() {
    for base in BASES {
        // The Prometheus Operator's schema is not among the published ones.
        let monitor = manifest(base, "podmonitor.yaml");
        assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
        assert_eq!(monitor["kind"], "PodMonitor");
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        assert_eq!(
            *endpoint,
            json!({"port": "http", "path": "/metrics", "interval": "15s"})
        );
        assert_eq!(container(base)["ports"][0]["name"], endpoint["port"]);
        let policy = &manifest(base, "networkpolicy.yaml")["spec"];
        assert_eq!(policy["ingress"][0]["ports"][0]["port"], endpoint["port"]);
    }
}

#[test]
fn the_schedule_of_the_config_map_is_valid() {
    for base in BASES {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in manifest(base, "configmap.yaml")["data"]
            .as_object()
            .unwrap()
        {
            std::fs::write(folder.path().join(file), text.as_str().unwrap()).unwrap();
        }
        let urls = manifest(base, "secret.yaml")["stringData"]
            .as_object()
            .unwrap();
        let path = folder.path().to_str().unwrap();
        let checked = run_with(
            &["check", "--strict", "--schedule", path],
            &[("BEAT_BROKER_URL", urls["broker_url"].as_str().unwrap())],
        );
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        // The Secret has what the schedule reads, where the pod mounts it.
        let mount = container(base)["volumeMounts"][1]["mountPath"]
            .as_str()
            .unwrap();
        let text = std::fs::read_to_string(folder.path().join("beat.toml")).unwrap();
        for url in urls.keys() {
            assert!(
                text.contains(&format!("{url}_file = \"{mount}/{url}\"")),
                "{url}"
            );
        }
    }
}

/// A folder as the kubelet mounts a `ConfigMap`: files are links through `..data`, which each edit swaps.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn of(text: &str) -> Self {
        let mounted = Self(tempfile::tempdir().unwrap());
        mounted.swap("..1", text);
        symlink("..data/beat.toml", mounted.0.path().join("beat.toml")).unwrap();
        mounted
    }

    fn swap(&self, version: &str, text: &str) {
        let folder = self.0.path();
        std::fs::create_dir(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("beat.toml"), text).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }
}

#[test]
fn probes_and_edits_work_as_the_manifests_say() {
    assert_eq!(container("base-one"), container("base-two"));
    let container = container("base-two");
    let port = &container["ports"][0];
    assert_eq!(
        container["env"],
        json!([{"name": "BEAT_HTTP_LISTEN", "value": format!("0.0.0.0:{}", port["containerPort"])}])
    );
    let path = |probe: &str| {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], port["name"]);
        get["path"].as_str().unwrap()
    };

    let mut redis = Redis::start();
    let secret = tempfile::tempdir().unwrap();
    let mount = container["volumeMounts"][1]["mountPath"].as_str().unwrap();
    std::fs::write(secret.path().join("broker_url"), redis.url()).unwrap();
    let text = manifest("base-two", "configmap.yaml")["data"]["beat.toml"]
        .as_str()
        .unwrap()
        .replace(mount, secret.path().to_str().unwrap());
    let mounted = Mounted::of(&text);
    // The port of the test, not the manifest's, which may be taken on this machine.
    let (launch, http) = Http::of(Launch::file(mounted.0.path()));
    let mut beat = launch.start();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        wait_for(probe, SOON, || {
            (http.get(path(probe)).status == 200).then_some(())
        });
    }

    mounted.swap("..2", &text.replace("*/5", "*/7"));
    let reloaded = beat.wait_for_event("reloaded", SOON);
    assert_eq!(reloaded["changed"], "add-every-five-minutes");

    redis.stop();
    wait_for("not ready without Redis", SOON, || {
        (http.get(path("readinessProbe")).status == 503).then_some(())
    });
    assert_eq!(http.get(path("livenessProbe")).status, 200, "but alive");
    let patience = pod("base-two")["terminationGracePeriodSeconds"].as_u64();
    assert!(
        beat.terminate(Duration::from_secs(patience.unwrap()))
            .success()
    );
}
