//! Who may call, and what is said to requests that cannot be done.

use console::access::Access;
use console::api::Keys;
use console::views::{LogSearch, ParkedSearch, Reason, Selection};
use console::{Client, OpsError};
use domain::job::JobKind;
use futures::StreamExt as _;
use http::Method;
use serde_json::json;

use crate::desk::{Desk, FOLDER_TOKEN, TOKEN};

#[tokio::test]
async fn nobody_calls_without_a_token() {
    let desk = Desk::open();
    let door = desk.door().await;
    for token in [None, Some(""), Some("x"), TOKEN.get(1..)] {
        // Another minute, so that nobody is told to wait.
        desk.pass(60);
        for (path, methods) in console::api::routes() {
            let method = methods[0].to_uppercase().parse::<Method>().unwrap();
            let answer = door.ask(method, path, token, "").await;
            if path == "/api/openapi.json" {
                assert_eq!(answer.status, 200);
                continue;
            }
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert_eq!(answer.json()["error"]["code"], "not_allowed");
        }
    }
    let wrong = door.ask(Method::GET, "/api/v1/status", Some("x"), "").await;
    assert!(wrong.sentence().contains("not the token"));
    assert_eq!(door.get("/api/v1/status").await.status, 200);

    let nobody = desk.door_with(Keys::default()).await;
    for token in [None, Some(TOKEN)] {
        let answer = nobody.ask(Method::GET, "/api/v1/status", token, "").await;
        assert_eq!(answer.status, 401);
        let sentence = answer.sentence();
        assert!(sentence.contains("mosync console-token"), "{sentence}");
    }
}

#[tokio::test]
async fn the_log_tells_the_command_line_from_the_api() {
    let desk = Desk::open();
    let job = desk.job(JobKind::SyncAll, "a").await;
    let door = desk.door().await;
    let path = format!("/api/v1/jobs/{}/pause", job.id);
    let long = json!({"reason": "x".repeat(501)});
    for deed in ["pause", "cancel"] {
        let path = format!("/api/v1/jobs/{}/{deed}", job.id);
        let refused = door.post(&path, &long).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        let sentence = refused.sentence();
        assert!(sentence.contains("has 501 letters"), "{sentence}");
    }
    let paused = door.post(&path, &json!({"reason": "lunch"})).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    let access = Access {
        address: door.address,
        token: FOLDER_TOKEN.to_owned(),
    };
    let client = Client::of_process(access);
    let reason = Reason::default();
    client
        .steer(job.id.as_str(), "resume", &reason)
        .await
        .unwrap();
    let inside = Client::inside(desk.ops.clone());
    inside
        .steer(job.id.as_str(), "cancel", &reason)
        .await
        .unwrap();
    let log = desk.log().await;
    let told = log.iter().map(|line| line.message.as_str());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "cancelled by the command line",
            "resumed by the command line",
            "paused by the API: lunch"
        ]
    );
}

#[tokio::test]
async fn the_client_says_the_same_over_a_socket_and_inside() {
    let desk = Desk::open();
    let job = desk.job(JobKind::SyncAll, "a").await;
    let parked = desk.park(1, |_| {}).await;
    let door = desk.door().await;
    let over_socket = Client::of_process(Access {
        address: door.address,
        token: FOLDER_TOKEN.to_owned(),
    });
    for client in [Client::inside(desk.ops.clone()), over_socket.clone()] {
        let status = client.status().await.unwrap();
        assert_eq!(status, desk.ops.status().await.unwrap());
        assert!(!client.sync_all().await.unwrap().started);
        assert_eq!(client.jobs(None, 10).await.unwrap().jobs.len(), 1);
        assert_eq!(
            client.job(job.id.as_str()).await.unwrap().id,
            job.id.as_str()
        );
        // An id with everything that a path cannot hold as it is.
        let odd = client.job("a/b ?#%ä").await.unwrap_err();
        assert!(matches!(odd, OpsError::NotFound(_)), "{odd:?}");
        assert!(odd.to_string().contains("`a/b ?#%ä`"), "{odd}");
        let groups = client.parked_groups().await.unwrap();
        let selection = Selection {
            group: Some(groups.groups[0].id.clone()),
            ..Selection::default()
        };
        assert_eq!(client.retry_parked(&selection).await.unwrap().records, 1);
        let search = LogSearch {
            object: Some("Contact".to_owned()),
            ..LogSearch::default()
        };
        assert!(client.logs(&search).await.unwrap().entries.is_empty());
        let pieces = client.export_logs(&LogSearch::default()).await.unwrap();
        let pieces = pieces.map(|piece| piece.unwrap().len());
        assert!(pieces.fold(0, async |sum, piece| sum + piece).await > 100);
        assert_eq!(client.dead(10).await.unwrap().total, 0);
        let listed = client.parked(&ParkedSearch::default()).await.unwrap();
        assert_eq!(listed.records[0].id, parked.id);
    }
    drop(door);
    let gone = over_socket.status().await;
    // The server ends when its door is dropped; until then it may answer.
    if let Err(error) = gone {
        assert!(matches!(error, OpsError::OutOfReach(_)), "{error:?}");
    }
}

#[tokio::test]
async fn whatever_is_wrong_gets_a_sentence() {
    let desk = Desk::open();
    let job = desk.job(JobKind::SyncAll, "a").await;
    let door = desk.door().await;
    let pause = format!("/api/v1/jobs/{}/pause", job.id);
    for (method, path, body, status, word) in [
        (Method::GET, "/api/v1/nothing", "", 404, "openapi.json"),
        (Method::GET, "/", "", 404, "openapi.json"),
        (Method::GET, "/api/v1/jobs/nobody", "", 404, "`nobody`"),
        (Method::GET, "/api/v1/dead/nobody", "", 404, "`nobody`"),
        (Method::GET, "/api/v1/sync-all", "", 405, "GET"),
        (Method::DELETE, "/api/v1/jobs", "", 405, "DELETE"),
        (Method::GET, "/api/v1/jobs?limit=x", "", 400, "limit"),
        (Method::GET, "/api/v1/jobs?lmit=1", "", 400, "lmit"),
        (Method::GET, "/api/v1/logs?level=loud", "", 400, "`loud`"),
        (Method::GET, "/api/v1/logs?format=csv", "", 400, "export"),
        (Method::GET, "/api/v1/logs/export?since=x", "", 400, "since"),
        (Method::GET, "/api/v1/logs/export?limit=9", "", 400, "limit"),
        (Method::GET, "/api/v1/parked?object=Lead", "", 400, "`Lead`"),
        (Method::POST, &pause, "{", 400, "EOF"),
        (Method::POST, &pause, "{\"raeson\": 1}", 400, "raeson"),
        (Method::POST, &pause, "[1]", 400, "body"),
        (Method::POST, "/api/v1/parked/retry", "{}", 400, "which"),
        (
            Method::POST,
            &pause,
            &"x".repeat(70_000),
            413,
            "65,536 bytes",
        ),
    ] {
        let answer = door.ask(method.clone(), path, Some(TOKEN), body).await;
        assert_eq!(answer.status, status, "{method} {path} {:?}", answer.body);
        let sentence = answer.sentence();
        assert!(sentence.contains(word), "{method} {path}: {sentence}");
    }
    assert_eq!(desk.stored(&job.id).await.paused, None);
}
