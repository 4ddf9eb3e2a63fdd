#!/usr/bin/env python3
"""Works out the answers of the SOQL corpus without the fake org: every statement has its SQL written
by hand beside it, and SQLite answers that. Writes org/*.csv (the records, as the fake org loads them)
and answers.json (the statements with their answers). Run it in this folder after a change:

    python3 work_out.py

The day is Monday 2026-06-15, the user's zone GMT. SOQL's logic has two values: what is compared with
an empty field is false and its negation true. Text is compared without case.
"""
import csv
import json
import re
import sqlite3

CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def sid(prefix, number):
    fifteen = f"{prefix}5g00000{number:05d}"
    assert len(fifteen) == 15
    tail = ""
    for block in range(3):
        bits = 0
        for place in range(5):
            if fifteen[block * 5 + place].isupper():
                bits |= 1 << place
        tail += CHECK[bits]
    return fifteen + tail


def user(n):
    return sid("005", n)


def account(n):
    return None if n is None else sid("001", n)


def contact(n):
    return None if n is None else sid("003", n)


def deal(n):
    return sid("006", n)


STAMP = "2026-0{}-{:02d}T{:02d}:30:00.000+0000"

USERS = [
    # number, first, last, active, title
    (1, "Ada", "Lovelace", True, "Account Executive"),
    (2, "Björn", "Ek", True, "VP Sales"),
    (3, None, "O'Hara", False, None),
    (4, "Zoë", "Adams", True, "account executive"),
    (5, "Łukasz", "Żak", True, "Engineer"),
]
ACCOUNTS = [
    # number, name, industry, type, employees, revenue, city, parent, owner
    (1, "Acme", "Energy", "Prospect", 10, 1000000, "Oslo", None, 1),
    (2, "acme east", "Energy", "Customer - Direct", 250, 5000000, "oslo", 1, 2),
    (3, "Zürich Präzision", "Manufacturing", "Customer - Direct", 4000, 70000000, "Zürich", None, 2),
    (4, "O'Reilly Freight", "Transportation", None, None, None, "Leeds", None, 3),
    (5, '"Quoted" Holdings', "Finance", "Other", 12, 250000, "Boston", 1, 4),
    (6, "100% Cotton_Co", "Retail", "Prospect", 0, 0, None, None, 5),
    (7, "Back\\slash Labs", "Technology", "Prospect", 77, 900000, "Kyōto", 3, 1),
    (8, "Nippon 電機", "Electronics", "Customer - Channel", 120000, 990000000, "Tokyo", None, 1),
    (9, "Globex", None, "Other", 300, 1250000, "Springfield", None, 2),
    (10, "Initech", "Technology", "Customer - Direct", 300, 1250000, "Austin", 9, 4),
    (11, "Soylent", "Retail", None, 55, None, "New York", None, 5),
    (12, "Empty Shell", None, None, None, None, None, None, 3),
]
CONTACTS = [
    # number, first, last, account, title, email, reports to, birth date, no calls
    (1, "Grace", "Hopper", 1, "CFO", "grace@acme.example", None, "1980-12-09", False),
    (2, "Keiko", "Nakamura", 1, "Buyer", "keiko@acme.example", 1, "1990-02-28", False),
    (3, None, "Smith", 1, None, None, 1, None, True),
    (4, "Émile", "Côté", 2, "Engineer", "emile@east.example", None, "1975-07-14", False),
    (5, "Fatima", "Okonkwo", 3, "Head of IT, EMEA", "fatima@zp.example", None, "1988-01-01", True),
    (6, "Hiroshi", "李", 3, "Buyer", "hiroshi@zp.example", 5, None, False),
    (7, "Inês", "D'Angelo", 3, "buyer", "INES@zp.example", 5, "1992-06-15", False),
    (8, "João", "García \"Pepe\" Ruiz", 4, "CFO", None, None, "2000-02-29", False),
    (9, "María José", "Singh", 5, "VP Sales", "mj@q.example", None, "1969-12-31", False),
    (10, "Nguyễn", "Kowalski", 5, None, "ng@q.example", 9, None, True),
    (11, "Oğuz", "Müller", 6, "Engineer", "oguz@cotton.example", None, "1985-05-05", False),
    (12, "Ada", "Smith", 7, "CFO", "ada@labs.example", None, "1985-05-06", False),
    (13, "Bo", "Smith", 7, "Buyer", "bo@labs.example", 12, "1986-06-16", False),
    (14, "Cy", "smith", 8, None, None, None, "1987-07-17", False),
    (15, "Di", "Østergård", 8, "Engineer", "di@nd.example", 14, None, False),
    (16, "Ed", "Приходько", 8, "Analyst", "ed@nd.example", 14, "1999-09-09", True),
    (17, "Flo", "van der Berg", 9, "CFO", "flo@globex.example", None, "1971-11-11", False),
    (18, "Gus", "Brown", 9, "CFO", "gus@globex.example", 17, "1972-12-12", False),
    (19, "Hal", "Green", 10, "Engineer", "hal@initech.example", None, "1973-01-13", False),
    (20, "Ida", "Black", 10, "Buyer", None, 19, "1974-02-14", False),
    (21, "Jo", "White", 11, "Buyer", "jo@soylent.example", None, None, False),
    (22, "Kim", "Gray", None, "Consultant", "kim@free.example", None, "1995-05-25", False),
    (23, "Lee", "Red", None, None, None, None, None, True),
    (24, "Max", "100%_d", None, "Line\\break", "max@free.example", 22, "1996-06-26", False),
    (25, "Nia", "Blue", 2, "Engineer", "nia@east.example", 4, "1997-07-27", False),
]
STAGES = [
    ("Prospecting", 10, False, False),
    ("Qualification", 10, False, False),
    ("Needs Analysis", 20, False, False),
    ("Value Proposition", 50, False, False),
    ("Closed Won", 100, True, True),
    ("Closed Lost", 0, True, False),
]
REGIONS = ["EMEA", "APAC", "EMEA;APAC", None, "AMER", "AMER;EMEA", "APAC;AMER;EMEA", None]
NAMES = [
    "Renewal", "New licences", 'Upgrade "Gold"', "O'ahu rollout", "Phase 2", "Pilot – ñandú",
    "Support plan", "Expansion 50%", "Migration_v2", "Add-on 🚀",
]
STEPS = ["call", "CALL back", None, "Send offer", "visit", None, "100% sure", "a_b"]
AMOUNTS = [100, 250.5, None, 1000, 99999.99, 0, 12345.67, None, 500000, 7]
CLOSE = [
    "2026-06-15", "2026-06-14", "2026-06-16", "2026-05-31", "2026-06-01", "2026-06-30", "2026-07-01",
    "2025-12-31", "2026-01-01", "2026-03-31", "2026-04-01", "2024-02-29", "2026-09-13", "2026-12-31",
    "2027-01-01", "2026-03-17", "2026-06-08", "2026-06-20", "2026-06-21", "2025-06-15",
]
TYPES = ["New Customer", "Existing Customer - Upgrade", None, "Existing Customer - Replacement"]
SOURCES = ["Web", "Other", None, "Partner Referral", "web"]
DEALS = []
for n in range(1, 41):
    stage, probability, closed, won = STAGES[n % 6]
    DEALS.append({
        "Id": deal(n),
        "Name": f"{NAMES[n % 10]} {n:02d}",
        "AccountId": None if n % 7 == 0 else account(n % 12 or 12),
        "OwnerId": user(n % 5 + 1),
        "StageName": stage,
        "Probability": probability,
        "IsClosed": closed,
        "IsWon": won,
        "Amount": AMOUNTS[n % 10],
        "CloseDate": CLOSE[n % 20],
        "NextStep": STEPS[n % 8],
        "Type": TYPES[n % 4],
        "LeadSource": SOURCES[n % 5],
        "IsPrivate": n % 9 == 0,
        "TotalOpportunityQuantity": None if n % 3 else n * 1.5,
        "Description": "Line one\nline 'two'" if n % 4 == 0 else None,
        "Regions__c": REGIONS[n % 8],
        "CreatedDate": STAMP.format(n % 5 + 1, n % 28 + 1, n % 24),
    })
ROLE_NAMES = ["Decision Maker", "Evaluator", None, "Economic Buyer", "Influencer"]
ROLES = []
for n in range(1, 31):
    ROLES.append({
        "Id": sid("00K", n),
        "OpportunityId": deal((n * 3) % 40 + 1),
        "ContactId": contact((n * 7) % 21 + 1),
        "Role": ROLE_NAMES[n % 5],
        "IsPrimary": n % 4 == 0,
    })

TABLES = {
    "User": [{
        "Id": user(n), "FirstName": first, "LastName": last, "IsActive": active, "Title": title,
        "Username": f"u{n}@corpus.example", "Email": f"u{n}@corpus.example",
        "CommunityNickname": f"u{n}", "TimeZoneSidKey": "GMT",
    } for n, first, last, active, title in USERS],
    "Account": [{
        "Id": account(n), "Name": name, "Industry": industry, "Type": kind,
        "NumberOfEmployees": employees, "AnnualRevenue": revenue, "BillingCity": city,
        "ParentId": account(parent), "OwnerId": user(owner),
    } for n, name, industry, kind, employees, revenue, city, parent, owner in ACCOUNTS],
    "Contact": [{
        "Id": contact(n), "FirstName": first, "LastName": last, "AccountId": account(of),
        "Title": title, "Email": email, "ReportsToId": contact(boss), "Birthdate": birth,
        "DoNotCall": no_calls,
    } for n, first, last, of, title, email, boss, birth, no_calls in CONTACTS],
    "Opportunity": DEALS,
    "OpportunityContactRole": ROLES,
}
SHORT = {"User": "U", "Account": "A", "Contact": "C", "Opportunity": "O", "OpportunityContactRole": "R"}


def write_org():
    for name, rows in TABLES.items():
        with open(f"org/{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                text = {key: str(value).lower() if isinstance(value, bool) else value
                        for key, value in row.items()}
                writer.writerow({key: "" if value is None else value for key, value in text.items()})


def database():
    base = sqlite3.connect(":memory:")
    base.create_function("low", 1, lambda text: None if text is None else text.lower())
    base.create_function(
        "has", 2, lambda text, one: text is not None and one.lower() in text.lower().split(";"))
    base.create_function(
        "fits", 2,
        lambda text, form: text is not None and re.fullmatch(form, text, re.S | re.I) is not None)
    for name, rows in TABLES.items():
        columns = list(rows[0])
        base.execute(f"CREATE TABLE {SHORT[name]} ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        base.executemany(f"INSERT INTO {SHORT[name]} VALUES ({marks})",
                         [list(row.values()) for row in rows])
    # Deals with what their parents say.
    base.execute("""CREATE VIEW D AS SELECT O.*, A.Name AS aName, A.Industry AS aIndustry,
        A.Type AS aType, A.NumberOfEmployees AS aEmployees, A.BillingCity AS aCity,
        A.ParentId AS aParent, P.Name AS pName, U.LastName AS oLast, U.IsActive AS oActive,
        U.Title AS oTitle, AU.LastName AS aoLast
        FROM O LEFT JOIN A ON A.Id = O.AccountId LEFT JOIN A AS P ON P.Id = A.ParentId
        LEFT JOIN U ON U.Id = O.OwnerId LEFT JOIN U AS AU ON AU.Id = A.OwnerId""")
    return base


CASES = []


def case(soql, sql, columns=None):
    CASES.append((soql, sql, columns))


def wrong(soql, code):
    CASES.append((soql, None, code))


def deals(soql, sql):
    case(f"SELECT Name FROM Opportunity WHERE {soql}", f"SELECT Name FROM D WHERE {sql}")


def people(soql, sql):
    case(f"SELECT LastName, FirstName FROM Contact WHERE {soql}",
         f"SELECT LastName, FirstName FROM C WHERE {sql}")


# ---- text
deals("NextStep = 'CALL'", "low(NextStep) = 'call'")
deals("NextStep != 'call'", "NextStep IS NULL OR low(NextStep) <> 'call'")
deals("NextStep <> 'Call Back'", "NextStep IS NULL OR low(NextStep) <> 'call back'")
deals("NextStep = null", "NextStep IS NULL")
deals("NextStep != NULL", "NextStep IS NOT NULL")
deals("NextStep = ''", "NextStep IS NULL")
deals("NextStep < 'send'", "low(NextStep) < 'send'")
deals("NextStep >= 'send offer'", "low(NextStep) >= 'send offer'")
deals("NOT NextStep < 'send'", "NextStep IS NULL OR NOT low(NextStep) < 'send'")
deals("NOT (NextStep = 'visit')", "NextStep IS NULL OR low(NextStep) <> 'visit'")
deals("NOT (NextStep != 'visit')", "low(NextStep) = 'visit'")
deals("NextStep IN ('call', 'VISIT')", "low(NextStep) IN ('call', 'visit')")
deals("NextStep IN ('call', null)", "NextStep IS NULL OR low(NextStep) = 'call'")
deals("NextStep NOT IN ('call', 'visit')", "NextStep IS NULL OR low(NextStep) NOT IN ('call', 'visit')")
deals("NextStep NOT IN ('call', '')", "NextStep IS NOT NULL AND low(NextStep) <> 'call'")
deals("NOT NextStep IN ('call')", "NextStep IS NULL OR low(NextStep) <> 'call'")
deals("Name LIKE 'o%'", "fits(Name, 'o.*')")
deals("Name LIKE '%\\'%'", "instr(Name, '''') > 0")
deals("Name LIKE '%\"gold\"%'", "fits(Name, '.*\"gold\".*')")
deals("Name LIKE '%50\\% %'", "fits(Name, '.*50% .*')")
deals("Name LIKE 'migration\\_v2%'", "fits(Name, 'migration_v2.*')")
deals("Name LIKE 'Phase _ __'", "fits(Name, 'phase . ..')")
deals("Name LIKE '%ÑANDÚ%'", "instr(low(Name), 'ñandú') > 0")
deals("Name LIKE '%🚀%'", "instr(Name, '🚀') > 0")
deals("Name LIKE '% 1_'", "fits(Name, '.* 1.')")
deals("NextStep LIKE 'a\\_b'", "low(NextStep) = 'a_b'")
deals("NextStep LIKE '100\\%%'", "fits(NextStep, '100%.*')")
deals("NextStep LIKE '%'", "NextStep IS NOT NULL")
deals("NOT NextStep LIKE 'call%'", "NextStep IS NULL OR NOT fits(NextStep, 'call.*')")
deals("(NOT NextStep LIKE 'c%') AND NextStep != null", "NextStep IS NOT NULL AND NOT fits(NextStep, 'c.*')")
deals("LeadSource = 'WEB'", "low(LeadSource) = 'web'")
deals("LeadSource IN ('Web', 'Other')", "low(LeadSource) IN ('web', 'other')")
deals("Type LIKE 'existing customer - %'", "fits(Type, 'existing customer - .*')")
deals("StageName > 'P'", "low(StageName) > 'p'")
deals("StageName NOT IN ('Closed Won', 'Closed Lost')", "StageName NOT IN ('Closed Won', 'Closed Lost')")
people("LastName = 'SMITH'", "low(LastName) = 'smith'")
people("LastName = 'D\\'Angelo'", "LastName = 'D''Angelo'")
people("LastName LIKE '%\\\"pepe\\\"%'", "instr(low(LastName), '\"pepe\"') > 0")
people("Title = 'line\\\\break'", "low(Title) = 'line\\break'")
people("LastName = '100%_d'", "LastName = '100%_d'")
people("LastName LIKE '100\\%\\_d'", "LastName = '100%_d'")
people("Title = 'Head of IT, EMEA'", "Title = 'Head of IT, EMEA'")
people("Email = 'ines@ZP.example'", "low(Email) = 'ines@zp.example'")
people("Email LIKE '%@zp.example'", "fits(Email, '.*@zp[.]example')")
people("FirstName = null", "FirstName IS NULL")
people("LastName = 'приходько'", "low(LastName) = 'приходько'")
people("LastName = '李'", "LastName = '李'")
# ---- numbers
deals("Amount = 100", "Amount = 100")
deals("Amount = 100.0", "Amount = 100")
deals("Amount = 1e3", "Amount = 1000")
deals("Amount != 100", "Amount IS NULL OR Amount <> 100")
deals("Amount > 250.5", "Amount > 250.5")
deals("Amount >= 250.50", "Amount >= 250.5")
deals("Amount < 100", "Amount < 100")
deals("Amount <= 0", "Amount <= 0")
deals("Amount = null", "Amount IS NULL")
deals("Amount != null", "Amount IS NOT NULL")
deals("NOT Amount > 100", "Amount IS NULL OR Amount <= 100")
deals("Amount IN (7, 0, 99999.99)", "Amount IN (7, 0, 99999.99)")
deals("Amount NOT IN (7, 0)", "Amount IS NULL OR Amount NOT IN (7, 0)")
deals("Amount > -1 AND Amount < 1000.01", "Amount > -1 AND Amount < 1000.01")
deals("Probability = 50", "Probability = 50")
deals("Probability > 20 AND Probability < 100", "Probability > 20 AND Probability < 100")
deals("TotalOpportunityQuantity > 30", "TotalOpportunityQuantity > 30")
deals("TotalOpportunityQuantity = 4.5", "TotalOpportunityQuantity = 4.5")
case("SELECT Name FROM Account WHERE NumberOfEmployees = 0", "SELECT Name FROM A WHERE NumberOfEmployees = 0")
case("SELECT Name FROM Account WHERE NumberOfEmployees != 300",
     "SELECT Name FROM A WHERE NumberOfEmployees IS NULL OR NumberOfEmployees <> 300")
case("SELECT Name FROM Account WHERE AnnualRevenue > 1000000",
     "SELECT Name FROM A WHERE AnnualRevenue > 1000000")
# ---- checkboxes
deals("IsClosed = true", "IsClosed")
deals("IsClosed = FALSE", "NOT IsClosed")
deals("IsWon != true", "NOT IsWon")
deals("NOT IsPrivate = true", "NOT IsPrivate")
deals("IsPrivate = null", "NOT IsPrivate")
people("DoNotCall = TRUE", "DoNotCall")
# ---- dates
deals("CloseDate = 2026-06-15", "CloseDate = '2026-06-15'")
deals("CloseDate != 2026-06-15", "CloseDate <> '2026-06-15'")
deals("CloseDate < 2026-01-01", "CloseDate < '2026-01-01'")
deals("CloseDate >= 2026-12-31", "CloseDate >= '2026-12-31'")
deals("CloseDate IN (2024-02-29, 2026-07-01)", "CloseDate IN ('2024-02-29', '2026-07-01')")
deals("CloseDate = TODAY", "CloseDate = '2026-06-15'")
deals("CloseDate = YESTERDAY", "CloseDate = '2026-06-14'")
deals("CloseDate = TOMORROW", "CloseDate = '2026-06-16'")
deals("CloseDate > TODAY", "CloseDate > '2026-06-15'")
deals("CloseDate <= YESTERDAY", "CloseDate <= '2026-06-14'")
deals("CloseDate = THIS_WEEK", "CloseDate BETWEEN '2026-06-14' AND '2026-06-20'")
deals("CloseDate = LAST_WEEK", "CloseDate BETWEEN '2026-06-07' AND '2026-06-13'")
deals("CloseDate = NEXT_WEEK", "CloseDate BETWEEN '2026-06-21' AND '2026-06-27'")
deals("CloseDate = THIS_MONTH", "CloseDate LIKE '2026-06-%'")
deals("CloseDate > THIS_MONTH", "CloseDate > '2026-06-30'")
deals("CloseDate < THIS_MONTH", "CloseDate < '2026-06-01'")
deals("CloseDate >= THIS_MONTH", "CloseDate >= '2026-06-01'")
deals("CloseDate != THIS_MONTH", "CloseDate NOT LIKE '2026-06-%'")
deals("CloseDate = LAST_MONTH", "CloseDate LIKE '2026-05-%'")
deals("CloseDate = THIS_QUARTER", "CloseDate BETWEEN '2026-04-01' AND '2026-06-30'")
deals("CloseDate = LAST_QUARTER", "CloseDate BETWEEN '2026-01-01' AND '2026-03-31'")
deals("CloseDate = NEXT_QUARTER", "CloseDate BETWEEN '2026-07-01' AND '2026-09-30'")
deals("CloseDate = THIS_YEAR", "CloseDate LIKE '2026-%'")
deals("CloseDate = LAST_YEAR", "CloseDate LIKE '2025-%'")
deals("CloseDate = NEXT_YEAR", "CloseDate LIKE '2027-%'")
deals("CloseDate = LAST_90_DAYS", "CloseDate BETWEEN '2026-03-17' AND '2026-06-15'")
deals("CloseDate = NEXT_90_DAYS", "CloseDate BETWEEN '2026-06-16' AND '2026-09-13'")
deals("CloseDate = LAST_N_DAYS:7", "CloseDate BETWEEN '2026-06-08' AND '2026-06-15'")
deals("CloseDate = NEXT_N_DAYS:5", "CloseDate BETWEEN '2026-06-16' AND '2026-06-20'")
deals("CloseDate = N_DAYS_AGO:1", "CloseDate = '2026-06-14'")
deals("CloseDate = LAST_N_MONTHS:3", "CloseDate BETWEEN '2026-03-01' AND '2026-05-31'")
deals("CloseDate = NEXT_N_MONTHS:1", "CloseDate BETWEEN '2026-07-01' AND '2026-07-31'")
deals("CloseDate = N_YEARS_AGO:2", "CloseDate LIKE '2024-%'")
deals("CloseDate > LAST_N_YEARS:1", "CloseDate > '2025-12-31'")
deals("CloseDate = LAST_N_QUARTERS:2", "CloseDate BETWEEN '2025-10-01' AND '2026-03-31'")
deals("CloseDate = THIS_FISCAL_YEAR", "CloseDate LIKE '2026-%'")
deals("NOT CloseDate = THIS_YEAR", "CloseDate NOT LIKE '2026-%'")
people("Birthdate = null", "Birthdate IS NULL")
people("Birthdate < 1980-01-01", "Birthdate < '1980-01-01'")
people("NOT Birthdate < 1980-01-01", "Birthdate IS NULL OR Birthdate >= '1980-01-01'")
people("Birthdate = 2000-02-29", "Birthdate = '2000-02-29'")
# ---- datetimes
deals("CreatedDate < 2026-02-01T00:00:00Z", "CreatedDate < '2026-02-01T00:00:00.000+0000'")
deals("CreatedDate >= 2026-05-01T00:00:00.000Z", "CreatedDate >= '2026-05-01T00:00:00.000+0000'")
deals("CreatedDate = 2026-02-02T01:30:00.000+0000", "CreatedDate = '2026-02-02T01:30:00.000+0000'")
deals("CreatedDate = 2026-02-02T02:30:00+01:00", "CreatedDate = '2026-02-02T01:30:00.000+0000'")
deals("CreatedDate = LAST_MONTH", "CreatedDate LIKE '2026-05-%'")
deals("CreatedDate < LAST_N_MONTHS:2", "CreatedDate < '2026-04-01'")
# ---- date functions
deals("CALENDAR_YEAR(CloseDate) = 2025", "substr(CloseDate, 1, 4) = '2025'")
deals("CALENDAR_MONTH(CloseDate) IN (1, 12)", "substr(CloseDate, 6, 2) IN ('01', '12')")
deals("CALENDAR_QUARTER(CloseDate) = 3", "substr(CloseDate, 6, 2) IN ('07', '08', '09')")
deals("DAY_IN_MONTH(CloseDate) > 28", "CAST(substr(CloseDate, 9, 2) AS INTEGER) > 28")
deals("DAY_IN_WEEK(CloseDate) = 1", "strftime('%w', CloseDate) = '0'")
deals("DAY_IN_YEAR(CloseDate) = 1", "substr(CloseDate, 6) = '01-01'")
deals("HOUR_IN_DAY(CreatedDate) < 3", "CAST(substr(CreatedDate, 12, 2) AS INTEGER) < 3")
deals("DAY_ONLY(CreatedDate) = 2026-02-02", "substr(CreatedDate, 1, 10) = '2026-02-02'")
case("SELECT CALENDAR_YEAR(CloseDate), COUNT(Id) FROM Opportunity GROUP BY CALENDAR_YEAR(CloseDate)",
     "SELECT CAST(substr(CloseDate, 1, 4) AS INTEGER), COUNT(*) FROM O GROUP BY 1")
case("SELECT CALENDAR_QUARTER(CreatedDate) q, SUM(Amount) total FROM Opportunity GROUP BY CALENDAR_QUARTER(CreatedDate) ORDER BY CALENDAR_QUARTER(CreatedDate)",
     "SELECT (CAST(substr(CreatedDate, 6, 2) AS INTEGER) + 2) / 3 AS q, SUM(Amount) FROM O GROUP BY q ORDER BY q")
# ---- multi-select picklists
deals("Regions__c = 'EMEA'", "Regions__c = 'EMEA'")
deals("Regions__c != 'EMEA'", "Regions__c IS NULL OR Regions__c <> 'EMEA'")
deals("Regions__c INCLUDES ('EMEA')", "has(Regions__c, 'EMEA')")
deals("Regions__c INCLUDES ('EMEA;APAC')", "has(Regions__c, 'EMEA') AND has(Regions__c, 'APAC')")
deals("Regions__c INCLUDES ('EMEA;APAC', 'AMER')",
      "(has(Regions__c, 'EMEA') AND has(Regions__c, 'APAC')) OR has(Regions__c, 'AMER')")
deals("Regions__c EXCLUDES ('APAC')", "NOT has(Regions__c, 'APAC')")
deals("Regions__c EXCLUDES ('EMEA;AMER')", "NOT (has(Regions__c, 'EMEA') AND has(Regions__c, 'AMER'))")
deals("Regions__c = null", "Regions__c IS NULL")
# ---- AND, OR, NOT
deals("IsClosed = true AND Amount > 100 AND Type != null", "IsClosed AND Amount > 100 AND Type IS NOT NULL")
deals("Amount = 7 OR Amount = 0 OR Type = null", "Amount = 7 OR Amount = 0 OR Type IS NULL")
deals("(Amount = 7 OR Amount = 0) AND IsClosed = false", "Amount IN (7, 0) AND NOT IsClosed")
deals("Amount = 7 OR (Amount = 0 AND IsClosed = false)", "Amount = 7 OR (Amount = 0 AND NOT IsClosed)")
deals("NOT (Amount = 7 OR NextStep = null)", "(Amount IS NULL OR Amount <> 7) AND NextStep IS NOT NULL")
deals("NOT (Amount > 10 AND NextStep = 'call')",
      "NOT (COALESCE(Amount > 10, 0) AND COALESCE(low(NextStep) = 'call', 0))")
deals("NOT NOT Amount > 10", "Amount > 10")
deals("NOT Amount > 10 AND IsClosed = true", "(Amount IS NULL OR Amount <= 10) AND IsClosed")
# ---- ids
deals(f"Id = '{deal(5)}'", f"Id = '{deal(5)}'")
deals(f"Id = '{deal(5)[:15]}'", f"Id = '{deal(5)}'")
deals(f"Id IN ('{deal(1)}', '{deal(40)}', '{deal(999)}')", f"Id IN ('{deal(1)}', '{deal(40)}')")
deals(f"Id > '{deal(35)}'", f"Id > '{deal(35)}'")
deals(f"Id >= '{deal(10)}' AND Id < '{deal(13)}'", f"Id >= '{deal(10)}' AND Id < '{deal(13)}'")
deals(f"AccountId = '{account(3)}'", f"AccountId = '{account(3)}'")
deals(f"AccountId IN ('{account(3)}', '{account(5)}') AND OwnerId = '{user(3)}'",
      f"AccountId IN ('{account(3)}', '{account(5)}') AND OwnerId = '{user(3)}'")
deals(f"AccountId NOT IN ('{account(3)}')", f"AccountId IS NULL OR AccountId <> '{account(3)}'")
deals("AccountId = null", "AccountId IS NULL")
deals(f"AccountId != '{account(1)}' AND AccountId != null", f"AccountId <> '{account(1)}'")
# ---- parents
deals("Account.Name = 'ACME'", "low(aName) = 'acme'")
deals("Account.Industry = null", "aIndustry IS NULL")
deals("Account.Industry != 'Energy'", "aIndustry IS NULL OR aIndustry <> 'Energy'")
deals("Account.Industry IN ('Energy', 'Retail')", "aIndustry IN ('Energy', 'Retail')")
deals("Account.NumberOfEmployees >= 300", "aEmployees >= 300")
deals("Account.Parent.Name = 'Acme'", "pName = 'Acme'")
deals("Account.Owner.LastName LIKE 'Love%'", "fits(aoLast, 'love.*')")
deals("Owner.IsActive = false", "NOT oActive")
deals("Owner.Title = 'Account Executive'", "low(oTitle) = 'account executive'")
deals("Opportunity.Owner.LastName = 'Ek'", "oLast = 'Ek'")
case("SELECT o.Name, o.Account.Name FROM Opportunity o WHERE o.Amount > 90000",
     "SELECT Name, aName FROM D WHERE Amount > 90000", ["Name", "Account.Name"])
case("SELECT Name, Account.Parent.Name, Owner.LastName FROM Opportunity WHERE Account.ParentId != null",
     "SELECT Name, pName, oLast FROM D WHERE aParent IS NOT NULL")
case("SELECT LastName, ReportsTo.LastName FROM Contact WHERE ReportsTo.Title = 'CFO'",
     "SELECT C.LastName, B.LastName FROM C JOIN C AS B ON B.Id = C.ReportsToId WHERE B.Title = 'CFO'")
case("SELECT Role, Opportunity.Name, Contact.Account.Name FROM OpportunityContactRole WHERE IsPrimary = true",
     "SELECT R.Role, O.Name, A.Name FROM R JOIN O ON O.Id = R.OpportunityId JOIN C ON C.Id = R.ContactId LEFT JOIN A ON A.Id = C.AccountId WHERE R.IsPrimary")
# ---- children
case("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName DESC) FROM Account WHERE Industry = 'Technology'",
     "SELECT Name, (SELECT json_group_array(LastName) FROM (SELECT LastName FROM C WHERE AccountId = A.Id ORDER BY low(LastName) DESC)) FROM A WHERE Industry = 'Technology'",
     ["Name", "Contacts[].LastName"])
case("SELECT Name, (SELECT Name FROM Opportunities WHERE IsClosed = true ORDER BY Name LIMIT 2) FROM Account WHERE Name LIKE 'A%'",
     "SELECT Name, (SELECT json_group_array(Name) FROM (SELECT Name FROM O WHERE AccountId = A.Id AND IsClosed ORDER BY low(Name) LIMIT 2)) FROM A WHERE fits(Name, 'a.*')",
     ["Name", "Opportunities[].Name"])
case("SELECT Name, (SELECT ContactId FROM OpportunityContactRoles ORDER BY Id) FROM Opportunity WHERE Amount = 7",
     "SELECT Name, (SELECT json_group_array(ContactId) FROM (SELECT ContactId FROM R WHERE OpportunityId = O.Id ORDER BY Id)) FROM O WHERE Amount = 7",
     ["Name", "OpportunityContactRoles[].ContactId"])
# ---- semi- and anti-joins
case("SELECT Name FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity WHERE IsWon = true)",
     "SELECT Name FROM A WHERE Id IN (SELECT AccountId FROM O WHERE IsWon)")
case("SELECT Name FROM Account WHERE Id NOT IN (SELECT AccountId FROM Opportunity WHERE IsWon = true)",
     "SELECT Name FROM A WHERE NOT EXISTS (SELECT 1 FROM O WHERE IsWon AND AccountId = A.Id)")
case("SELECT LastName FROM Contact WHERE Id IN (SELECT ContactId FROM OpportunityContactRole WHERE Opportunity.IsClosed = false)",
     "SELECT LastName FROM C WHERE Id IN (SELECT ContactId FROM R JOIN O ON O.Id = R.OpportunityId WHERE NOT O.IsClosed)")
case("SELECT LastName FROM Contact WHERE Id NOT IN (SELECT ContactId FROM OpportunityContactRole)",
     "SELECT LastName FROM C WHERE Id NOT IN (SELECT ContactId FROM R)")
case("SELECT Name FROM Opportunity WHERE AccountId IN (SELECT Id FROM Account WHERE Industry = 'Retail') AND OwnerId IN (SELECT Id FROM User WHERE IsActive = true)",
     "SELECT Name FROM D WHERE aIndustry = 'Retail' AND oActive")
case("SELECT Name FROM Opportunity WHERE AccountId NOT IN (SELECT Id FROM Account WHERE Industry = 'Retail')",
     "SELECT Name FROM D WHERE aIndustry IS NULL OR aIndustry <> 'Retail'")
case("SELECT LastName FROM Contact WHERE AccountId IN (SELECT AccountId FROM Opportunity WHERE Amount > 90000)",
     "SELECT LastName FROM C WHERE AccountId IN (SELECT AccountId FROM O WHERE Amount > 90000 AND AccountId IS NOT NULL)")
# ---- order, limit, offset
case("SELECT Name FROM Opportunity ORDER BY Name LIMIT 5", "SELECT Name FROM O ORDER BY low(Name) LIMIT 5")
case("SELECT Name FROM Opportunity ORDER BY Name DESC LIMIT 5 OFFSET 3", "SELECT Name FROM O ORDER BY low(Name) DESC LIMIT 5 OFFSET 3")
case("SELECT Name, Amount FROM Opportunity ORDER BY Amount, Name LIMIT 12", "SELECT Name, Amount FROM O ORDER BY Amount IS NOT NULL, Amount, low(Name) LIMIT 12")
case("SELECT Name, Amount FROM Opportunity ORDER BY Amount NULLS LAST, Name LIMIT 12", "SELECT Name, Amount FROM O ORDER BY Amount IS NULL, Amount, low(Name) LIMIT 12")
case("SELECT Name, Amount FROM Opportunity ORDER BY Amount DESC NULLS LAST, Name DESC LIMIT 12", "SELECT Name, Amount FROM O ORDER BY Amount IS NULL, Amount DESC, low(Name) DESC LIMIT 12")
case("SELECT Name, Amount FROM Opportunity ORDER BY Amount DESC NULLS FIRST, Name LIMIT 12", "SELECT Name, Amount FROM O ORDER BY Amount IS NOT NULL, Amount DESC, low(Name) LIMIT 12")
case("SELECT Name, CloseDate FROM Opportunity ORDER BY CloseDate DESC, Id ASC LIMIT 7", "SELECT Name, CloseDate FROM O ORDER BY CloseDate DESC, Id LIMIT 7")
case("SELECT Id FROM Opportunity ORDER BY Id DESC LIMIT 3", "SELECT Id FROM O ORDER BY Id DESC LIMIT 3")
case(f"SELECT Id FROM Opportunity WHERE OwnerId IN ('{user(1)}', '{user(3)}') AND Id > '{deal(10)}' ORDER BY Id LIMIT 4",
     f"SELECT Id FROM O WHERE OwnerId IN ('{user(1)}', '{user(3)}') AND Id > '{deal(10)}' ORDER BY Id LIMIT 4")
case("SELECT Name FROM Account ORDER BY Industry NULLS LAST, Name", "SELECT Name FROM A ORDER BY Industry IS NULL, low(Industry), low(Name)")
case("SELECT Name, Account.Name FROM Opportunity ORDER BY Account.Name NULLS FIRST, Name LIMIT 9", "SELECT Name, aName FROM D ORDER BY aName IS NOT NULL, low(aName), low(Name) LIMIT 9")
case("SELECT Name FROM Opportunity ORDER BY IsClosed DESC, Name LIMIT 4", "SELECT Name FROM O ORDER BY IsClosed DESC, low(Name) LIMIT 4")
case("SELECT Name FROM Opportunity LIMIT 0", "SELECT Name FROM O LIMIT 0")
# ---- sums
case("SELECT COUNT() FROM Opportunity", "SELECT COUNT(*) FROM O")
case("SELECT COUNT() FROM Opportunity WHERE Account.Industry = 'Energy'", "SELECT COUNT(*) FROM D WHERE aIndustry = 'Energy'")
case("SELECT COUNT(Id), COUNT(Amount), COUNT_DISTINCT(Amount) FROM Opportunity", "SELECT COUNT(*), COUNT(Amount), COUNT(DISTINCT Amount) FROM O")
case("SELECT SUM(Amount) s, AVG(Amount) a, MIN(Amount) lo, MAX(Amount) hi FROM Opportunity", "SELECT SUM(Amount), AVG(Amount), MIN(Amount), MAX(Amount) FROM O")
case("SELECT SUM(Amount), COUNT(Id) FROM Opportunity WHERE Name = 'none'", "SELECT NULL, 0")
case("SELECT MIN(CloseDate), MAX(CreatedDate) FROM Opportunity", "SELECT MIN(CloseDate), MAX(CreatedDate) FROM O")
case("SELECT COUNT_DISTINCT(LeadSource) FROM Opportunity", "SELECT COUNT(DISTINCT low(LeadSource)) FROM O")
case("SELECT StageName, COUNT(Id) FROM Opportunity GROUP BY StageName", "SELECT StageName, COUNT(*) FROM O GROUP BY StageName")
case("SELECT Type, AVG(Amount) mean FROM Opportunity GROUP BY Type ORDER BY Type NULLS LAST", "SELECT Type, AVG(Amount) FROM O GROUP BY Type ORDER BY Type IS NULL, low(Type)")
case("SELECT Account.Industry, SUM(Amount) FROM Opportunity GROUP BY Account.Industry", "SELECT aIndustry, SUM(Amount) FROM D GROUP BY aIndustry")
case("SELECT OwnerId, COUNT(Id) n FROM Opportunity WHERE IsClosed = false GROUP BY OwnerId HAVING COUNT(Id) > 5", "SELECT OwnerId, COUNT(*) FROM O WHERE NOT IsClosed GROUP BY OwnerId HAVING COUNT(*) > 5")
case("SELECT StageName FROM Opportunity GROUP BY StageName HAVING SUM(Amount) > 100000 AND StageName != 'Closed Lost'", "SELECT StageName FROM O GROUP BY StageName HAVING SUM(Amount) > 100000 AND StageName <> 'Closed Lost'")
case("SELECT StageName, COUNT(Id) FROM Opportunity GROUP BY StageName HAVING MAX(CloseDate) >= 2027-01-01", "SELECT StageName, COUNT(*) FROM O GROUP BY StageName HAVING MAX(CloseDate) >= '2027-01-01'")
case("SELECT StageName, Type, COUNT(Id) FROM Opportunity GROUP BY StageName, Type ORDER BY COUNT(Id) DESC, StageName, Type LIMIT 6", "SELECT StageName, Type, COUNT(*) FROM O GROUP BY 1, 2 ORDER BY 3 DESC, low(StageName), Type IS NOT NULL, low(Type) LIMIT 6")
case("SELECT StageName, SUM(Amount) FROM Opportunity GROUP BY StageName ORDER BY MIN(CloseDate), StageName", "SELECT StageName, SUM(Amount) FROM O GROUP BY StageName ORDER BY MIN(CloseDate), low(StageName)")
case("SELECT IsClosed, IsWon, COUNT(Id) FROM Opportunity GROUP BY ROLLUP(IsClosed, IsWon)", "SELECT IsClosed, IsWon, COUNT(*) FROM O GROUP BY 1, 2 UNION ALL SELECT IsClosed, NULL, COUNT(*) FROM O GROUP BY 1 UNION ALL SELECT NULL, NULL, COUNT(*) FROM O")
case("SELECT IsClosed, GROUPING(IsClosed) g, COUNT(Id) n FROM Opportunity GROUP BY ROLLUP(IsClosed)", "SELECT IsClosed, 0, COUNT(*) FROM O GROUP BY 1 UNION ALL SELECT NULL, 1, COUNT(*) FROM O")
case("SELECT IsClosed, IsPrivate, SUM(Amount) FROM Opportunity GROUP BY CUBE(IsClosed, IsPrivate)", "SELECT IsClosed, IsPrivate, SUM(Amount) FROM O GROUP BY 1, 2 UNION ALL SELECT IsClosed, NULL, SUM(Amount) FROM O GROUP BY 1 UNION ALL SELECT NULL, IsPrivate, SUM(Amount) FROM O GROUP BY 2 UNION ALL SELECT NULL, NULL, SUM(Amount) FROM O")
# ---- form: keywords in any case, names in any case, functions that only show
case("select name from opportunity where amount = 7 order by name", "SELECT Name FROM O WHERE Amount = 7 ORDER BY low(Name)", ["Name"])
case("SELECT toLabel(StageName) FROM Opportunity WHERE Amount = 7", "SELECT StageName FROM O WHERE Amount = 7", ["StageName"])
case("SELECT Name FROM Opportunity USING SCOPE everything WHERE Amount = 7 FOR VIEW", "SELECT Name FROM O WHERE Amount = 7")
# ---- refused
wrong("SELECT Name FROM Opportunity WHERE Amount = 7 AND IsWon = true OR IsClosed = true", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity WHERE Amount = 7 OR IsWon = true AND IsClosed = true", "MALFORMED_QUERY")
wrong("SELECT Nonsense FROM Opportunity", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE Nonsense__c = 1", "INVALID_FIELD")
wrong("SELECT Name FROM Nonsense", "INVALID_TYPE")
wrong("SELECT Name FROM Opportunity WHERE Amount = '7'", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE Name = 7", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE IsWon = 'true'", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE CloseDate = '2026-06-15'", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE CloseDate LIKE '2026%'", "INVALID_QUERY_FILTER_OPERATOR")
wrong("SELECT Name FROM Opportunity WHERE IsWon > false", "INVALID_QUERY_FILTER_OPERATOR")
wrong("SELECT Name FROM Opportunity WHERE Name INCLUDES ('a')", "INVALID_QUERY_FILTER_OPERATOR")
wrong("SELECT Name FROM Opportunity WHERE AccountId = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR")
wrong("SELECT Name FROM Opportunity WHERE Description = 'x'", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity ORDER BY Description", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity WHERE NextStep NOT LIKE 'a%'", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity WHERE Amount BETWEEN 1 AND 2", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity WHERE", "MALFORMED_QUERY")
wrong("SELECT FROM Opportunity", "MALFORMED_QUERY")
wrong("SELECT * FROM Opportunity", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity WHERE Name = 'open", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity WHERE CloseDate = NEVER", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity LIMIT -1", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE")
wrong("SELECT Name, COUNT(Id) FROM Opportunity", "MALFORMED_QUERY")
wrong("SELECT Name, COUNT(Id) FROM Opportunity GROUP BY StageName", "MALFORMED_QUERY")
wrong("SELECT Amount FROM Opportunity GROUP BY Amount", "MALFORMED_QUERY")
wrong("SELECT SUM(Name) FROM Opportunity", "MALFORMED_QUERY")
wrong("SELECT Name FROM Opportunity HAVING COUNT(Id) > 1", "MALFORMED_QUERY")
wrong("SELECT Name, Name FROM Opportunity", "INVALID_FIELD")
wrong("SELECT FIELDS(ALL) FROM Opportunity", "MALFORMED_QUERY")
wrong("SELECT FIELDS(CUSTOM) FROM Opportunity LIMIT 201", "MALFORMED_QUERY")
wrong("SELECT Name FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity) OR Name = 'x'", "MALFORMED_QUERY")
wrong("SELECT Name FROM Account WHERE Id IN (SELECT Name FROM Opportunity)", "MALFORMED_QUERY")
wrong("SELECT Name FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity WHERE OwnerId IN (SELECT Id FROM User))", "MALFORMED_QUERY")
wrong("SELECT Name FROM Account WHERE Name IN (SELECT AccountId FROM Opportunity)", "MALFORMED_QUERY")
wrong("SELECT Name, (SELECT Id FROM Nonsenses) FROM Account", "INVALID_TYPE")
wrong("SELECT Account.Nonsense.Name FROM Opportunity", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE Name LIKE '\\q'", "MALFORMED_QUERY")
wrong("SELECT HOUR_IN_DAY(CloseDate) FROM Opportunity GROUP BY HOUR_IN_DAY(CloseDate)", "INVALID_FIELD")
wrong("SELECT Name FROM Opportunity WHERE " + "(" * 300 + "Amount = 7" + ")" * 300, "QUERY_TOO_COMPLICATED")


def selected(soql):
    """The columns of a statement's answer, in the order of its SELECT."""
    inside, depth, items = re.match(r"select (.*?) from ", soql, re.I | re.S).group(1), 0, [""]
    for sign in inside:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            items.append("")
        else:
            items[-1] += sign
    grouped, columns, unnamed = " group by " in soql.lower(), [], 0
    for item in (item.strip() for item in items):
        call = re.fullmatch(r"(\w+\(.*\))\s*(\w+)?", item)
        if call and call.group(2):
            columns.append(call.group(2))
        elif call:
            columns.append(f"expr{unnamed}")
            unnamed += 1
        else:
            columns.append(item.split(".")[-1] if grouped else item)
    return columns


def main():
    write_org()
    base = database()
    answers = []
    for soql, sql, more in CASES:
        if sql is None:
            answers.append({"soql": soql, "error": more})
            continue
        columns = more or selected(soql)
        rows = [list(row) for row in base.execute(sql)]
        for row in rows:
            assert len(row) == len(columns), soql
            for place, column in enumerate(columns):
                if "[]" in column:
                    row[place] = json.loads(row[place]) or None
        ordered = " order by " in re.sub(r"\([^()]*\)", "", soql.lower())
        answers.append({"soql": soql, "columns": columns, "ordered": ordered, "rows": rows})
    assert len({answer["soql"] for answer in answers}) == len(answers)
    with open("answers.json", "w", encoding="utf-8") as file:
        file.write("[\n")
        lines = (json.dumps(answer, ensure_ascii=False) for answer in answers)
        file.write(",\n".join(lines))
        file.write("\n]\n")
    empty = [a["soql"] for a in answers if a.get("rows") == [] and "LIMIT 0" not in a["soql"]]
    print(len(answers), "statements;", len(empty), "with no rows:")
    print("\n".join(empty))


if __name__ == "__main__":
    main()
