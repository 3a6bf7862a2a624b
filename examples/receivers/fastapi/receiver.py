"""This is a receiver of webhooks in FastAPI. Each profile has a path; keep the lines of the profile that your webhook has.
The profile `slack` needs no receiver: its messages go to Slack.

    pip install -r requirements.txt
    STANDARD_SECRETS="whsec_…" uvicorn receiver:app --port 3000      takes webhooks of the profile `standard` at /standard
"""

import asyncio
import hashlib
import hmac
import json
import os

from fastapi import BackgroundTasks, FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError


def event(id, type, data):
    return {"id": id, "type": type, "data": data}


# Each profile writes the id, the type and the data of an event in its own way. Two of them have the event's id only in the
# header `webhook-id`, and `spektr` has a list of events.
EVENTS_OF = {
    "standard": lambda body, webhook_id: [event(webhook_id, body["type"], body["data"])],
    "spektr": lambda body, _: [event(one["id"], one["eventType"], one["data"]) for one in body["results"]],
    "spektr-v1": lambda body, _: [event(body["id"], body["type"], body["data"])],
    "spectra": lambda body, webhook_id: [event(webhook_id, body["event"], body["data"])],
    "dataspike": lambda body, _: [event(body["id"], body["event_type"], body["payload"])],
    "cloudevents": lambda body, _: [event(body["id"], body["type"], body["data"])],
}


def secrets_of(profile: str) -> list[str]:
    """Reads the secrets of a webhook, which are separated by spaces. During a rotation give the new one and the old one: a request
    is good if it was signed with any of them. Without a secret every request is refused."""
    secrets = os.environ.get(f"{profile.upper().replace('-', '_')}_SECRETS", "").split()
    for secret in secrets:
        Webhook(secret)  # A malformed secret ends the program here, not at the first request.
    return secrets


def has_standard_signature(secret: str, headers, raw_body: bytes) -> bool:
    """The signature of Standard Webhooks covers the id, the time and the body. The library refuses a time 5 minutes off."""
    try:
        Webhook(secret).verify(raw_body, headers, json_parse=False)
        return True
    # The library raises a ValueError for a header that has not the form of a signature.
    except (WebhookVerificationError, ValueError):
        return False


def has_spectra_signature(secret: str, headers, raw_body: bytes) -> bool:
    """Spectra's signature covers the body alone, so it can't tell an old request that someone sends again."""
    expected = "sha256=" + hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
    # compare_digest takes texts only if they are ASCII, and a header may be anything.
    return hmac.compare_digest(expected.encode(), headers.get("x-webhook-signature", "").encode())


SECRETS = {profile: secrets_of(profile) for profile in EVENTS_OF}
# This memory is lost with the process. A table whose key is the event's id is better: store the event there before you answer,
# and work from the table.
seen: dict[str, None] = {}


def is_new(key: str) -> bool:
    if key in seen:
        return False
    seen[key] = None
    if len(seen) > 100_000:
        del seen[next(iter(seen))]  # The oldest one goes.
    return True


async def work(profile: str, events: list[dict]):
    for event in events:
        await asyncio.sleep(0.05)  # Your work goes here.
        print(profile, json.dumps(event), flush=True)


app = FastAPI()


@app.post("/{profile}")
async def receive(profile: str, request: Request, tasks: BackgroundTasks):
    if profile not in EVENTS_OF:
        return Response(status_code=404)
    # The signature is over the bytes that were sent. A parameter such as `body: dict` would parse them first, and writing the
    # result as JSON again does not give the same bytes.
    raw_body = await request.body()
    # Whoever may choose takes the standard signature for `spectra` too, as every request has it: an old secret then holds until the
    # overlap of a rotation ends, and nobody can send an old request again.
    has_signature = has_spectra_signature if profile == "spectra" else has_standard_signature
    if not any(has_signature(secret, request.headers, raw_body) for secret in SECRETS[profile]):
        return Response(status_code=401)

    events = EVENTS_OF[profile](json.loads(raw_body), request.headers.get("webhook-id"))
    fresh = [event for event in events if is_new(f"{profile} {event['id']}")]
    # Several profiles count nothing but 200 as a success. The work comes after the answer, which has to come within 5 seconds.
    tasks.add_task(work, profile, fresh)
    return Response(status_code=200)
