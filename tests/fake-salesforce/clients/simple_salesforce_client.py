"""simple-salesforce (Python, REST). It speaks https only, and signs in at *.salesforce.com only."""

from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from at_the_fake import DOMAIN, session
from checks import (
    CLIENT_ID,
    CLIENT_SECRET,
    JWT_KEY,
    OPPORTUNITIES,
    URL,
    USERNAME,
    Checks,
    expect,
    refused,
)

checks = Checks("simple-salesforce https")
sf = checks.check(
    "signs in with client credentials",
    lambda: Salesforce(
        consumer_key=CLIENT_ID, consumer_secret=CLIENT_SECRET, domain=DOMAIN, session=session()
    ),
)
checks.check(
    "signs in with JWT bearer",
    lambda: Salesforce(
        username=USERNAME, consumer_key=CLIENT_ID, privatekey_file=JWT_KEY, session=session()
    ).limits(),
)


def wrong_secret():
    raised = refused(
        SalesforceAuthenticationFailed,
        lambda: Salesforce(
            consumer_key=CLIENT_ID, consumer_secret="wrong", domain=DOMAIN, session=session()
        ),
    )
    expect(raised.code == "invalid_client", raised.code)


checks.check("understands a refused sign-in", wrong_secret)


def describe_global():
    names = {entity["name"] for entity in sf.describe()["sobjects"]}
    expect({"Account", "Contact", "Opportunity", "User"} <= names, names)


def describe():
    described = sf.Opportunity.describe()
    fields = {field["name"]: field for field in described["fields"]}
    expect(fields["StageName"]["type"] == "picklist", fields["StageName"])
    expect(fields["AccountId"]["referenceTo"] == ["Account"], fields["AccountId"])


checks.check("describes the org", describe_global)
checks.check("describes an object", describe)


def paging():
    first = sf.query("SELECT Id, Name, Account.Name FROM Opportunity")
    expect(len(first["records"]) == 2000 and not first["done"], len(first["records"]))
    expect(first["totalSize"] >= OPPORTUNITIES, first["totalSize"])
    rows = list(sf.query_all_iter("SELECT Id, Name, Account.Name FROM Opportunity"))
    expect(len({row["Id"] for row in rows}) == first["totalSize"], len(rows))


def group_by():
    rows = sf.query("SELECT StageName, COUNT(Id) n FROM Opportunity GROUP BY StageName")["records"]
    count = sf.query("SELECT COUNT() FROM Opportunity")["totalSize"]
    expect(sum(row["n"] for row in rows) == count, rows, count)


def bad_query():
    raised = refused(SalesforceMalformedRequest, lambda: sf.query("SELECT Nothing FROM Account"))
    expect(raised.content[0]["errorCode"] == "INVALID_FIELD", raised.content)


checks.check("queries in pages", paging)
checks.check("queries aggregates", group_by)
checks.check("understands a malformed query", bad_query)


def create():
    created = sf.Account.create({"Name": "simple-salesforce", "BillingCity": "Genève"})
    expect(created["success"] and created["errors"] == [], created)
    return created["id"]


def get():
    row = sf.Account.get(account)
    expect(row["Name"] == "simple-salesforce" and row["BillingCity"] == "Genève", row)


def update():
    expect(sf.Account.update(account, {"Name": "simple-salesforce 2"}) == 204)
    rows = sf.query(f"SELECT Name FROM Account WHERE Id = '{account}'")["records"]
    expect([row["Name"] for row in rows] == ["simple-salesforce 2"], rows)


def delete():
    expect(sf.Account.delete(account) == 204)
    refused(SalesforceResourceNotFound, lambda: sf.Account.get(account))
    query = f"SELECT Id, IsDeleted FROM Account WHERE Id = '{account}'"
    expect(sf.query(query)["totalSize"] == 0)
    rows = sf.query(query, include_deleted=True)["records"]
    expect([row["IsDeleted"] for row in rows] == [True], rows)


account = checks.check("creates a record", create)
checks.check("reads a record", get)
checks.check("updates a record", update)
checks.check("deletes a record, which queryAll still finds", delete)


def expired():
    held = sf.session_id
    sf.session.post(f"{URL}/services/oauth2/revoke", data={"token": held}).raise_for_status()
    expect(sf.limits()["DailyApiRequests"]["Max"] > 0)
    expect(sf.session_id != held)


checks.check("signs in again when its session has ended", expired)
