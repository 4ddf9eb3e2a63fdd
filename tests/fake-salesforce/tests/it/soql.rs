//! SOQL against a small org whose answers were worked out by hand.
use std::sync::Arc;

use fake_salesforce::org::Org;
use serde_json::{Value, json};

use crate::common::{insert, one, org, update};
use fake_salesforce::dml::Dml;

/// Four deals on two accounts, and one without; today is Monday 2026-06-15.
///
/// | deal    | account | amount | stage             | close      | next step  |
/// |---------|---------|--------|-------------------|------------|------------|
/// | Alpha   | Acme    | 100    | Prospecting       | 2026-06-15 | call       |
/// | beta    | Acme    | 250.5  | Closed Won        | 2026-06-14 | -          |
/// | Gamma's | Ünder   | -      | Value Proposition | 2026-07-01 | CALL back  |
/// | 100%_d  | -       | 1000   | Prospecting       | 2026-05-31 | -          |
struct Fixture {
    org: Arc<Org>,
    acme: String,
    alpha: String,
    user: String,
}

fn fixture() -> Fixture {
    let (org, hands) = org();
    let user = insert(
        &org,
        "User",
        json!({"FirstName": "Ada", "LastName": "Byron", "Username": "ada@x.example", "Email": "ada@x.example"}),
    );
    let acme = insert(
        &org,
        "Account",
        json!({"Name": "Acme", "Industry": "Energy", "OwnerId": user, "BillingCity": "Oslo",
               "NumberOfEmployees": 10}),
    );
    let under = insert(
        &org,
        "Account",
        json!({"Name": "Ünder", "NumberOfEmployees": 3}),
    );
    let deal =
        |name: &str, account: Value, amount: Value, stage: &str, close: &str, next: Value| {
            insert(
                &org,
                "Opportunity",
                json!({"Name": name, "AccountId": account, "Amount": amount, "StageName": stage,
                   "CloseDate": close, "NextStep": next}),
            )
        };
    let alpha = deal(
        "Alpha",
        json!(acme),
        json!(100),
        "Prospecting",
        "2026-06-15",
        json!("call"),
    );
    hands.forward_s(86_400);
    deal(
        "beta",
        json!(acme),
        json!(250.5),
        "Closed Won",
        "2026-06-14",
        Value::Null,
    );
    deal(
        "Gamma's",
        json!(under),
        Value::Null,
        "Value Proposition",
        "2026-07-01",
        json!("CALL back"),
    );
    deal(
        "100%_d",
        Value::Null,
        json!(1000),
        "Prospecting",
        "2026-05-31",
        Value::Null,
    );
    hands.forward_s(-86_400);
    Fixture {
        org,
        acme,
        alpha,
        user,
    }
}

impl Fixture {
    /// The names of the deals that a condition finds, in the order of their making.
    fn deals(&self, condition: &str) -> Vec<String> {
        self.names(&format!(
            "SELECT Name FROM Opportunity WHERE {condition} ORDER BY Id"
        ))
    }

    fn names(&self, soql: &str) -> Vec<String> {
        let rows = self
            .org
            .query(soql, false)
            .unwrap_or_else(|error| panic!("{soql}: {error}"));
        rows.iter()
            .map(|row| row["Name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn error(&self, soql: &str) -> &'static str {
        match self.org.query(soql, false) {
            Ok(rows) => panic!("{soql}: {} rows", rows.len()),
            Err(error) => error.code,
        }
    }
}

#[test]
fn conditions_find_what_was_worked_out_by_hand() {
    let fixture = fixture();
    let (alpha, beta, gamma, delta) = ("Alpha", "beta", "Gamma's", "100%_d");
    let id = &fixture.alpha;
    let short = id.get(..15).unwrap();
    let acme = &fixture.acme;
    let cases: Vec<(String, Vec<&str>)> = [
        // Text: no case, blanks kept by every negation, empty text is null.
        ("Name = 'ALPHA'", vec![alpha]),
        ("NextStep = 'Call'", vec![alpha]),
        ("NextStep != 'call'", vec![beta, gamma, delta]),
        ("NextStep <> 'call'", vec![beta, gamma, delta]),
        ("NextStep = null", vec![beta, delta]),
        ("NextStep = ''", vec![beta, delta]),
        ("NextStep != null", vec![alpha, gamma]),
        ("NextStep != ''", vec![alpha, gamma]),
        ("NextStep LIKE 'call%'", vec![alpha, gamma]),
        ("NOT NextStep LIKE 'call%'", vec![beta, delta]),
        ("(NOT NextStep LIKE 'call%') AND Amount > 500", vec![delta]),
        ("NOT (NextStep < 'd')", vec![beta, delta]),
        ("NextStep IN ('call', null)", vec![alpha, beta, delta]),
        ("NextStep NOT IN ('call')", vec![beta, gamma, delta]),
        ("Name LIKE '%\\%\\_d'", vec![delta]),
        ("Name LIKE '_eta'", vec![beta]),
        ("Name = 'Gamma\\'s'", vec![gamma]),
        ("Name > 'b' AND Name < 'h'", vec![beta, gamma]),
        // Numbers.
        ("Amount > 100", vec![beta, delta]),
        ("Amount >= 1e2", vec![alpha, beta, delta]),
        ("Amount != 100", vec![beta, gamma, delta]),
        ("Amount = null", vec![gamma]),
        ("Amount IN (100, 250.5)", vec![alpha, beta]),
        ("NOT Amount > 100", vec![alpha, gamma]),
        ("Probability = 100", vec![beta]),
        ("Amount > -5 AND Amount < 101", vec![alpha]),
        // Checkboxes.
        ("IsClosed = true", vec![beta]),
        ("IsClosed = FALSE AND IsWon = false", vec![alpha, gamma, delta]),
        ("IsPrivate != null", vec![]),
        // Dates.
        ("CloseDate = 2026-06-14", vec![beta]),
        ("CloseDate < 2026-06-14", vec![delta]),
        ("CloseDate = TODAY", vec![alpha]),
        ("CloseDate = YESTERDAY", vec![beta]),
        ("CloseDate < THIS_MONTH", vec![delta]),
        ("CloseDate <= THIS_MONTH", vec![alpha, beta, delta]),
        ("CloseDate > THIS_MONTH", vec![gamma]),
        ("CloseDate = NEXT_QUARTER", vec![gamma]),
        ("CloseDate = LAST_N_DAYS:1", vec![alpha, beta]),
        ("CloseDate = NEXT_N_DAYS:16", vec![gamma]),
        ("CloseDate = NEXT_N_DAYS:15", vec![]),
        ("CloseDate != LAST_MONTH", vec![alpha, beta, gamma]),
        ("CloseDate = THIS_WEEK", vec![alpha, beta]),
        // Datetimes, to the second.
        ("CreatedDate = 2026-06-15T12:00:00Z", vec![alpha]),
        ("CreatedDate < 2026-06-15T14:00:01.000+02:00", vec![alpha]),
        ("CreatedDate > 2026-06-15T12:00:00.000+0000", vec![beta, gamma, delta]),
        ("CreatedDate = TODAY", vec![alpha]),
        ("SystemModstamp > TODAY", vec![beta, gamma, delta]),
        // Ids, in both lengths.
        (&format!("Id = '{id}'"), vec![alpha]),
        (&format!("Id = '{short}'"), vec![alpha]),
        (&format!("Id > '{id}'"), vec![beta, gamma, delta]),
        (&format!("Id >= '{id}' AND Id <= '{id}'"), vec![alpha]),
        (&format!("Id < '{id}'"), vec![]),
        (&format!("Id != '{id}'"), vec![beta, gamma, delta]),
        (&format!("AccountId = '{acme}'"), vec![alpha, beta]),
        (&format!("AccountId NOT IN ('{acme}')"), vec![gamma, delta]),
        (&format!("AccountId IN ('{acme}', null)"), vec![alpha, beta, delta]),
        ("AccountId = null", vec![delta]),
        // Parents; a missing one is empty.
        ("Account.Name = 'acme'", vec![alpha, beta]),
        ("Account.Name = 'üNDER'", vec![gamma]),
        ("Account.Industry = null", vec![gamma, delta]),
        ("Account.Owner.LastName = 'Byron'", vec![alpha, beta]),
        ("Account.NumberOfEmployees < 5", vec![gamma]),
        // AND, OR, NOT and parentheses.
        ("Amount = 100 OR Amount = 1000", vec![alpha, delta]),
        ("(Amount = 100 OR Amount = 1000) AND NextStep = null", vec![delta]),
        ("NOT (Amount = 100 OR Amount = 1000)", vec![beta, gamma]),
        ("IsClosed = false AND (NOT StageName = 'Prospecting')", vec![gamma]),
        ("(((Amount = 100)))", vec![alpha]),
        // Semi- and anti-joins.
        ("AccountId IN (SELECT Id FROM Account WHERE Industry = 'Energy')", vec![alpha, beta]),
        ("AccountId NOT IN (SELECT Id FROM Account WHERE Industry = 'Energy')", vec![gamma, delta]),
        (
            "IsClosed = false AND AccountId IN (SELECT Id FROM Account WHERE NumberOfEmployees > 1)",
            vec![alpha, gamma],
        ),
    ]
    .into_iter()
    .map(|(condition, names)| (condition.to_owned(), names))
    .collect();
    for (condition, expected) in cases {
        assert_eq!(fixture.deals(&condition), expected, "{condition}");
    }
}

#[test]
fn order_limit_and_offset() {
    let fixture = fixture();
    let names = |clause: &str| fixture.names(&format!("SELECT Name FROM Opportunity {clause}"));
    assert_eq!(
        names("ORDER BY Amount"),
        ["Gamma's", "Alpha", "beta", "100%_d"]
    );
    assert_eq!(
        names("ORDER BY Amount NULLS LAST"),
        ["Alpha", "beta", "100%_d", "Gamma's"]
    );
    assert_eq!(
        names("ORDER BY Amount DESC"),
        ["Gamma's", "100%_d", "beta", "Alpha"]
    );
    assert_eq!(
        names("ORDER BY Amount DESC NULLS LAST LIMIT 2"),
        ["100%_d", "beta"]
    );
    assert_eq!(
        names("ORDER BY Name ASC"),
        ["100%_d", "Alpha", "beta", "Gamma's"]
    );
    assert_eq!(
        names("ORDER BY Account.Name DESC NULLS LAST, CloseDate"),
        ["Gamma's", "beta", "Alpha", "100%_d"]
    );
    assert_eq!(names("ORDER BY Id LIMIT 1 OFFSET 2"), ["Gamma's"]);
    assert_eq!(names("ORDER BY Id DESC LIMIT 1"), ["100%_d"]);
    assert_eq!(names("LIMIT 0"), Vec::<String>::new());
}

#[test]
fn rows_nest_parents_and_aliases_work() {
    let fixture = fixture();
    let rows = fixture
        .org
        .query(
            "select o.id, o.account.name, o.Account.Owner.Name, o.Amount from Opportunity o where o.Name in ('Alpha', '100%_d')",
            false,
        )
        .unwrap();
    assert_eq!(
        Value::from(rows[0].clone()),
        json!({"Id": fixture.alpha, "Account": {"Name": "Acme", "Owner": {"Name": "Ada Byron"}}, "Amount": 100.0})
    );
    assert_eq!(rows[1]["Account"], Value::Null);
    let rows = fixture
        .org
        .query("SELECT Account.BillingCity, Account.BillingAddress, Account.Name FROM Account WHERE Name = 'Acme'", false)
        .unwrap();
    assert_eq!(rows[0]["BillingCity"], "Oslo");
    assert_eq!(rows[0]["BillingAddress"]["city"], "Oslo");
    let rows = fixture
        .org
        .query("SELECT FIELDS(STANDARD) FROM Account LIMIT 1", false)
        .unwrap();
    assert_eq!(rows[0]["Name"], "Acme");
    assert!(rows[0].contains_key("SystemModstamp") && rows[0].contains_key("ShippingAddress"));
}

#[test]
fn counts_and_groups() {
    let fixture = fixture();
    let ask = |soql: &str| {
        let rows = fixture
            .org
            .query(soql, false)
            .unwrap_or_else(|error| panic!("{soql}: {error}"));
        Value::from(rows.into_iter().map(Value::from).collect::<Vec<_>>())
    };
    assert_eq!(
        ask("SELECT COUNT() FROM Opportunity WHERE Amount > 100"),
        json!([{"expr0": 2}])
    );
    assert_eq!(
        ask("SELECT COUNT(Id) FROM Opportunity"),
        json!([{"expr0": 4}])
    );
    assert_eq!(
        ask(
            "SELECT COUNT(Amount) n, SUM(Amount), AVG(Amount), MIN(CloseDate), MAX(Name) FROM Opportunity"
        ),
        json!([{"n": 3, "expr0": 1350.5, "expr1": 450.166_666_666_666_7, "expr2": "2026-05-31", "expr3": "Gamma's"}])
    );
    assert_eq!(
        ask(
            "SELECT AccountId, COUNT(Id) c FROM Opportunity GROUP BY AccountId ORDER BY COUNT(Id) DESC LIMIT 1"
        ),
        json!([{"AccountId": fixture.acme, "c": 2}])
    );
    assert_eq!(
        ask("SELECT StageName, COUNT(Id) FROM Opportunity GROUP BY StageName ORDER BY StageName"),
        json!([
            {"StageName": "Closed Won", "expr0": 1},
            {"StageName": "Prospecting", "expr0": 2},
            {"StageName": "Value Proposition", "expr0": 1},
        ])
    );
    assert_eq!(
        ask(
            "SELECT Account.Name, COUNT_DISTINCT(StageName) FROM Opportunity WHERE Account.Name != null GROUP BY Account.Name ORDER BY Account.Name"
        ),
        json!([{"Name": "Acme", "expr0": 2}, {"Name": "Ünder", "expr0": 1}])
    );
    assert_eq!(ask("SELECT COUNT(Id) FROM Contact"), json!([{"expr0": 0}]));
    // A text that reads like an empty value is none.
    update(
        &fixture.org,
        "Opportunity",
        &fixture.alpha,
        json!({"NextStep": "Null"}),
    );
    assert_eq!(
        ask("SELECT NextStep, COUNT(Id) c FROM Opportunity GROUP BY NextStep ORDER BY NextStep"),
        json!([
            {"NextStep": null, "c": 2},
            {"NextStep": "CALL back", "c": 1},
            {"NextStep": "Null", "c": 1},
        ])
    );
    for soql in [
        "SELECT Account.Name, Account.Owner.Name, COUNT(Id) FROM Opportunity GROUP BY Account.Name, Account.Owner.Name",
        "SELECT SUM(Amount) a, MAX(Amount) A FROM Opportunity",
    ] {
        assert_eq!(fixture.error(soql), "MALFORMED_QUERY", "{soql}");
    }
}

#[test]
fn errors_carry_the_codes_that_salesforce_uses() {
    let fixture = fixture();
    let malformed = [
        "",
        "SELECT FROM Account",
        "SELECT Id Account",
        "SELECT Id FROM Account WHERE",
        "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
        "SELECT Id FROM Account WHERE Name = 'a' OR Name = 'b' AND Name = 'c'",
        "SELECT Id FROM Account WHERE Name = 'open",
        "SELECT Id FROM Account WHERE Name NOT LIKE 'a'",
        "SELECT Id FROM Account WHERE (Name = 'a'",
        "SELECT Id FROM Account WHERE Name == 'a'",
        "SELECT Id FROM Account LIMIT x",
        "SELECT Id FROM Account extra words",
        "SELECT Id FROM Account WHERE Name = 'bad \\q escape'",
        "SELECT FIELDS(ALL) FROM Account",
        "SELECT Name, COUNT(Id) FROM Account",
        "SELECT Id FROM Opportunity WHERE Name = 'x' OR AccountId IN (SELECT Id FROM Account)",
        "SELECT Id FROM Opportunity WHERE NOT AccountId IN (SELECT Id FROM Account)",
        "SELECT Id FROM Opportunity WHERE AccountId IN (SELECT Id FROM Account WHERE OwnerId IN (SELECT Id FROM User))",
        "SELECT Id FROM Opportunity WHERE AccountId IN (SELECT Name FROM Account)",
        "SELECT Id FROM Opportunity WHERE CloseDate = SOMEDAY",
    ];
    for soql in malformed {
        assert_eq!(fixture.error(soql), "MALFORMED_QUERY", "{soql}");
    }
    let fields = [
        "SELECT Nope FROM Account",
        "SELECT Id, Id FROM Account",
        "SELECT Nope.Name FROM Account",
        "SELECT Id FROM Account WHERE Nope = 1",
        "SELECT Id FROM Account WHERE Description = 'x'",
        "SELECT Id FROM Account WHERE Name = 5",
        "SELECT Id FROM Account WHERE NumberOfEmployees = '5'",
        "SELECT Id FROM Opportunity WHERE IsClosed = 'true'",
        "SELECT Id FROM Opportunity WHERE CloseDate = '2026-01-01'",
        "SELECT Id FROM Opportunity WHERE CloseDate = 2026-01-01T00:00:00Z",
        "SELECT Id FROM Opportunity WHERE CreatedDate = 2026-01-01",
        "SELECT Id FROM Opportunity ORDER BY Nope",
    ];
    for soql in fields {
        assert_eq!(fixture.error(soql), "INVALID_FIELD", "{soql}");
    }
    assert_eq!(fixture.error("SELECT Id FROM Nope"), "INVALID_TYPE");
    for soql in [
        "SELECT Id FROM Account WHERE Id = 'nonsense'",
        "SELECT Id FROM Account WHERE NumberOfEmployees LIKE '5'",
        "SELECT Id FROM Account WHERE Name INCLUDES ('5')",
    ] {
        let code = fixture.error(soql);
        assert!(
            code == "INVALID_QUERY_FILTER_OPERATOR" || code == "INVALID_FIELD",
            "{soql}: {code}"
        );
    }
    let error = fixture
        .org
        .query("SELECT Id, Nope FROM Account", false)
        .unwrap_err();
    assert!(
        error
            .message
            .contains("ERROR at Row:1:Column:12\nNo such column 'Nope' on entity 'Account'")
    );
    let deep = format!(
        "SELECT Id FROM Account WHERE {}Name = 'a'{}",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    assert_eq!(fixture.error(&deep), "QUERY_TOO_COMPLICATED");
    let long = format!("SELECT Id FROM Account WHERE Name = '{}'", "x".repeat(4001));
    assert_eq!(fixture.error(&long), "MALFORMED_QUERY");
}

#[test]
fn what_a_semi_join_can_not_be_is_refused() {
    let fixture = fixture();
    for soql in [
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity GROUP BY AccountId)",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity GROUP BY AccountId HAVING COUNT(Id) > 1)",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity ORDER BY Amount)",
        "SELECT Id FROM Account WHERE Id NOT IN (SELECT AccountId FROM Opportunity LIMIT 1)",
        "SELECT Id FROM Account WHERE Id IN (SELECT ParentId FROM Account)",
        "SELECT Id FROM Account WHERE Id IN (SELECT Opportunity.AccountId FROM OpportunityContactRole)",
        "SELECT Id FROM Account WHERE Id IN (SELECT OwnerId FROM Opportunity)",
        "SELECT Id FROM Opportunity WHERE Account.OwnerId IN (SELECT Id FROM User)",
    ] {
        assert_eq!(fixture.error(soql), "MALFORMED_QUERY", "{soql}");
    }
    // By the object's name or alias a field is none of a parent.
    for id in ["Account.Id", "a.Id"] {
        let soql = format!(
            "SELECT Name FROM Account a WHERE {id} IN (SELECT AccountId FROM Opportunity WHERE Amount = 100)"
        );
        assert_eq!(fixture.names(&soql), ["Acme"]);
    }
}

#[test]
fn deleted_records_show_in_query_all_only() {
    let fixture = fixture();
    one(
        &fixture.org,
        Dml::Delete {
            entity: "Account".to_owned(),
            id: fixture.acme.clone(),
        },
    );
    let soql =
        "SELECT Id, IsDeleted, Account.Name FROM Opportunity WHERE IsDeleted = true ORDER BY Id";
    assert!(fixture.org.query(soql, false).unwrap().is_empty());
    let rows = fixture.org.query(soql, true).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["Account"]["Name"], "Acme");
    let ids = [fixture.alpha.clone(), fixture.user.clone()];
    let rows = fixture
        .org
        .retrieve("Opportunity", &ids, &["Id".to_owned()])
        .unwrap();
    assert_eq!(rows, [None, None]);
}

#[test]
fn an_expired_assignment_is_inactive_from_its_moment_on() {
    let (org, hands) = org();
    let user = insert(
        &org,
        "User",
        json!({"LastName": "U", "Username": "u@x.example", "Email": "u@x.example"}),
    );
    let set = insert(&org, "PermissionSet", json!({"Name": "mOS_User"}));
    insert(
        &org,
        "PermissionSetAssignment",
        json!({"AssigneeId": user, "PermissionSetId": set, "ExpirationDate": "2026-06-15T12:00:10Z"}),
    );
    let holders = || {
        let soql = "SELECT AssigneeId FROM PermissionSetAssignment WHERE PermissionSet.Name = 'mOS_User' AND Assignee.IsActive = true AND IsActive = true";
        org.query(soql, false).unwrap().len()
    };
    assert_eq!(holders(), 1);
    hands.forward_s(10);
    assert_eq!(holders(), 0);
    hands.forward_s(-10);
    update(&org, "User", &user, json!({"IsActive": false}));
    assert_eq!(holders(), 0);
}

#[test]
fn holders_through_a_group_are_found_by_its_components() {
    let (org, _) = org();
    org.generate(10, 1);
    let through_group = "SELECT AssigneeId FROM PermissionSetAssignment WHERE Assignee.IsActive = true AND IsActive = true AND PermissionSetGroupId IN (SELECT PermissionSetGroupId FROM PermissionSetGroupComponent WHERE PermissionSet.Name = 'mOS_User')";
    assert_eq!(org.query(through_group, false).unwrap().len(), 3);
    // Twelve direct holders, three expired, two of the rest inactive.
    let direct = "SELECT AssigneeId FROM PermissionSetAssignment WHERE PermissionSet.Name IN ('mOS_Admin', 'mOS_User') AND Assignee.IsActive = true AND IsActive = true";
    assert_eq!(org.query(direct, false).unwrap().len(), 10);
}

#[test]
fn keyset_pages_cover_everything_once() {
    let (org, _) = org();
    org.generate(300, 9);
    let (mut last, mut seen) = (String::new(), Vec::new());
    loop {
        let after = if last.is_empty() {
            String::new()
        } else {
            format!("WHERE Id > '{last}' ")
        };
        let soql = format!("SELECT Id FROM Opportunity {after}ORDER BY Id LIMIT 70");
        let page = org.query(&soql, false).unwrap();
        let Some(row) = page.last() else { break };
        last = row["Id"].as_str().unwrap().to_owned();
        seen.extend(
            page.iter()
                .map(|row| row["Id"].as_str().unwrap().to_owned()),
        );
    }
    let all: Vec<String> = org
        .records("Opportunity")
        .iter()
        .map(|row| row.id().to_owned())
        .collect();
    assert_eq!(seen, all);
}
