"""simple-salesforce (Python) as extractor and loader: REST and Bulk API 2.0."""

import csv
import io
from time import sleep

import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceOperationError

from at_the_fake import DOMAIN, session
from checks import CLIENT_ID, CLIENT_SECRET, OPPORTUNITIES, URL, Checks, expect, refused

FIELDS = (
    "Id, Name, Amount, CloseDate, StageName, IsClosed, Description, AccountId, CreatedDate, "
    "SystemModstamp, Account.Name, Owner.Username"
)

checks = Checks("simple-salesforce bulk2")
sf = checks.check(
    "signs in with client credentials",
    lambda: Salesforce(
        consumer_key=CLIENT_ID, consumer_secret=CLIENT_SECRET, domain=DOMAIN, session=session()
    ),
)


def admin(path):
    answer = requests.get(f"{URL}/admin/{path}", timeout=60)
    answer.raise_for_status()
    return answer.json()


def held(entity):
    """The stand-in's own records, deleted ones left out."""
    return {row["Id"]: row for row in admin(f"state/{entity}") if not row["IsDeleted"]}


def expected(entity="Opportunity"):
    """What an extractor must find, in the types that both of its ways can be brought to."""
    accounts, users = held("Account"), {row["Id"]: row for row in admin("state/User")}
    found = {}
    for key, row in held(entity).items():
        found[key] = {
            "Id": key,
            "Name": row["Name"],
            "Amount": row["Amount"],
            "CloseDate": row["CloseDate"],
            "StageName": row["StageName"],
            "IsClosed": row["IsClosed"],
            "Description": row["Description"],
            "AccountId": row["AccountId"],
            "CreatedDate": row["CreatedDate"].removesuffix("+0000"),
            "SystemModstamp": row["SystemModstamp"].removesuffix("+0000"),
            "Account.Name": accounts[row["AccountId"]]["Name"] if row["AccountId"] else None,
            "Owner.Username": users[row["OwnerId"]]["Username"],
        }
    return found


def by_rest(soql):
    found = {}
    for row in sf.query_all_iter(soql):
        row["Account.Name"] = (row.pop("Account") or {}).get("Name")
        row["Owner.Username"] = (row.pop("Owner") or {}).get("Username")
        row.pop("attributes")
        for name in ("CreatedDate", "SystemModstamp"):
            row[name] = row[name].removesuffix("+0000")
        found[row["Id"]] = dict(row)
    return found


def by_bulk(soql, max_records=1000):
    found, pages = {}, 0
    for page in sf.bulk2.Opportunity.query(soql, max_records=max_records, wait=0.05):
        pages += 1
        for row in csv.DictReader(io.StringIO(page, newline=""), strict=True):
            row = {name: value or None for name, value in row.items()}
            row["Amount"] = row["Amount"] and float(row["Amount"])
            row["IsClosed"] = row["IsClosed"] == "true"
            for name in ("CreatedDate", "SystemModstamp"):
                row[name] = row[name].removesuffix("Z")
            expect(row["Id"] not in found, row["Id"])
            found[row["Id"]] = row
    return found, pages


def same(found, wanted):
    expect(found.keys() == wanted.keys(), len(found), len(wanted))
    for key, row in wanted.items():
        expect(found[key] == row, found[key], row)


def extract_rest():
    wanted = expected()
    expect(len(wanted) >= OPPORTUNITIES, len(wanted))
    same(by_rest(f"SELECT {FIELDS} FROM Opportunity"), wanted)


def extract_bulk():
    wanted = expected()
    found, pages = by_bulk(f"SELECT {FIELDS} FROM Opportunity")
    same(found, wanted)
    expect(pages == -(-len(wanted) // 1000), pages)


checks.check("extracts every opportunity over REST", extract_rest)
checks.check("extracts every opportunity over Bulk 2.0, by the page", extract_bulk)


def incremental():
    watermark = max(row["SystemModstamp"] for row in expected().values())
    # Stamps are whole seconds: the next change must come in a later one.
    sleep(1.1)
    ids = sorted(held("Opportunity"))[:3]
    for key in ids:
        sf.Opportunity.update(key, {"NextStep": "changed", "Amount": 12345678.5})
    wanted = {key: row for key, row in expected().items() if row["SystemModstamp"] > watermark}
    expect(sorted(wanted) == ids, sorted(wanted))
    where = f"WHERE SystemModstamp > {watermark}Z"
    same(by_rest(f"SELECT {FIELDS} FROM Opportunity {where}"), wanted)
    same(by_bulk(f"SELECT {FIELDS} FROM Opportunity {where}")[0], wanted)


checks.check("extracts what has changed since, over REST and Bulk 2.0", incremental)


def failing_job():
    fault = {"kind": "bulk_job_failed", "object": "Opportunity"}
    requests.post(f"{URL}/admin/faults", json=fault, timeout=60).raise_for_status()
    query = sf.bulk2.Opportunity.query("SELECT Id FROM Opportunity", wait=0.05)
    refused(SalesforceOperationError, lambda: next(query))


checks.check("understands a failed job", failing_job)


def changed(kind):
    """The ids that the ledger says were changed over the Bulk API in this way."""
    commits = [one for one in admin("history?after=2&limit=100000") if "/bulkapi/" in one["origin"]]
    expect(all(len(one["changes"]) <= 200 for one in commits))
    return {change["id"] for one in commits for change in one["changes"] if change["kind"] == kind}


def all_done(answers, count):
    expect(sum(one["numberRecordsProcessed"] for one in answers) == count, answers)
    expect(sum(one["numberRecordsFailed"] for one in answers) == 0, answers)


def insert():
    records = [{"Name": f'bulk2 "{number}",\nÉ', "Phone": str(number)} for number in range(500)]
    answers = sf.bulk2.Account.insert(records=records, wait=0.05)
    all_done(answers, 500)
    rows = sf.bulk2.Account.get_successful_records(answers[0]["job_id"])
    ids = [row["sf__Id"] for row in csv.DictReader(io.StringIO(rows, newline=""))]
    accounts = held("Account")
    names = [accounts[key]["Name"] for key in ids]
    expect(names == [record["Name"] for record in records], names[:3])
    expect(set(ids) == changed("CREATE"))
    return ids


def update():
    records = [{"Id": key, "Phone": "#N/A", "Fax": "updated"} for key in ids]
    all_done(sf.bulk2.Account.update(records=records, wait=0.05), 500)
    accounts = held("Account")
    expect(all(accounts[key]["Phone"] is None for key in ids))
    expect(all(accounts[key]["Fax"] == "updated" for key in ids))
    expect(set(ids) <= changed("UPDATE"))


def upsert():
    before = len(held("Account"))
    records = [{"Id": ids[0], "Name": "upserted"}, {"Id": "", "Name": "upserted too"}]
    answers = sf.bulk2.Account.upsert(records=records, external_id_field="Id", wait=0.05)
    all_done(answers, 2)
    accounts = held("Account")
    expect(accounts[ids[0]]["Name"] == "upserted" and len(accounts) == before + 1)


def refused_rows():
    records = [{"Name": "good", "NumberOfEmployees": "1"}, {"Name": "bad", "NumberOfEmployees": "many"}]
    (answer,) = sf.bulk2.Account.insert(records=records, wait=0.05)
    expect(answer["numberRecordsFailed"] == 1, answer)
    results = sf.bulk2.Account.get_all_ingest_records(answer["job_id"])
    expect([row["Name"] for row in results["successfulRecords"]] == ["good"], results)
    expect([row["Name"] for row in results["failedRecords"]] == ["bad"], results)
    expect(results["unprocessedRecords"] == [], results)


def delete():
    all_done(sf.bulk2.Account.delete(records=[{"Id": key} for key in ids], wait=0.05), 500)
    expect(not set(ids) & held("Account").keys())
    expect(set(ids) <= changed("DELETE"))


ids = checks.check("inserts 500 records, which the ledger of changes shows", insert)
checks.check("updates 500 records", update)
checks.check("upserts records", upsert)
checks.check("understands refused rows", refused_rows)
checks.check("deletes 500 records", delete)
