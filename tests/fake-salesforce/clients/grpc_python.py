"""grpcio with code made from the published definitions, and fastavro, as Salesforce's own Python
example uses them; requests for sign-in and writes."""

import io
import json
import queue
import time

import fastavro
import grpc
import jwt
import pubsub_api_pb2 as pb2
import pubsub_api_pb2_grpc as pb2_grpc
import requests

from checks import (
    CA,
    CLIENT_ID,
    CLIENT_SECRET,
    GRPC,
    URL,
    USERNAME,
    Checks,
    expect,
    private_key,
    refused,
)

TLS = URL.startswith("https:")
DATA = f"{URL}/services/data/v62.0"
TOPIC = "/data/AccountChangeEvent"
DEADLINE_S = 30

checks = Checks("grpcio+fastavro " + ("https, gRPC with TLS" if TLS else "http, gRPC without TLS"))


def token(**form):
    answer = requests.post(f"{URL}/services/oauth2/token", data=form, timeout=DEADLINE_S)
    answer.raise_for_status()
    return answer.json()


def client_credentials():
    return token(
        grant_type="client_credentials", client_id=CLIENT_ID, client_secret=CLIENT_SECRET
    )


def jwt_bearer():
    claims = {
        "iss": CLIENT_ID,
        "sub": USERNAME,
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
    }
    return token(
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion=jwt.encode(claims, private_key(), algorithm="RS256"),
    )


checks.check("signs in with client credentials", client_credentials)
granted = checks.check("signs in with JWT bearer", jwt_bearer)
rest = requests.Session()
rest.headers["Authorization"] = f"Bearer {granted['access_token']}"


def call(method, path, **options):
    answer = rest.request(method, f"{DATA}/{path}", timeout=DEADLINE_S, **options)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def organization():
    # The id's last parts are the org and the user.
    return granted["id"].split("/")[-2]


if TLS:
    with open(CA, "rb") as authority:
        credentials = grpc.ssl_channel_credentials(authority.read())
    channel = grpc.secure_channel(GRPC, credentials)
else:
    channel = grpc.insecure_channel(GRPC)
stub = pb2_grpc.PubSubStub(channel)
METADATA = (
    ("accesstoken", granted["access_token"]),
    ("instanceurl", granted["instance_url"]),
    ("tenantid", organization()),
)


def topic():
    info = stub.GetTopic(
        pb2.TopicRequest(topic_name=TOPIC), metadata=METADATA, timeout=DEADLINE_S
    )
    expect(info.can_subscribe and info.topic_name == TOPIC, info)
    return info.schema_id


def not_signed_in():
    metadata = (("accesstoken", "wrong"), *METADATA[1:])
    raised = refused(
        grpc.RpcError,
        lambda: stub.GetTopic(
            pb2.TopicRequest(topic_name=TOPIC), metadata=metadata, timeout=DEADLINE_S
        ),
    )
    expect(raised.code() == grpc.StatusCode.UNAUTHENTICATED, raised)


checks.check("asks for the topic", topic)
checks.check("is told that its token is wrong", not_signed_in)


class Subscription:
    """A subscription whose requests are fed by hand, one event at a time."""

    def __init__(self, **start):
        self.requests = queue.Queue()
        self.request(**start)
        feed = iter(self.requests.get, None)
        self.call = stub.Subscribe(feed, metadata=METADATA, timeout=DEADLINE_S)
        self.pending = []

    def request(self, **start):
        self.requests.put(pb2.FetchRequest(topic_name=TOPIC, num_requested=5, **start))

    def keepalive(self):
        answer = next(self.call)
        expect(not answer.events and answer.latest_replay_id, answer)

    def event(self):
        while not self.pending:
            self.pending = list(next(self.call).events)
        return self.pending.pop(0)

    def end(self):
        self.requests.put(None)
        self.call.cancel()


schemas = {}


def schema_of(event):
    schema_id = event.event.schema_id
    if schema_id not in schemas:
        info = stub.GetSchema(
            pb2.SchemaRequest(schema_id=schema_id), metadata=METADATA, timeout=DEADLINE_S
        )
        expect(info.schema_id == schema_id, info)
        schemas[schema_id] = json.loads(info.schema_json)
    return schemas[schema_id]


def decode(event):
    schema = schema_of(event)
    payload = io.BytesIO(event.event.payload)
    decoded = fastavro.schemaless_reader(payload, fastavro.parse_schema(schema))
    expect(payload.read() == b"", "bytes after the record")
    header = decoded["ChangeEventHeader"]
    for bitmaps in ("changedFields", "nulledFields", "diffFields"):
        header[bitmaps] = names(schema, header[bitmaps])
    return decoded


def names(schema, bitmaps):
    """Field names of bitmaps: `0x..` over the record, `N-0x..` over the record in its field N."""
    found = []
    for bitmap in bitmaps:
        position, dash, inner = bitmap.partition("-")
        if dash:
            parent = schema["fields"][int(position)]
            within = next(kind for kind in parent["type"] if isinstance(kind, dict))
            found += [f"{parent['name']}.{name}" for name in set_bits(within, inner)]
        else:
            found += set_bits(schema, bitmap)
    return found


def set_bits(schema, bitmap):
    bits = int(bitmap, 16)
    expect(bits.bit_length() <= len(schema["fields"]), bitmap)
    return [field["name"] for at, field in enumerate(schema["fields"]) if bits >> at & 1]


def next_change(subscription, change_type):
    event = subscription.event()
    change = decode(event)
    header = change["ChangeEventHeader"]
    expect(header["entityName"] == "Account" and header["changeType"] == change_type, header)
    expect(header["recordIds"] == [account], header)
    return event, change


def subscribe():
    subscription = Subscription(replay_preset=pb2.LATEST)
    subscription.keepalive()
    return subscription


latest = checks.check("subscribes from LATEST and gets a keep-alive", subscribe)


def create():
    fields = {"Name": "grpcio", "BillingCity": "Zürich", "NumberOfEmployees": 7}
    return call("POST", "sobjects/Account", json=fields)["id"]


def created():
    event, change = next_change(latest, "CREATE")
    expect(change["Name"] == "grpcio", change)
    expect(change["BillingAddress"]["City"] == "Zürich", change)
    expect(change["NumberOfEmployees"] == 7, change)
    return event.replay_id


def updated():
    fields = {"Name": "grpcio 2", "BillingCity": "Basel", "NumberOfEmployees": None}
    call("PATCH", f"sobjects/Account/{account}", json=fields)
    event, change = next_change(latest, "UPDATE")
    header = change["ChangeEventHeader"]
    expect(change["Name"] == "grpcio 2" and change["Phone"] is None, change)
    wanted = {"Name", "BillingAddress.City", "NumberOfEmployees", "LastModifiedDate"}
    expect(wanted <= set(header["changedFields"]), header)
    expect("CreatedDate" not in header["changedFields"], header)
    expect(header["nulledFields"] == ["NumberOfEmployees"], header)
    return event.replay_id


def deleted():
    call("DELETE", f"sobjects/Account/{account}")
    next_change(latest, "DELETE")


account = checks.check("writes a record", create)
creation = checks.check("decodes its CREATE event with the schema from GetSchema", created)
update = checks.check("decodes its UPDATE event, bitmaps to names", updated)
checks.check("decodes its DELETE event", deleted)
latest.end()


def replay():
    subscription = Subscription(replay_preset=pb2.CUSTOM, replay_id=creation)
    event, _ = next_change(subscription, "UPDATE")
    expect(event.replay_id == update)
    next_change(subscription, "DELETE")
    subscription.end()


def bad_replay_id():
    subscription = Subscription(replay_preset=pb2.CUSTOM, replay_id=b"\xff" * 8)
    raised = refused(grpc.RpcError, subscription.event)
    expect(raised.code() == grpc.StatusCode.INVALID_ARGUMENT, raised)
    found = dict(raised.trailing_metadata())
    expect(found.get("error-code", "").endswith("replayid.corrupted"), found)


checks.check("resumes after a replay id", replay)
checks.check("is told that a replay id is not valid", bad_replay_id)
channel.close()
