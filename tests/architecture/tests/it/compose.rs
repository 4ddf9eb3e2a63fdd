//! docker-compose.yml: what it must and must not say, and that its configuration is one that mosync
//! accepts.

use std::collections::BTreeSet;

use architecture::root;
use runtime::config::{Config, Environment, Transport};
use serde_yaml_ng::Value;

use super::{finds, holds};

const WORKERS: [&str; 4] = ["listener", "filter", "permission", "loader"];
/// Not a worker, but a service like them.
const CONSOLE: &str = "console";
const STAND_INS: [&str; 2] = ["fake-salesforce", "fake-mos"];
const IN_CONTAINER: &str = "/run/secrets/";

fn compose() -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&text).unwrap();
    // Once for every level of maps merged into merged maps.
    for _ in 0..3 {
        compose.apply_merge().unwrap();
    }
    compose
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_sequence()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    compose["services"]
        .as_mapping()
        .unwrap()
        .iter()
        .map(|(name, service)| (name.as_str().unwrap(), service))
}

/// A service's secrets, each with the name of its file in the container.
fn secrets(service: &Value) -> Vec<(&str, &str)> {
    service["secrets"]
        .as_sequence()
        .into_iter()
        .flatten()
        .map(|secret| match secret.as_str() {
            Some(name) => (name, name),
            None => (
                secret["source"].as_str().unwrap(),
                secret["target"].as_str().unwrap(),
            ),
        })
        .collect()
}

/// Both generations of the tool read it.
fn unreadable_for_some(compose: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if !compose["name"].is_null() {
        faults.push("docker-compose 1.29 refuses `name`".to_owned());
    }
    if compose["version"].as_str() != Some("3.8") {
        faults.push("docker-compose 1.29 wants version \"3.8\"".to_owned());
    }
    faults
}

fn soft_containers(compose: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, service) in services(compose) {
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{name} {what}"));
            }
        };
        let user = service["user"].as_str().unwrap_or("0");
        must(!user.starts_with('0') && user != "root", "runs as root");
        must(
            service["read_only"].as_bool() == Some(true),
            "can write to its own files",
        );
        must(
            strings(&service["cap_drop"]) == ["ALL"] && service["cap_add"].is_null(),
            "keeps capabilities",
        );
        must(
            strings(&service["security_opt"]) == ["no-new-privileges:true"],
            "can gain privileges",
        );
        must(
            strings(&service["tmpfs"]).contains(&"/tmp"),
            "has no /tmp in memory",
        );
        must(
            service["mem_limit"].is_string() && service["pids_limit"].is_number(),
            "has no limit of memory or processes",
        );
        must(service["privileged"].is_null(), "is privileged");
        let image = service["image"].as_str().unwrap_or_default();
        must(
            image.contains(':') && !image.ends_with(":latest"),
            "has no fixed image",
        );
        for port in strings(&service["ports"]) {
            must(
                port.starts_with("127.0.0.1:"),
                "publishes a port beyond this machine",
            );
        }
        for volume in strings(&service["volumes"]) {
            must(!volume.contains("docker.sock"), "rules the machine");
        }
    }
    faults
}

/// Every secret is a file, has one reader's rights, and is nowhere else.
fn loose_secrets(compose: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let declared: BTreeSet<&str> = compose["secrets"]
        .as_mapping()
        .unwrap()
        .iter()
        .map(|(name, secret)| {
            let name = name.as_str().unwrap();
            let path = secret["file"].as_str().unwrap_or_default();
            if path != format!("deploy/secrets/{name}") {
                faults.push(format!(
                    "the secret {name} is not its file in deploy/secrets"
                ));
            }
            name
        })
        .collect();
    let mut used = BTreeSet::new();
    let mut brokers = BTreeSet::new();
    for (service, definition) in services(compose) {
        for (secret, target) in secrets(definition) {
            if !declared.contains(secret) {
                faults.push(format!(
                    "{service} wants the secret {secret}, which is not declared"
                ));
            }
            used.insert(secret);
            if target == "rabbitmq_url" && !brokers.insert(secret) {
                faults.push(format!(
                    "{service} shares its RabbitMQ user with another service"
                ));
            }
        }
        for (variable, value) in definition["environment"].as_mapping().into_iter().flatten() {
            let variable = variable.as_str().unwrap();
            let plain = ["SECRET", "PASSWORD", "KEY", "RABBITMQ_URL", "REDIS_URL"]
                .iter()
                .any(|end| variable.ends_with(end));
            let value = value.as_str().unwrap_or_default();
            if plain || value.contains("PASSWORD") || value.contains('@') {
                faults.push(format!("{service} has a secret in {variable}"));
            }
        }
    }
    for secret in declared.difference(&used) {
        faults.push(format!("nobody reads the secret {secret}"));
    }
    faults
}

/// Who runs, in which order, and how it is known that they do.
fn wrong_parts(compose: &Value) -> Vec<String> {
    let all = &compose["services"];
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    for worker in WORKERS.into_iter().chain([CONSOLE]) {
        let service = &all[worker];
        must(
            strings(&service["command"]) == [worker],
            format!("{worker} runs something else"),
        );
        must(
            strings(&service["healthcheck"]["test"]) == ["CMD", "/mosync", "health"],
            format!("{worker} is not asked whether it is ready"),
        );
        must(
            service["depends_on"]["topology"]["condition"].as_str()
                == Some("service_completed_successfully"),
            format!("{worker} starts before the broker is prepared"),
        );
        must(
            service["build"]["args"].is_null(),
            format!("{worker}'s image is not the one for production"),
        );
    }
    for worker in WORKERS {
        must(
            all[worker]["depends_on"][CONSOLE]["condition"].as_str() == Some("service_healthy"),
            format!("{worker} starts before lost settings are restored"),
        );
    }
    let journal = &all[CONSOLE]["environment"]["MOSYNC_CONSOLE_JOURNAL"];
    let volumes = strings(&all[CONSOLE]["volumes"]);
    let kept = volumes.iter().filter_map(|volume| volume.split_once(':'));
    let mut kept = kept.filter(|(volume, _)| compose["volumes"][*volume].is_mapping());
    must(
        kept.any(|(_, folder)| {
            journal
                .as_str()
                .is_some_and(|file| file.starts_with(&format!("{folder}/")))
        }),
        "the settings journal is not on a volume".to_owned(),
    );
    must(
        strings(&all[CONSOLE]["ports"]) == ["127.0.0.1:8090:8090"],
        "the console does not answer on this machine's port 8090".to_owned(),
    );
    must(
        strings(&all["topology"]["command"]) == ["topology", "apply"],
        "topology does not apply it".to_owned(),
    );
    for server in ["rabbitmq", "redis"] {
        must(
            all[server]["healthcheck"].is_mapping(),
            format!("{server} is not asked whether it is ready"),
        );
        must(
            strings(&all[server]["networks"]) == ["inside"],
            format!("{server} is on a network with a way out"),
        );
        must(
            all[server]["ports"].is_null(),
            format!("{server} publishes a port"),
        );
    }
    for stand_in in STAND_INS {
        must(
            strings(&all[stand_in]["profiles"]) == ["demo"],
            format!("{stand_in} runs without the profile demo"),
        );
    }
    must(
        compose["networks"]["inside"]["internal"].as_bool() == Some(true),
        "the network inside has a way out".to_owned(),
    );
    faults
}

/// What compose makes of `${NAME:-default}` and `${NAME-default}` when `NAME` is not set.
fn unset(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return value.to_owned();
    };
    let (_, default) = inner.split_once('-').unwrap();
    default.to_owned()
}

/// A service's environment, its secrets in a folder of the test's.
fn environment(service: &Value, folder: &std::path::Path) -> Vec<(String, String)> {
    let folder = format!("{}/", folder.display());
    service["environment"]
        .as_mapping()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let value = unset(value.as_str().unwrap());
            (
                name.as_str().unwrap().to_owned(),
                value.replace(IN_CONTAINER, &folder),
            )
        })
        .collect()
}

#[test]
fn both_generations_of_compose_read_it() {
    holds(&unreadable_for_some(&compose()));
}

#[test]
fn containers_are_hardened() {
    holds(&soft_containers(&compose()));
}

#[test]
fn secrets_are_files_and_belong_to_one() {
    holds(&loose_secrets(&compose()));
}

#[test]
fn every_service_is_there_in_its_order() {
    holds(&wrong_parts(&compose()));
}

#[test]
fn every_service_starts_with_what_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("rabbitmq_url", "amqp://listener:p@rabbitmq:5672/mosync"),
        ("redis_url", "redis://mosync:p@redis:6379/0"),
        ("salesforce", "s"),
        ("mos_api_key", "k"),
    ];
    let token = "console_token_sha256";
    for (file, content) in files.into_iter().chain([(token, &*"0f".repeat(32))]) {
        std::fs::write(folder.path().join(file), content).unwrap();
    }
    let compose = compose();
    for name in WORKERS.into_iter().chain(["topology", CONSOLE]) {
        let service = &compose["services"][name];
        let given: BTreeSet<&str> = secrets(service).into_iter().map(|(_, file)| file).collect();
        let mut wanted = BTreeSet::from(files.map(|(file, _)| file));
        if name == CONSOLE {
            wanted.insert(token);
        }
        assert_eq!(given, wanted, "{name}");
        let config = Config::read("", environment(service, folder.path()))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.environment, Environment::Production, "{name}");
        assert!(
            matches!(config.transport, Transport::Servers { .. }),
            "{name}"
        );
        assert!(
            config.http.listen.unwrap().ip().is_loopback(),
            "{name}'s health answers are for itself"
        );
        let console = config.console;
        assert_eq!(console.journal.is_some(), name == CONSOLE, "{name}");
        assert_eq!(console.token_sha256.is_some(), name == CONSOLE, "{name}");
        assert_eq!(
            console.listen.map(|listen| listen.port()),
            (name == CONSOLE).then_some(8090),
            "{name}"
        );
    }
}

fn changed(path: &[&str], value: &str) -> Value {
    let mut compose = compose();
    let mut place = &mut compose;
    for key in path {
        place = &mut place[*key];
    }
    *place = serde_yaml_ng::from_str(value).unwrap();
    compose
}

#[test]
fn a_compose_file_that_an_old_tool_refuses_is_found() {
    finds(
        &unreadable_for_some(&changed(&["name"], "mosync")),
        "docker-compose 1.29 refuses `name`",
    );
    finds(
        &unreadable_for_some(&changed(&["version"], "\"3\"")),
        "docker-compose 1.29 wants version \"3.8\"",
    );
}

#[test]
fn a_soft_container_is_found() {
    for (key, value, fault) in [
        ("user", "\"0:0\"", "filter runs as root"),
        ("user", "null", "filter runs as root"),
        ("read_only", "false", "filter can write to its own files"),
        ("cap_drop", "[NET_RAW]", "filter keeps capabilities"),
        ("cap_add", "[SYS_ADMIN]", "filter keeps capabilities"),
        ("security_opt", "[]", "filter can gain privileges"),
        ("tmpfs", "[]", "filter has no /tmp in memory"),
        (
            "mem_limit",
            "null",
            "filter has no limit of memory or processes",
        ),
        ("privileged", "true", "filter is privileged"),
        ("image", "\"mosync:latest\"", "filter has no fixed image"),
        (
            "ports",
            "[\"8081:8081\"]",
            "filter publishes a port beyond this machine",
        ),
        (
            "volumes",
            "[\"/var/run/docker.sock:/var/run/docker.sock\"]",
            "filter rules the machine",
        ),
    ] {
        finds(
            &soft_containers(&changed(&["services", "filter", key], value)),
            fault,
        );
    }
}

#[test]
fn a_loose_secret_is_found() {
    let place = ["services", "filter", "environment", "MOSYNC_MOS_API_KEY"];
    finds(
        &loose_secrets(&changed(&place, "k")),
        "filter has a secret in MOSYNC_MOS_API_KEY",
    );
    finds(
        &loose_secrets(&changed(&["secrets", "redis_url", "file"], "redis_url")),
        "the secret redis_url is not its file in deploy/secrets",
    );
    finds(
        &loose_secrets(&changed(
            &["secrets", "extra"],
            "{file: deploy/secrets/extra}",
        )),
        "nobody reads the secret extra",
    );
    finds(
        &loose_secrets(&changed(
            &["services", "redis", "secrets"],
            "[redis_users, other]",
        )),
        "redis wants the secret other, which is not declared",
    );
    finds(
        &loose_secrets(&changed(
            &["services", "redis", "secrets"],
            "[redis_users, {source: rabbitmq_url_listener, target: rabbitmq_url}]",
        )),
        "listener shares its RabbitMQ user with another service",
    );
}

#[test]
fn a_wrong_part_is_found() {
    for (path, value, fault) in [
        (
            &["services", "loader", "command"][..],
            "[all]",
            "loader runs something else",
        ),
        (
            &["services", "loader", "healthcheck"],
            "{disable: true}",
            "loader is not asked whether it is ready",
        ),
        (
            &["services", "loader", "depends_on"],
            "{console: {condition: service_healthy}, topology: {condition: service_started}}",
            "loader starts before the broker is prepared",
        ),
        (
            &["services", "loader", "build", "args"],
            "{FEATURES: x}",
            "loader's image is not the one for production",
        ),
        (
            &["services", "console", "ports"],
            "null",
            "the console does not answer on this machine's port 8090",
        ),
        (
            &["services", "console", "command"],
            "[all]",
            "console runs something else",
        ),
        (
            &["services", "topology", "command"],
            "[status]",
            "topology does not apply it",
        ),
        (
            &["services", "redis", "healthcheck"],
            "null",
            "redis is not asked whether it is ready",
        ),
        (
            &["services", "redis", "networks"],
            "[inside, outside]",
            "redis is on a network with a way out",
        ),
        (
            &["services", "redis", "ports"],
            "[\"127.0.0.1:6379:6379\"]",
            "redis publishes a port",
        ),
        (
            &["services", "fake-mos", "profiles"],
            "null",
            "fake-mos runs without the profile demo",
        ),
        (
            &["networks", "inside", "internal"],
            "false",
            "the network inside has a way out",
        ),
    ] {
        finds(&wrong_parts(&changed(path, value)), fault);
    }
}
