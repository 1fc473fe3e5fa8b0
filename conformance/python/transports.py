"""Runs the Python gql client through its four transports, with CALLBOARD_GRAPHQL and CALLBOARD_API_KEY."""

import asyncio
import os
import sys
import traceback
import uuid

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

ENDPOINT = os.environ["CALLBOARD_GRAPHQL"]
SOCKET = ENDPOINT.replace("http", "ws", 1)
CREDENTIALS = {"authorization": f"Bearer {os.environ['CALLBOARD_API_KEY']}"}
LIMIT = 120

COMMAND = "query Demo($name: String) { command(name: $name) { id name kind } }"
ENQUEUE = """mutation Enqueue($input: JobEnqueueInput!) {
  jobEnqueue(input: $input) { job { id state version } wasDuplicate userErrors { code message path } }
}"""
EVENTS = """subscription Events($jobId: ID!, $after: String) {
  jobEvents(jobId: $jobId, after: $after) { cursor kind at message attempt state version }
}"""

CHANGES = """subscription Changes($filter: JobFilter) {
  jobsChanged(filter: $filter) { cursor isReset changes { id state version isInFilter } }
}"""


def request(document, **variables):
    return GraphQLRequest(document, variable_values=variables)


async def enqueue(session, **more):
    command = (await session.execute(request(COMMAND, name="demo-program")))["command"]
    assert command and command["kind"] == "PROGRAM", command
    payload = (await session.execute(request(ENQUEUE, input={"commandId": command["id"], **more})))["jobEnqueue"]
    assert payload["userErrors"] == [], payload
    return payload["job"]["id"]


async def refused(session):
    """An unknown command is a user error, and an unknown field is an error with a code."""
    payload = (await session.execute(request(ENQUEUE, input={"commandId": "none"})))["jobEnqueue"]
    assert payload["job"] is None and payload["userErrors"], payload
    try:
        # Through the transport, so that the server validates it and not gql with its copy of the schema.
        result = await session.transport.execute(GraphQLRequest("{ nothingOfThisName }"))
        errors = result.errors
    except TransportQueryError as error:
        errors = error.errors
    assert errors and errors[0]["extensions"]["code"] == "VALIDATION_FAILED", errors


async def queries(transport):
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        schema = session.client.schema
        assert {"Job", "JobEvent", "CommandConnection"} <= schema.type_map.keys(), "the schema comes from introspection"
        job_id = await enqueue(session)
        assert job_id.startswith("job_"), job_id
        await refused(session)


def assert_whole(events):
    """Asserts one snapshot, then every version once and in order, up to the one that ends the job."""
    snapshot, *rest = events
    assert snapshot["kind"] == "SNAPSHOT", events
    assert not {"SNAPSHOT", "RESET"} & {event["kind"] for event in rest}, events
    assert [event["version"] for event in rest] == list(range(1, len(rest) + 1)), events
    assert rest[0]["kind"] == "ENQUEUED", events
    assert [event["state"] for event in rest].index("SUCCEEDED") == len(rest) - 1, events


async def events_of(session, job_id, after=None):
    stream = session.subscribe(request(EVENTS, jobId=job_id, after=after))
    return [message["jobEvents"] async for message in stream]


async def streams(make_transport):
    async with Client(transport=make_transport(), fetch_schema_from_transport=True) as session:
        assert session.client.schema.subscription_type is not None
        job_id = await enqueue(session)
        live = await events_of(session, job_id)
        assert_whole(live)
        # After the end, a new stream has every event again, and any cursor gives exactly the rest.
        events = await events_of(session, job_id)
        assert_whole(events)
        assert events[1:] == live[1:], (live, events)
        for index, event in enumerate(events):
            assert await events_of(session, job_id, event["cursor"]) == events[index + 1 :], event
        await followed(session)
        await refused(session)
    await resumed(make_transport)


async def followed(session):
    """Opens the stream of changes before the job exists. The stream reports the job's id."""
    label = str(uuid.uuid4())
    changes = session.subscribe(request(CHANGES, filter={"labels": [label]}))
    first = (await anext(changes))["jobsChanged"]
    assert first["isReset"] and first["changes"] == [], first
    job_id = await enqueue(session, labels=[label])
    told = []
    while not any(change["state"] == "SUCCEEDED" for change in told):
        told += (await anext(changes))["jobsChanged"]["changes"]
    assert {change["id"] for change in told} == {job_id}, told
    versions = [change["version"] for change in told]
    assert versions == sorted(set(versions)), told
    assert_whole(await events_of(session, told[0]["id"]))
    await changes.aclose()


async def resumed(make_transport):
    """Uses one connection per event and closes it right after the event."""
    events, job_id, is_complete = [], None, False
    while not is_complete:
        async with Client(transport=make_transport()) as session:
            job_id = job_id or await enqueue(session)
            after = events[-1]["cursor"] if events else None
            stream = session.subscribe(request(EVENTS, jobId=job_id, after=after))
            message = await anext(stream, None)
            # Otherwise gql waits ten seconds for the stream to end.
            await stream.aclose()
            is_complete = message is None
            if message:
                events.append(message["jobEvents"])
    assert_whole(events)


CREATE_KEY = """mutation Create($input: ApiKeyCreateInput!) {
  apiKeyCreate(input: $input) { key apiKey { id } userErrors { code message path } }
}"""
REVOKE_KEY = "mutation Revoke($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { userErrors { code } } }"


async def roles():
    """A key of each role signs in over every transport, and a revoked one over none."""
    async with Client(transport=AIOHTTPTransport(ENDPOINT, headers=CREDENTIALS)) as admin:
        for role in ["VIEWER", "OPERATOR", "ADMIN"]:
            given = {"name": f"python {role} {uuid.uuid4()}", "role": role}
            payload = (await admin.execute(request(CREATE_KEY, input=given)))["apiKeyCreate"]
            assert payload["userErrors"] == [], payload
            credentials = {"authorization": f"Bearer {payload['key']}"}
            transports = [
                AIOHTTPTransport(ENDPOINT, headers=credentials),
                HTTPXAsyncTransport(ENDPOINT, headers=credentials),
                WebsocketsTransport(SOCKET, init_payload=credentials),
                AIOHTTPWebsocketsTransport(SOCKET, init_payload=credentials),
            ]
            for transport in transports:
                async with Client(transport=transport) as session:
                    viewer = (await session.execute(request("{ viewer { role can } }")))["viewer"]
                    assert viewer["role"] == role and ("apiKeys" in viewer["can"]) == (role == "ADMIN"), viewer
                    await may_enqueue(session, role != "VIEWER")
            await admin.execute(request(REVOKE_KEY, input={"id": payload["apiKey"]["id"]}))
            try:
                async with Client(transport=AIOHTTPTransport(ENDPOINT, headers=credentials)) as session:
                    await session.execute(request("{ viewer { role } }"))
                raise AssertionError("a revoked key was accepted")
            except TransportQueryError as error:
                assert error.errors[0]["extensions"]["code"] == "UNAUTHENTICATED", error


async def may_enqueue(session, is_allowed):
    code = None
    try:
        await session.execute(request(ENQUEUE, input={"commandId": "none"}))
    except TransportQueryError as error:
        code = error.errors[0]["extensions"]["code"]
    assert code == (None if is_allowed else "FORBIDDEN"), code


PROGRAMS = {
    "roles": roles,
    "AIOHTTPTransport": lambda: queries(AIOHTTPTransport(ENDPOINT, headers=CREDENTIALS)),
    "HTTPXAsyncTransport": lambda: queries(HTTPXAsyncTransport(ENDPOINT, headers=CREDENTIALS)),
    "WebsocketsTransport": lambda: streams(lambda: WebsocketsTransport(SOCKET, init_payload=CREDENTIALS)),
    "AIOHTTPWebsocketsTransport": lambda: streams(lambda: AIOHTTPWebsocketsTransport(SOCKET, init_payload=CREDENTIALS)),
}


async def main():
    failed = 0
    for name, program in PROGRAMS.items():
        try:
            await asyncio.wait_for(program(), LIMIT)
            print(f"ok - gql {name}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok - gql {name}\n{traceback.format_exc()}", flush=True)
    print(f"# pass {len(PROGRAMS) - failed}\n# fail {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
