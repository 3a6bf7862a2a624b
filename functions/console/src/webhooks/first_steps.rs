//! Somebody who has no webhook yet sees the three steps to the first delivery.

use maud::{Markup, html};

use crate::{parts::command, visitor::Visitor};

/// The steps, with lines for a shell that work as they are once `KEY` is set. On a developer's own
/// machine `inbox` is the address of the built-in receiver.
pub(super) fn steps(visitor: &Visitor, inbox: Option<&str>) -> Markup {
    let api = &visitor.origin;
    let receiver = inbox.map(|inbox| format!("{inbox}/inbox/mine"));
    let url = receiver.as_deref().unwrap_or("https://example.com/webhooks");
    let register = format!(
        "curl {api}/api/v1/webhooks -H \"Authorization: Bearer $KEY\" \\\n  \
         -d '{{\"url\": \"{url}\", \"events\": [\"order.*\"]}}'"
    );
    let publish = format!(
        "curl {api}/api/v1/events -H \"Authorization: Bearer $KEY\" \\\n  \
         -d '{{\"type\": \"order.created\", \"data\": {{\"id\": 42}}}}'"
    );
    html! {
        section.card aria-labelledby="first-steps" {
            h2 id="first-steps" { "Three steps to the first delivery" }
            p {
                "The lines are for a shell in which " code { "KEY" } " is an API key of this \
                 workspace. The pages do the same."
            }
            ol.steps {
                li {
                    h3 { "Register a webhook" }
                    p {
                        a href="/console/webhooks/new" { "Register it on a page" }
                        ", or with a call:"
                    }
                    (command("step-register", "A call that registers a webhook", &register))
                }
                li {
                    h3 { "Publish an event" }
                    p {
                        a href="/console/events/publish?type=order.created" { "Publish it on a page" }
                        ", or with a call:"
                    }
                    (command("step-publish", "A call that publishes an event", &publish))
                }
                li {
                    h3 { "See it arrive" }
                    p {
                        "The request, its answer and each further try stand in the "
                        a href="/console/deliveries" { "deliveries" } "."
                        @if let Some(receiver) = &receiver {
                            " The built-in receiver shows what it got: "
                            a href=(receiver) { (receiver) } "."
                        }
                    }
                }
            }
        }
    }
}
