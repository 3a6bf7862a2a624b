//! Sending a test with data of one's own.

use serde_json::json;

use crate::{
    harness::{answer, page_of, visit},
    webhooks::in_a_shell,
};

#[test]
fn an_edited_sample_is_sent_and_its_answer_shown_with_the_call() {
    visit("test-edited", async |visit| {
        let webhook = visit.register("mine", json!({ "events": ["order.*"] })).await;
        visit.answers("mine", answer(418, r#"{"kettle": "it's whistling"}"#));
        visit.sign_in().await;
        let page = &mut visit.page;
        page.open(&page_of(&webhook)).await;
        page.click("Send test").await;
        page.fill("Event type", "order.shipped").await;
        page.click("Show its sample").await;
        assert!(page.value("Data of the event").await.contains("\"orderId\""));
        page.fill("Data of the event", "{ \"tea\": ").await;
        page.click("Send order.shipped").await;
        assert_eq!(page.status(), 422);
        assert_eq!(page.value("Data of the event").await, "{ \"tea\":");
        page.fill("Data of the event", r#"{"tea": "it's 1.50"}"#).await;
        page.click("Send order.shipped").await;
        for shown in ["The endpoint’s answer", "418", " ms", "\"kettle\": \"it's whistling\""] {
            page.sees(shown).await;
        }
        page.passes_axe().await;
        let sent = visit.arrived("mine", 1).await.remove(0);
        assert!(sent.body.contains(r#""tea":"it's 1.50""#), "{}", sent.body);

        let line = visit.page.text_of("#curl").await.as_str().unwrap().to_owned();
        assert!(line.contains("$KEY") && !line.contains(visit.api.key()), "{line}");
        let answered = in_a_shell(&line, visit.api.key());
        assert_eq!(answered["data"]["httpStatus"], 418, "{answered}");
        let again = visit.arrived("mine", 2).await.remove(1);
        assert!(again.body.contains(r#""tea":"it's 1.50""#), "{}", again.body);
        let page = &mut visit.page;
        page.click("See the delivery").await;
        page.sees("It is a test.").await;
    });
}
