"""What other people's loaders write to the org arrives in mOS: Bulk API 2.0, composite and REST.

mosync itself runs between the two stand-ins meanwhile.
"""

import csv
import io
import os
import time

import requests
from simple_salesforce import Salesforce

from at_the_fake import DOMAIN, session
from checks import CLIENT_ID, CLIENT_SECRET, Checks, expect

MOS = os.environ["FAKE_MOS_URL"]
MOS_KEY = os.environ["FAKE_MOS_KEY"]
PATIENCE_S = 90
DEALS = 300

checks = Checks("loaders to mOS")
sf = checks.check(
    "signs in with client credentials",
    lambda: Salesforce(
        consumer_key=CLIENT_ID, consumer_secret=CLIENT_SECRET, domain=DOMAIN, session=session()
    ),
)


def in_mos(kind, key):
    """The fields of a record as mOS has them; nothing where it has none."""
    answer = requests.get(
        f"{MOS}/v1/records/{kind}/{key}",
        headers={"Authorization": f"Bearer {MOS_KEY}"},
        timeout=30,
    )
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return answer.json()["fields"]


def arrive(kind, wanted):
    """Waits until mOS holds these fields of these records."""
    left, end = dict(wanted), time.monotonic() + PATIENCE_S
    while left:
        for key, fields in list(left.items()):
            held = in_mos(kind, key)
            if held is not None and all(held.get(name) == value for name, value in fields.items()):
                del left[key]
            else:
                break
        expect(time.monotonic() < end, kind, len(left), next(iter(left.items()), None))
        if left:
            time.sleep(0.2)


def owner():
    """Somebody with mOS permission."""
    rows = sf.query(
        "SELECT AssigneeId FROM PermissionSetAssignment "
        "WHERE PermissionSet.Name = 'mOS_Admin' AND Assignee.IsActive = true AND ExpirationDate = null"
    )["records"]
    return rows[0]["AssigneeId"]


def inserted(entity, records):
    (answer,) = getattr(sf.bulk2, entity).insert(records=records, wait=0.05)
    expect(answer["numberRecordsFailed"] == 0, answer)
    rows = getattr(sf.bulk2, entity).get_successful_records(answer["job_id"])
    return [row["sf__Id"] for row in csv.DictReader(io.StringIO(rows, newline=""))]


def bulk_insert():
    who = owner()
    accounts = inserted("Account", [{"Name": f"loaded {n}", "Industry": "Energy"} for n in range(DEALS)])
    contacts = inserted(
        "Contact",
        [{"LastName": f"Loaded {n}", "AccountId": key} for n, key in enumerate(accounts)],
    )
    deals = inserted(
        "Opportunity",
        [
            {
                "Name": f'deal "{n}",\nÉ',
                "StageName": "Prospecting",
                "CloseDate": "2031-05-01",
                "Amount": str(1000 + n),
                "AccountId": key,
                "OwnerId": who,
            }
            for n, key in enumerate(accounts)
        ],
    )
    inserted(
        "OpportunityContactRole",
        [
            {"OpportunityId": deal, "ContactId": contact, "Role": "Decision Maker"}
            for deal, contact in zip(deals, contacts)
        ],
    )
    return accounts, contacts, deals


def bulk_insert_flows_on():
    arrive("company", {key: {"name": f"loaded {n}", "industry": "Energy"} for n, key in enumerate(accounts)})
    arrive("contact", {key: {"last_name": f"Loaded {n}"} for n, key in enumerate(contacts)})
    arrive("opportunity", {key: {"name": f'deal "{n}",\nÉ'} for n, key in enumerate(deals)})


def bulk_update():
    records = [{"Id": key, "NextStep": f"step {n}"} for n, key in enumerate(deals)]
    (answer,) = sf.bulk2.Opportunity.update(records=records, wait=0.05)
    expect(answer["numberRecordsFailed"] == 0, answer)
    arrive("opportunity", {key: {"next_step": f"step {n}"} for n, key in enumerate(deals)})


def composite_update():
    body = {
        "allOrNone": True,
        "records": [
            {"attributes": {"type": "Account"}, "id": key, "Website": f"https://{n}.example"}
            for n, key in enumerate(accounts[:200])
        ],
    }
    results = sf.restful("composite/sobjects", method="PATCH", json=body)
    expect(all(result["success"] for result in results), results)
    arrive("company", {key: {"website": f"https://{n}.example"} for n, key in enumerate(accounts[:200])})


def single_update():
    sf.Contact.update(contacts[0], {"Title": "loaded alone"})
    arrive("contact", {contacts[0]: {"title": "loaded alone"}})


def deleted_stays():
    (answer,) = sf.bulk2.Opportunity.delete(records=[{"Id": deals[0]}], wait=0.05)
    expect(answer["numberRecordsFailed"] == 0, answer)
    # A change made afterwards has arrived, so the deletion has been dealt with.
    sf.Opportunity.update(deals[1], {"NextStep": "after the deletion"})
    arrive("opportunity", {deals[1]: {"next_step": "after the deletion"}})
    expect(in_mos("opportunity", deals[0]) is not None)


accounts, contacts, deals = checks.check("loads deals with all that belongs to them by Bulk 2.0", bulk_insert)
checks.check("what was inserted by Bulk 2.0 arrives in mOS", bulk_insert_flows_on)
checks.check("what was updated by Bulk 2.0 arrives in mOS", bulk_update)
checks.check("what was updated by composite arrives in mOS", composite_update)
checks.check("what was updated alone arrives in mOS", single_update)
checks.check("what was deleted stays in mOS", deleted_stays)
