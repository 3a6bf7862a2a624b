"""What schemathesis has to know of Posthaste: where requests to webhooks may go, and which refusals of a valid call are right."""

import os
import re

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import positive_data_acceptance

# A host that somebody could have, in a URL.
HOST = re.compile(r"^https?://(?:[^/?#@\\]*@)?[A-Za-z0-9.-]+(?::\d+)?(?=[/?#]|$)")

# Codes of calls that fit the description and are refused all the same, each with what no JSON Schema can say.
REASONS = {
    "built_in_event_type": "the catalogue's names are many, and grow",
    "forbidden_header": "the headers that are Posthaste's own are many",
    "invalid_format": "a format and a method can contradict each other",
    "invalid_method": "a method and a profile can contradict each other",
    "invalid_parameter": "a cursor is what an earlier answer gave",
    "invalid_range": "since is before until",
    "invalid_sample": "a sample fits a schema that the same call brings",
    "invalid_origin": "a host can be wrong in many ways",
    "invalid_schema": "a schema is a JSON Schema itself",
    "invalid_timestamp": "a date that does not exist can look like one",
    "invalid_url": "a host has to be public, and a URL can be wrong in many ways",
    "misplaced_field": "what version 1 prints beside `data` belongs to one type of event",
    "several_events": "a dry run takes one event",
    "too_long": "some limits count bytes, and a schema counts characters",
    "too_many_operational_webhooks": "it depends on the webhooks that there are",
    "too_many_secrets": "it depends on the rotations before",
    "unbounded_scope": "it depends on whether webhooks are named",
    "unknown_event_type": "it depends on the types that there are",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Sends no webhook anywhere but to the local system's own receiver. And of all calls only publishing may have `webhook-hops`, also of
    those with a method that the path does not have."""
    if case.method.upper() != "POST" and case.headers:
        case.headers.pop("webhook-hops", None)
    if isinstance(case.body, dict) and isinstance(url := case.body.get("url"), str):
        case.body["url"] = HOST.sub(os.environ["INBOX"], url)


@schemathesis.check
def valid_calls_are_taken(ctx, response, case):
    """positive_data_acceptance, but for what is refused with a code that has its reason above."""
    try:
        positive_data_acceptance(ctx, response, case)
    except Failure:
        if code(response) not in REASONS:
            raise


def code(response):
    try:
        return response.json()["error"]["code"]
    except (ValueError, TypeError, KeyError):
        return None
