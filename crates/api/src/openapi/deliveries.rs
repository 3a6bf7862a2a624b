//! `/api/v1/deliveries` and `/api/v1/events/{id}/deliveries`

use utoipa::openapi::HttpMethod;

use super::{
    call::Call,
    webhooks::{self, SCOPE, id},
};
use crate::{DeliveryAnswer, ListAllDeliveries, ListEventDeliveries};

const TAG: &str = "Deliveries";

pub(super) fn calls() -> [Call; 2] {
    [list(), of_event()]
}

fn list() -> Call {
    Call::new(HttpMethod::Get, "/api/v1/deliveries", "listAllDeliveries", "List all deliveries")
        .tag(TAG)
        .needs(SCOPE, LISTING)
        .pages::<ListAllDeliveries>()
        .answers_page::<DeliveryAnswer>("A page of deliveries.", webhooks::history())
        .leads_to(
            ["getDelivery", "replayDelivery"],
            [
                ("id", "$response.body#/data/items/0/webhookId"),
                ("delivery", "$response.body#/data/items/0/id"),
            ],
        )
        .leads_to(["getEvent"], [("id", "$response.body#/data/items/0/eventId")])
}

fn of_event() -> Call {
    Call::new(
        HttpMethod::Get,
        "/api/v1/events/{id}/deliveries",
        "listEventDeliveries",
        "List an event's deliveries",
    )
    .tag(TAG)
    .needs(SCOPE, OF_EVENT)
    .names("id", "event with this id", id())
    .pages::<ListEventDeliveries>()
    .answers_page::<DeliveryAnswer>("A page of deliveries.", webhooks::history())
    .leads_to(
        ["getDelivery", "replayDelivery"],
        [
            ("id", "$response.body#/data/items/0/webhookId"),
            ("delivery", "$response.body#/data/items/0/id"),
        ],
    )
}

const LISTING: &str = "\
The deliveries of all webhooks of the workspace, the newest activity first: what was published and \
everything that became of it, with replays and tests. What happens within a minute of an event's \
acceptance is listed at the time of the acceptance, and everything later at its own time. Each \
delivery is in the list from the moment at which its event is fanned out, with the status \
`waiting` and the reason until it is first tried. With `event_id` the list has what publishing the \
event caused; its replays are in the lists of their webhooks.";

const OF_EVENT: &str = "\
The deliveries that an event caused when it was published, in the order of the webhooks' ids: one \
for each webhook that wanted it then. Each is in the list from the moment at which the event is \
fanned out. Replays of the event are in the lists of their webhooks. Of an event that more than \
1,000 webhooks wanted the list has those webhooks that want it by their present settings.";
