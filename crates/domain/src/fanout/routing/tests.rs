use proptest::prelude::*;

use super::*;
use crate::event::event_type::EventPattern;

fn subscription(id: u64, patterns: usize) -> Subscription {
    let pattern = |nth| EventPattern::parse(&format!("order.{nth}{}", "x".repeat(100))).unwrap();
    Subscription {
        id: WebhookId(id),
        events: (0..patterns).map(pattern).collect(),
        timing: Default::default(),
        filters: Default::default(),
        holds: false,
        batches: false,
    }
}

/// The items of an index, as a table has them.
#[derive(Default)]
struct Table {
    root: Root,
    pages: HashMap<String, Page>,
}

impl Table {
    fn change(
        &mut self,
        id: u64,
        subscription: Option<&Subscription>,
        most: usize,
    ) -> Result<bool, Refused> {
        let around: Vec<String> = self.root.around(WebhookId(id)).map(str::to_owned).collect();
        let known =
            around.into_iter().map(|hash| (hash.clone(), self.pages[&hash].clone())).collect();
        let Some(changed) = self.root.change(WebhookId(id), subscription, &known, most)? else {
            return Ok(false);
        };
        for page in changed.written {
            let read = Page::parse(&page.json).unwrap();
            assert!(
                self.pages.insert(page.hash, read).is_none(),
                "a page that is there is not written again"
            );
        }
        for hash in changed.removed {
            assert!(self.pages.remove(&hash).is_some(), "a page is removed once");
        }
        self.root = changed.root;
        Ok(true)
    }

    fn put(&mut self, subscription: &Subscription) {
        self.change(subscription.id.0, Some(subscription), usize::MAX).unwrap();
    }

    fn all(&self) -> Vec<Subscription> {
        let pages = self.root.hashes().map(|hash| &self.pages[hash]);
        pages
            .flat_map(|page| {
                page.subscriptions()
                    .map(|(_, subscription)| subscription.unwrap())
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

#[test]
fn the_items_of_an_index() {
    let mut table = Table::default();
    table.put(&Subscription { events: vec![EventPattern::All], ..subscription(7, 0) });
    insta::assert_snapshot!(
        serde_json::to_string(&table.root).unwrap(),
        @r#"{"pages":[[7,"c477a9a779d82e9b7d46fdc7",1,25,0]]}"#
    );
    let page = table.pages.values().next().unwrap();
    insta::assert_snapshot!(
        serde_json::to_string(&page.0.values().collect::<Vec<_>>()).unwrap(),
        @r#"[{"id":7,"events":["*"]}]"#
    );
}

#[test]
fn webhooks_that_are_registered_one_after_the_other_fill_their_pages() {
    let mut table = Table::default();
    let all: Vec<Subscription> = (1..=2_000).map(|id| subscription(id, 2)).collect();
    all.iter().for_each(|subscription| table.put(subscription));
    assert_eq!((table.root.webhooks(), table.all()), (2_000, all));
    let full = table.root.pages[..table.root.pages.len() - 1]
        .iter()
        .all(|page| page.bytes > MAX_PAGE_BYTES * 9 / 10);
    assert!(full && table.root.pages.len() < 25, "{:?}", table.root);
}

#[test]
fn an_index_is_built_from_what_is_there() {
    let all: Vec<Subscription> = (1..=2_000).map(|id| subscription(id, 2)).collect();
    let (root, pages) = Root::build(&all).unwrap();
    let pages =
        pages.into_iter().map(|page| (page.hash, Page::parse(&page.json).unwrap())).collect();
    assert_eq!(Table { root, pages }.all(), all);
    assert_eq!(Root::build(&[]).unwrap(), (Root::default(), Vec::new()));
}

#[test]
fn a_webhook_that_is_one_too_many_is_refused_and_one_that_is_there_can_be_changed() {
    let mut table = Table::default();
    for id in 1..=3 {
        assert!(table.change(id, Some(&subscription(id, 1)), 3).unwrap());
    }
    insta::assert_snapshot!(
        table.change(4, Some(&subscription(4, 1)), 3).unwrap_err(),
        @"the workspace has 3 webhooks; it can have 3 at most"
    );
    assert!(table.change(3, Some(&subscription(3, 2)), 3).unwrap());
    assert!(!table.change(3, Some(&subscription(3, 2)), 3).unwrap(), "it is so already");
    assert!(table.change(1, None, 3).unwrap() && !table.change(1, None, 3).unwrap());
    assert!(table.change(4, Some(&subscription(4, 1)), 3).unwrap());
}

#[test]
fn an_index_that_is_too_large_can_only_become_smaller() {
    let large: Vec<Subscription> = (1..=400).map(|id| subscription(id, 100)).collect();
    let (root, pages) = Root::build(&large).unwrap();
    let pages =
        pages.into_iter().map(|page| (page.hash, Page::parse(&page.json).unwrap())).collect();
    let mut table = Table { root, pages };
    assert!(table.root.bytes() > MAX_INDEX_BYTES);
    insta::assert_snapshot!(
        table.change(401, Some(&subscription(401, 1)), 1000).unwrap_err(),
        @"events and filters of all the workspace's webhooks take at most 4194304 bytes together"
    );
    assert!(table.change(5, Some(&subscription(5, 1)), 1000).unwrap());
    assert!(table.change(6, None, 1000).unwrap());
}

#[test]
fn a_subscription_of_another_version_stays_as_it_is() {
    let newer = r#"[{"id":3,"events":["order.*"],"timing":"tomorrow"}]"#;
    let page = Page::parse(newer).unwrap();
    assert_eq!(page.subscriptions().collect::<Vec<_>>(), [(WebhookId(3), None)]);
    let (page_ref, stored) = page.stored().unwrap();
    assert_eq!(stored.json, newer);
    let mut table =
        Table { root: Root { pages: vec![page_ref] }, pages: [(stored.hash, page)].into() };
    table.put(&subscription(5, 1));
    let page = table.pages.values().next().unwrap();
    assert!(table.pages.len() == 1 && page.0[&WebhookId(3)].get().contains("tomorrow"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_index_has_what_was_put_and_not_removed(
        changes in prop::collection::vec(
            (1_u64..100, prop_oneof![Just(None), (0_usize..25).prop_map(Some)]), 1..120
        )
    ) {
        let mut table = Table::default();
        let mut model = BTreeMap::new();
        for (id, patterns) in changes {
            let subscription = patterns.map(|patterns| subscription(id, patterns));
            table.change(id, subscription.as_ref(), usize::MAX).unwrap();
            match subscription {
                Some(subscription) => model.insert(id, subscription),
                None => model.remove(&id),
            };
            prop_assert_eq!(table.root.webhooks(), model.len());
            prop_assert_eq!(table.root.pages.len(), table.pages.len(), "no page is left behind");
            let pages = &table.root.pages;
            prop_assert!(pages.iter().all(|page| page.bytes <= MAX_PAGE_BYTES || page.webhooks == 1));
            for page in pages {
                prop_assert_eq!(page.bytes, table.pages[&page.hash].bytes());
            }
            // Half of a page that was divided lacks up to one subscription, of at most 3 KB here,
            // and was not held against its neighbour.
            prop_assert!(pages.windows(2).all(|pair| pair[0].bytes + pair[1].bytes > SMALL_PAIR - 3_000));
        }
        prop_assert_eq!(table.all(), model.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn few_webhooks_can_name_operational_events() {
    let mut table = Table::default();
    let naming = |id: u64, pattern: &str| Subscription {
        events: vec![EventPattern::parse(pattern).unwrap()],
        ..subscription(id, 0)
    };
    for (id, pattern) in
        (1..).zip(["*", "order.*", "webhook.failing", "delivery.*"].iter().cycle().take(20))
    {
        table.put(&naming(id, pattern));
    }
    let refused =
        table.change(21, Some(&naming(21, "delivery.exhausted")), usize::MAX).unwrap_err();
    insta::assert_snapshot!(
        refused, @"10 webhooks of the workspace name operational events; no more can"
    );
    assert!(
        table.change(3, Some(&naming(3, "delivery.exhausted")), usize::MAX).unwrap(),
        "it named one before"
    );
    assert!(table.change(4, None, usize::MAX).unwrap());
    assert!(table.change(21, Some(&naming(21, "delivery.exhausted")), usize::MAX).unwrap());
}
