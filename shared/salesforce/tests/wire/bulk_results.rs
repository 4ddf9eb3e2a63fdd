//! The results of bulk query jobs: rows as REST gives them, and damage told from data.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use domain::Row;
use flate2::Compression;
use flate2::write::GzEncoder;
use ports::source::{BulkPage, BulkQueryId, Source, SourceError};
use proptest::prelude::*;
use salesforce::Config;

use crate::http_server::{End, FixedClock, Made, Reply, Seen, Server, not_found};

const RESULTS: &str = "/services/data/v67.0/jobs/query/750R1/results";
const OBJECTS: &str = "/services/data/v67.0/sobjects/";

/// The client's side of a page.
type Opened = Result<Box<dyn BulkPage>, SourceError>;

fn job() -> BulkQueryId {
    BulkQueryId("750R1".to_owned())
}

/// A job of opportunities, whose results are answered as the test says.
async fn org(results: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen| match seen.target.as_str() {
        "/services/data/v67.0/jobs/query/750R1" => {
            Reply::ok(r#"{"id":"750R1","object":"Opportunity","state":"JobComplete"}"#)
        }
        "/services/data/v67.0/sobjects/Opportunity/describe" => Reply::ok(
            r#"{"fields":[
                {"name":"Id","type":"id"},{"name":"Name","type":"string"},{"name":"Amount","type":"currency"},
                {"name":"Probability","type":"percent"},{"name":"Count__c","type":"double"},
                {"name":"IsClosed","type":"boolean"},{"name":"CloseDate","type":"date"},
                {"name":"SystemModstamp","type":"datetime"},{"name":"Tags__c","type":"multipicklist"},
                {"name":"AccountId","type":"reference","referenceTo":["Account"],"relationshipName":"Account"},
                {"name":"OwnerId","type":"reference","referenceTo":["Group","User"],"relationshipName":"Owner"}]}"#,
        ),
        "/services/data/v67.0/sobjects/Account/describe" => Reply::ok(
            r#"{"fields":[{"name":"Name","type":"string"},{"name":"Website","type":"url"},{"name":"AnnualRevenue","type":"currency"},
                {"name":"OwnerId","type":"reference","referenceTo":["User"],"relationshipName":"Owner"}]}"#,
        ),
        "/services/data/v67.0/sobjects/Group/describe" => {
            Reply::ok(r#"{"fields":[{"name":"Name","type":"string"}]}"#)
        }
        "/services/data/v67.0/sobjects/User/describe" => Reply::ok(
            r#"{"fields":[{"name":"Name","type":"string"},{"name":"IsActive","type":"boolean"}]}"#,
        ),
        target if target.starts_with(RESULTS) => results(seen),
        _ => not_found(),
    })
    .await
}

/// A page that promises so many rows and is the last.
fn page(rows: usize, pieces: Vec<Vec<u8>>, end: End) -> Reply {
    Reply {
        headers: vec![
            ("sforce-numberofrecords", rows.to_string().leak()),
            ("sforce-locator", "null"),
            ("content-type", "text/csv"),
        ],
        pieces: Some((pieces, end)),
        ..Reply::ok("")
    }
}

fn whole(rows: usize, csv: &str) -> Reply {
    page(rows, vec![csv.as_bytes().to_vec()], End::Regular)
}

fn packed(rows: usize, pieces: Vec<Vec<u8>>) -> Reply {
    let mut reply = page(rows, pieces, End::Regular);
    reply.headers.push(("content-encoding", "gzip"));
    reply
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

async fn open(server: &Server, columns: &str) -> Opened {
    let columns = columns.split(',').map(str::to_owned).collect::<Vec<_>>();
    server
        .client()
        .bulk_results(&job(), &columns, None, 10_000)
        .await
}

async fn all(mut page: Box<dyn BulkPage>) -> Result<Vec<Row>, SourceError> {
    let mut rows = Vec::new();
    loop {
        let more = page.rows(7).await?;
        assert!(more.len() <= 7);
        if more.is_empty() {
            assert_eq!(rows.len() as u64, page.promised());
            return Ok(rows);
        }
        rows.extend(more);
    }
}

/// What a page of `Id` and `Name` comes to.
async fn read(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Result<Vec<Row>, SourceError> {
    let server = org(move |_| reply()).await;
    all(open(&server, "Id,Name").await?).await
}

fn garbled(answer: Result<Vec<Row>, SourceError>) -> String {
    match answer {
        Err(SourceError::Garbled(reason)) => reason,
        other => panic!("not garbled: {other:?}"),
    }
}

#[tokio::test]
async fn values_have_the_types_and_forms_that_rest_gives_them() {
    let server = org(|_| {
        whole(
            2,
            "\"Id\",\"Name\",\"Amount\",\"Probability\",\"Count__c\",\"IsClosed\",\"CloseDate\",\"SystemModstamp\",\"Tags__c\"\n\
             \"006\",\"12\",\"1.6147805824397E13\",\"75.0\",\"9.12260031E8\",\"true\",\"2026-01-31\",\"2024-07-24T14:05:58.000Z\",\"a;b\"\n\
             \"007\",\"\",\"\",\"0\",\"-1.5E-3\",\"false\",\"\",\"\",\"\"\n",
        )
    })
    .await;
    let rows = all(open(
        &server,
        "Id,Name,Amount,probability,Count__c,IsClosed,CloseDate,SYSTEMMODSTAMP,Tags__c",
    )
    .await
    .unwrap())
    .await
    .unwrap();
    assert_eq!(
        rows[0].get(),
        r#"{"Id":"006","Name":"12","Amount":16147805824397,"Probability":75.0,"Count__c":912260031,"IsClosed":true,"CloseDate":"2026-01-31","SystemModstamp":"2024-07-24T14:05:58.000+0000","Tags__c":"a;b"}"#
    );
    assert_eq!(
        rows[1].get(),
        r#"{"Id":"007","Name":null,"Amount":null,"Probability":0,"Count__c":-0.0015,"IsClosed":false,"CloseDate":null,"SystemModstamp":null,"Tags__c":null}"#
    );
}

#[tokio::test]
async fn parents_are_objects_and_absent_ones_null() {
    let server = org(|_| {
        whole(
            4,
            "\"Id\",\"Account.Name\",\"AccountId\",\"Account.AnnualRevenue\",\"Account.Owner.IsActive\",\"Owner.IsActive\"\n\
             \"1\",\"A\",\"001\",\"1E3\",\"true\",\"false\"\n\
             \"2\",\"\",\"\",\"\",\"\",\"\"\n\
             \"3\",\"\",\"001\",\"\",\"\",\"true\"\n\
             \"4\",\"\",\"001\",\"\",\"false\",\"true\"\n",
        )
    })
    .await;
    let rows = all(open(
        &server,
        "Id,account.name,AccountId,Account.AnnualRevenue,Account.Owner.IsActive,Owner.IsActive",
    )
    .await
    .unwrap())
    .await
    .unwrap();
    let texts = rows.iter().map(Row::get).collect::<Vec<_>>();
    assert_eq!(
        texts,
        [
            r#"{"Id":"1","Account":{"Name":"A","AnnualRevenue":1000,"Owner":{"IsActive":true}},"AccountId":"001","Owner":{"IsActive":false}}"#,
            r#"{"Id":"2","Account":null,"AccountId":null,"Owner":null}"#,
            r#"{"Id":"3","Account":{"Name":null,"AnnualRevenue":null,"Owner":null},"AccountId":"001","Owner":{"IsActive":true}}"#,
            r#"{"Id":"4","Account":{"Name":null,"AnnualRevenue":null,"Owner":{"IsActive":false}},"AccountId":"001","Owner":{"IsActive":true}}"#,
        ]
    );
}

#[tokio::test]
async fn pages_follow_by_locator_and_objects_are_described_once() {
    let server = org(|seen| {
        let last = seen.target.contains("locator=MTAw%2BMA");
        let mut reply = whole(
            1,
            if last {
                "\"Id\"\n\"2\"\n"
            } else {
                "\"Id\"\n\"1\"\n"
            },
        );
        reply.headers[1].1 = if last { "null" } else { "MTAw+MA" };
        reply
    })
    .await;
    let client = server.client();
    let columns = ["Id".to_owned()];
    let first = client
        .bulk_results(&job(), &columns, None, 0)
        .await
        .unwrap();
    assert_eq!((first.promised(), first.next()), (1, Some("MTAw+MA")));
    let last = client
        .bulk_results(&job(), &columns, first.next(), 500)
        .await
        .unwrap();
    assert_eq!(last.next(), None);
    assert_eq!(all(first).await.unwrap()[0].get(), r#"{"Id":"1"}"#);
    assert_eq!(all(last).await.unwrap()[0].get(), r#"{"Id":"2"}"#);
    let asked = server.seen(RESULTS);
    assert_eq!(asked[0].target, format!("{RESULTS}?maxRecords=1"));
    assert_eq!(
        asked[1].target,
        format!("{RESULTS}?maxRecords=500&locator=MTAw%2BMA")
    );
    assert_eq!(asked[0].headers["accept"], "text/csv");
    assert_eq!(asked[0].headers["accept-encoding"], "gzip");
    assert_eq!(server.seen(OBJECTS).len(), 1);
    // Another process begins in the middle.
    let resumed = server
        .client()
        .bulk_results(&job(), &columns, Some("MTAw+MA"), 500)
        .await;
    assert_eq!(all(resumed.unwrap()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_empty_result_may_have_a_header_or_none() {
    assert_eq!(read(|| whole(0, "\"Id\",\"Name\"\n")).await, Ok(Vec::new()));
    assert_eq!(read(|| whole(0, "")).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_header_that_is_not_the_querys_is_named() {
    for (header, named) in [
        (
            "\"Id\",\"Nme\"",
            "column 2 is \"Nme\" where Name was asked for",
        ),
        (
            "\"Name\",\"Id\"",
            "column 1 is \"Name\" where Id was asked for",
        ),
        ("\"Id\"", "its columns end before Name"),
        (
            "\"Id\",\"Name\",\"Extra\"",
            "\"Extra\", which nobody asked for",
        ),
        ("<html>", "column 1 is \"<html>\""),
    ] {
        let csv = format!("{header}\n\"1\",\"2\"\n");
        let reason = garbled(read(move || whole(1, &csv)).await);
        assert!(reason.contains(named), "{reason}");
    }
}

#[tokio::test]
async fn a_column_that_no_object_has_is_refused() {
    let server = org(|_| whole(0, "")).await;
    for columns in ["Id,Nme", "Nobody.Name", "Account.Nme"] {
        let error = open(&server, columns).await.err().unwrap();
        assert!(
            matches!(error, SourceError::Refused { ref code, .. } if code == "INVALID_FIELD"),
            "{error}"
        );
    }
    assert!(server.seen(RESULTS).is_empty());
}

#[tokio::test]
async fn fewer_or_more_rows_than_promised_are_no_page() {
    let csv = "\"Id\",\"Name\"\n\"1\",\"a\"\n\"2\",\"b\"\n";
    assert_eq!(read(|| whole(2, csv)).await.unwrap().len(), 2);
    assert!(garbled(read(|| whole(3, csv)).await).contains("promised 3 rows and ended after 2"));
    assert!(garbled(read(|| whole(1, csv)).await).contains("more rows than the 1"));
    assert!(garbled(read(|| whole(1, "")).await).contains("promised 1 rows and ended after 0"));
}

#[tokio::test]
async fn what_is_no_csv_of_the_query_is_garbled_without_its_values() {
    for rows in [
        "\"1\"\n",
        "\"1\",\"secret\",\"c\"\n",
        "\"1\",\"secret\"x\n",
        "\"1\",sec\"ret\n",
        "\"1\",\"secret",
    ] {
        let csv = format!("\"Id\",\"Name\"\n{rows}");
        let reason = garbled(read(move || whole(1, &csv)).await);
        assert!(!reason.contains("sec"), "{reason}");
    }
    for (column, value) in [
        ("Amount", "much"),
        ("IsClosed", "perhaps"),
        ("IsClosed", "7"),
    ] {
        let server = org(move |_| whole(1, &format!("\"{column}\"\n\"{value}\"\n"))).await;
        let reason = garbled(all(open(&server, column).await.unwrap()).await);
        assert!(
            reason.contains(column) && !reason.contains(value),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_page_without_count_or_locator_is_not_taken_for_the_last() {
    for missing in 0..2 {
        let server = org(move |_| {
            let mut reply = whole(0, "");
            reply.headers.remove(missing);
            reply
        })
        .await;
        assert!(matches!(
            open(&server, "Id").await.err(),
            Some(SourceError::Garbled(_))
        ));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_a_short_one() {
    // After a complete row, so that nothing but the broken transfer tells.
    let rows = read(|| {
        page(
            1,
            vec![b"\"Id\",\"Name\"\n\"1\",\"a\"\n".to_vec()],
            End::Broken,
        )
    })
    .await;
    assert!(garbled(rows).contains("broke off"));
}

/// Neither a length nor chunks, as from an HTTP/1.0 proxy: the connection's end is the body's.
#[tokio::test]
async fn the_last_value_of_a_body_without_a_marked_end_may_be_cut() {
    let unmarked =
        |csv: &'static str| read(move || page(1, vec![csv.as_bytes().to_vec()], End::Unmarked));
    let whole = unmarked("\"Id\",\"Name\"\n\"1\",\"a\"\n").await;
    assert_eq!(whole.unwrap().len(), 1);
    let cut = unmarked("\"Id\",\"Name\"\n\"1\",\"a\"").await;
    assert!(garbled(cut).contains("no line end"));
}

#[tokio::test]
async fn gzip_is_unpacked_and_a_cut_or_damaged_one_is_garbled() {
    let mut csv = "\"Id\",\"Name\"\n".to_owned();
    for number in 0..5_000 {
        csv += &format!("\"{number}\",\"{}\"\n", number * 7_919 % 1_000);
    }
    let body = gzip(csv.as_bytes());
    for size in [1, 100, body.len()] {
        let pieces = body.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let rows = read(move || packed(5_000, pieces.clone())).await.unwrap();
        assert_eq!(rows[4_999].get(), r#"{"Id":"4999","Name":"81"}"#);
    }
    // Without its trailer all rows are there, and still the end is missing.
    for cut in [1, 8, body.len() / 2] {
        let cut = body[..body.len() - cut].to_vec();
        assert!(garbled(read(move || packed(5_000, vec![cut.clone()])).await).contains("gzip"));
    }
    let mut flipped = body.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    assert!(garbled(read(move || packed(5_000, vec![flipped.clone()])).await).contains("gzip"));
    let longer = [&body[..], b"more"].concat();
    garbled(read(move || packed(5_000, vec![longer.clone()])).await);
    let unknown = || {
        let mut reply = whole(0, "");
        reply.headers.push(("content-encoding", "br"));
        reply
    };
    garbled(read(unknown).await);
}

#[tokio::test]
async fn silence_in_the_middle_is_unreachable_and_nothing_more_comes() {
    let server = org(|_| page(2, vec![b"\"Id\"\n\"1\"\n".to_vec()], End::Silent)).await;
    let config = Config {
        request_timeout: Duration::from_secs(1),
        ..server.config()
    };
    let client = salesforce::connect(config, Arc::new(FixedClock)).unwrap();
    let mut page = client
        .bulk_results(&job(), &["Id".to_owned()], None, 10)
        .await
        .unwrap();
    assert_eq!(page.rows(1).await.unwrap().len(), 1);
    let silent = page.rows(1).await.unwrap_err();
    assert!(matches!(silent, SourceError::Unreachable(_)));
    assert_eq!(page.rows(1).await, Err(silent));
}

#[tokio::test]
async fn rows_of_a_dropped_call_are_not_lost() {
    let server = org(|_| page(3, vec![b"\"Id\"\n\"1\"\n\"2\"\n".to_vec()], End::Silent)).await;
    let mut page = open(&server, "Id").await.unwrap();
    assert_eq!(page.rows(1).await.unwrap()[0].get(), r#"{"Id":"1"}"#);
    // Takes the second row and waits for the third: polled once, and dropped.
    assert!(futures::FutureExt::now_or_never(page.rows(2)).is_none());
    assert_eq!(page.rows(1).await.unwrap()[0].get(), r#"{"Id":"2"}"#);
}

#[tokio::test]
async fn the_deadline_is_for_silence_and_not_for_the_page() {
    let server = org(|_| {
        page(
            2,
            vec![b"\"Id\"\n\"1\"\n".to_vec(), b"\"2\"\n".to_vec()],
            End::Regular,
        )
    })
    .await;
    let config = Config {
        request_timeout: Duration::from_secs(1),
        ..server.config()
    };
    let client = salesforce::connect(config, Arc::new(FixedClock)).unwrap();
    let mut page = client
        .bulk_results(&job(), &["Id".to_owned()], None, 10)
        .await
        .unwrap();
    assert_eq!(page.rows(1).await.unwrap().len(), 1);
    // The reader takes longer than the deadline; the server was never silent.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(page.rows(1).await.unwrap().len(), 1);
    assert!(page.rows(1).await.unwrap().is_empty());
}

#[tokio::test]
async fn busy_moments_are_waited_out_and_an_expired_session_is_renewed() {
    let server = org(|seen| match seen.nth {
        0 => Reply {
            headers: vec![("retry-after", "0")],
            ..Reply::error(503, "SERVER_UNAVAILABLE")
        },
        1 => Reply::error(401, "INVALID_SESSION_ID"),
        _ => whole(1, "\"Id\"\n\"1\"\n"),
    })
    .await;
    assert_eq!(
        all(open(&server, "Id").await.unwrap()).await.unwrap().len(),
        1
    );
    assert_eq!(server.sign_ins(), 2);
}

#[tokio::test]
async fn long_texts_with_lines_and_quotes_come_whole() {
    let text = "a \"quoted\"\r\nline, é\n".repeat(1_800);
    assert!(text.chars().count() > 32_000);
    let csv = format!("\"Id\",\"Name\"\n\"1\",\"{}\"\n", text.replace('"', "\"\""));
    let rows = read(move || whole(1, &csv)).await.unwrap();
    assert_eq!(rows[0].fields().unwrap().text("Name").unwrap(), text);
}

/// Texts with everything that CSV treats specially.
fn value() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\"".to_owned()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just(",".to_owned()),
            Just("\\".to_owned()),
            any::<char>().prop_map(String::from),
            "[a-zé]{1,5}",
        ],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_table_cut_anywhere_comes_back(
        table in proptest::collection::vec((value(), value()), 0..30),
        cuts in proptest::collection::vec(1_usize..40, 1..20),
        as_gzip in any::<bool>(),
        crlf in any::<bool>(),
    ) {
        let mut writer = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::Always)
            .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .from_writer(Vec::new());
        writer.write_record(["Id", "Name"]).unwrap();
        for (id, name) in &table {
            writer.write_record([id, name]).unwrap();
        }
        let csv = writer.into_inner().unwrap();
        let mut body = &(if as_gzip { gzip(&csv) } else { csv })[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if body.is_empty() {
                break;
            }
            let (piece, rest) = body.split_at((*cut).min(body.len()));
            pieces.push(piece.to_vec());
            body = rest;
        }
        let promised = table.len();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rows = runtime.block_on(read(move || match as_gzip {
            true => packed(promised, pieces.clone()),
            false => page(promised, pieces.clone(), End::Regular),
        })).unwrap();
        let or_null = |text: &String| (!text.is_empty()).then(|| text.clone());
        for ((id, name), row) in table.iter().zip(&rows) {
            let fields = row.fields().unwrap();
            prop_assert_eq!(fields.text("Id"), or_null(id));
            prop_assert_eq!(fields.text("Name"), or_null(name));
        }
        prop_assert_eq!(rows.len(), table.len());
    }
}

/// What this process has in memory.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib = line.split_whitespace().next().unwrap();
    kib.parse::<u64>().unwrap() / 1024
}

/// Texts as long as Salesforce has them, with everything that CSV has to quote.
fn long_text() -> String {
    "a \"quoted\" word,\nthen \u{e9}; ".repeat(1_200)
}

/// A page that is made while it is read.
fn long_page(rows: usize, is_packed: bool) -> Reply {
    let csv = format!("\"{}\"\n", long_text().replace('"', "\"\""));
    let mut packer = is_packed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let mut number = 0;
    let next = move || {
        let text = match number {
            0 => "\"Id\",\"Name\"\n".to_owned(),
            _ => format!("\"{number}\",{csv}"),
        };
        number += 1;
        if number <= rows + 1 {
            let Some(packer) = &mut packer else {
                return Some(text.into_bytes());
            };
            packer.write_all(text.as_bytes()).unwrap();
            return Some(std::mem::take(packer.get_mut()));
        }
        packer.take().map(|packer| packer.finish().unwrap())
    };
    let mut reply = page(rows, Vec::new(), End::Regular);
    reply.made = Some(Made(Box::new(next)));
    if is_packed {
        reply.headers.push(("content-encoding", "gzip"));
    }
    reply
}

#[tokio::test]
async fn a_page_of_a_hundred_megabytes_is_never_in_memory_as_a_whole() {
    const ROWS: usize = 3_300;
    let expected = long_text();
    assert!(expected.len() * ROWS > 100_000_000);
    for is_packed in [false, true] {
        let server = org(move |_| long_page(ROWS, is_packed)).await;
        let mut page = open(&server, "Id,Name").await.unwrap();
        let (before, mut most, mut came) = (resident_mib(), 0, 0);
        loop {
            let rows = page.rows(50).await.unwrap();
            if rows.is_empty() {
                break;
            }
            for row in rows {
                came += 1;
                let fields = row.fields().unwrap();
                assert_eq!(fields.text("Id").unwrap(), came.to_string());
                assert!(fields.text("Name").unwrap() == expected, "row {came}");
            }
            most = most.max(resident_mib());
        }
        assert_eq!((came, page.promised()), (ROWS, ROWS as u64));
        let grown = most.saturating_sub(before);
        assert!(grown < 40, "{grown} MiB more");
    }
}
