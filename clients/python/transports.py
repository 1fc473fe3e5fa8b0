"""The Python gql client through its four transports. CALLBOARD_GRAPHQL and CALLBOARD_API_KEY say where and as whom."""

import asyncio
import os
import sys
import traceback

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


def request(document, **variables):
    return GraphQLRequest(document, variable_values=variables)


async def enqueue(session):
    command = (await session.execute(request(COMMAND, name="demo-program")))["command"]
    assert command and command["kind"] == "PROGRAM", command
    payload = (await session.execute(request(ENQUEUE, input={"commandId": command["id"]})))["jobEnqueue"]
    assert payload["userErrors"] == [], payload
    return payload["job"]["id"]


async def refused(session):
    """An unknown command is the caller's mistake, an unknown field is an error with a code."""
    payload = (await session.execute(request(ENQUEUE, input={"commandId": "none"})))["jobEnqueue"]
    assert payload["job"] is None and payload["userErrors"], payload
    try:
        # Through the transport, so that the server judges it and not gql by its copy of the schema.
        result = await session.transport.execute(GraphQLRequest("{ nothingOfThisName }"))
        errors = result.errors
    except TransportQueryError as error:
        errors = error.errors
    assert errors and errors[0]["extensions"]["code"] == "VALIDATION_FAILED", errors


async def queries(transport):
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        schema = session.client.schema
        assert {"Job", "JobEvent", "CommandConnection"} <= schema.type_map.keys(), "the schema came by introspection"
        job_id = await enqueue(session)
        assert job_id.startswith("job_"), job_id
        await refused(session)


async def streams(transport):
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        assert session.client.schema.subscription_type is not None
        job_id = await enqueue(session)
        events = [message["jobEvents"] async for message in session.subscribe(request(EVENTS, jobId=job_id))]
        assert events[0]["kind"] == "SNAPSHOT", events[0]
        assert events[-1]["state"] == "SUCCEEDED", events[-1]
        for before, after in zip(events, events[1:]):
            assert after["version"] == before["version"] + 1, (before, after)
        rest = session.subscribe(request(EVENTS, jobId=job_id, after=events[0]["cursor"]))
        assert [message["jobEvents"]["version"] async for message in rest] == [event["version"] for event in events[1:]]
        await refused(session)


PROGRAMS = {
    "AIOHTTPTransport": lambda: queries(AIOHTTPTransport(ENDPOINT, headers=CREDENTIALS)),
    "HTTPXAsyncTransport": lambda: queries(HTTPXAsyncTransport(ENDPOINT, headers=CREDENTIALS)),
    "WebsocketsTransport": lambda: streams(WebsocketsTransport(SOCKET, init_payload=CREDENTIALS)),
    "AIOHTTPWebsocketsTransport": lambda: streams(AIOHTTPWebsocketsTransport(SOCKET, init_payload=CREDENTIALS)),
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
