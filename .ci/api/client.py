"""Uses the client of openapi-python-client as a user does. It has to pass `mypy --strict`, and to work."""

import datetime
import os
import time
import uuid
from collections.abc import Callable
from typing import Protocol, TypeVar

from posthaste_client import AuthenticatedClient
from posthaste_client.api.event_types import put_event_type
from posthaste_client.api.events import get_event, publish_events
from posthaste_client.api.webhooks import (
    get_replay,
    list_deliveries,
    list_webhooks,
    register_webhook,
    remove_webhook,
    replay_delivery,
    start_replay,
)
from posthaste_client.models import (
    Accepted,
    AcceptedMany,
    Delivery,
    DryRun,
    DryRunOutcome,
    Failure,
    GatewayMessage,
    JobStatus,
    JsonObject,
    Method,
    NewEvent,
    NewEvents,
    Profile,
    PutEventType,
    RegisterWebhook,
    Selection,
    StartReplay,
    Status,
    Webhook,
)
from posthaste_client.types import UNSET, Unset

BOUND = 60
INBOX = os.environ["INBOX"]
CLIENT = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["KEY"])

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Envelope(Protocol[T_co]):
    @property
    def data(self) -> T_co: ...


def data(answer: Envelope[T] | Failure | GatewayMessage | None) -> T:
    if answer is None or isinstance(answer, (Failure, GatewayMessage)):
        raise SystemExit(f"this failed: {answer}")
    return answer.data


def hold(what: str, holds: bool) -> None:
    if not holds:
        raise SystemExit(f"this does not hold: {what}")


def until(what: str, look: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND
    while not look():
        hold(what, time.monotonic() < end)
        time.sleep(0.2)


def webhooks() -> list[Webhook]:
    """All webhooks, two a page."""
    items: list[Webhook] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page = data(list_webhooks.sync(client=CLIENT, limit=2, cursor=cursor))
        items += page.items
        cursor = page.next_
    return items


def deliveries(webhook: int) -> list[Delivery]:
    """All deliveries of a webhook, two a page."""
    items: list[Delivery] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page = data(list_deliveries.sync(webhook, client=CLIENT, limit=2, cursor=cursor))
        items += page.items
        cursor = page.next_
    return items


def json_object(members: dict[str, object]) -> JsonObject:
    return JsonObject.from_dict(members)


def publish(body: NewEvent | NewEvents) -> Accepted | AcceptedMany | DryRun:
    return data(publish_events.sync(client=CLIENT, body=body, idempotency_key=str(uuid.uuid4())))


def register() -> tuple[Webhook, Webhook]:
    own = data(
        register_webhook.sync(client=CLIENT, body=RegisterWebhook(url=f"{INBOX}/inbox/python", events=["python.*"]))
    )
    hold("a registration shows the secret", isinstance(own.secret, str) and own.timeout_seconds == 5)
    body = RegisterWebhook(url=f"{INBOX}/inbox/slack", events=["alert_created"], method=Method.SLACK)
    slack = data(register_webhook.sync(client=CLIENT, body=body))
    hold("the method chooses the profile", slack.profile == Profile.SLACK)
    refused = register_webhook.sync(client=CLIENT, body=RegisterWebhook(url="ftp://example.com", events=["*"]))
    hold("a failure has a code", isinstance(refused, Failure) and refused.error.code == "invalid_url")
    return own, slack


def try_out(webhook: int, body: NewEvent) -> None:
    tried = data(publish_events.sync(client=CLIENT, body=body, dry_run=True))
    if not isinstance(tried, DryRun):
        raise SystemExit(f"a dry run publishes nothing: {tried}")
    found = [forecast for forecast in tried.webhooks if forecast.webhook == webhook]
    hold("a dry run knows who gets an event", [forecast.outcome for forecast in found] == [DryRunOutcome.NOW])


def replay(webhook: int, since: datetime.datetime) -> None:
    delivery = deliveries(webhook)[0]
    again = data(replay_delivery.sync(webhook, delivery.id, client=CLIENT))
    hold("a replay names its delivery", again.replay_of == delivery.id)
    until(
        "what was replayed is delivered",
        lambda: any(found.id == again.id and found.status == Status.SUCCEEDED for found in deliveries(webhook)),
    )
    job = data(start_replay.sync(webhook, client=CLIENT, body=StartReplay(since=since)))
    hold("what failed is replayed unless asked otherwise", job.selection == Selection.FAILED)
    until(
        "the replay is over",
        lambda: data(get_replay.sync(webhook, job.id, client=CLIENT)).status == JobStatus.DONE,
    )


def main() -> None:
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    schema = json_object({"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}})
    put = PutEventType(schema=schema, sample=json_object({"total": 1}))
    hold("a type keeps its schema", data(put_event_type.sync("python.paid", client=CLIENT, body=put)).schema == schema)

    own, slack = register()

    paid = NewEvent(type_="python.paid", data=json_object({"orderId": 1042, "total": 499}))
    try_out(own.id, paid)
    one = publish(paid)
    several = NewEvents(events=[NewEvent(type_="python.paid", data=json_object({"total": total})) for total in (1, 2)])
    many = publish(several)
    if not isinstance(one, Accepted) or not isinstance(many, AcceptedMany):
        raise SystemExit(f"one event is answered by itself, several in a list: {one}, {many}")
    hold("every event is answered", len(many.events) == 2)

    hold("every webhook is on a page", {own.id, slack.id} <= {webhook.id for webhook in webhooks()})
    until(
        "three events are delivered",
        lambda: [delivery.status for delivery in deliveries(own.id)] == [Status.SUCCEEDED] * 3,
    )
    replay(own.id, since)

    event = data(get_event.sync(one.id, client=CLIENT))
    hold("an event has its data", event.data["orderId"] == 1042)
    for webhook in (own, slack):
        hold("it is removed", data(remove_webhook.sync(webhook.id, client=CLIENT)).deleted)
    print("a Python client registers, publishes, pages and replays")


main()
