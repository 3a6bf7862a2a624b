use proptest::prelude::*;

use super::*;
use crate::{access::workspace::Workspace, id::WebhookId, webhook::key::WebhookKey};

fn key(workspace: &str, webhook: u64) -> WebhookKey {
    WebhookKey { workspace: Workspace::parse(workspace).unwrap(), id: WebhookId(webhook) }
}

/// Notes these observations in their order, as (workspace, webhook, host, whether it was slow).
/// Returns what the last one says.
fn last(seen: &[(&str, u64, &str, bool)]) -> Option<Strike> {
    let mut evidence = Evidence::default();
    let mut strike = None;
    for (workspace, webhook, host, is_slow) in seen {
        let took = if *is_slow { SLOW } else { quick() };
        strike = evidence.note(&key(workspace, *webhook), host, took, at(0));
    }
    strike
}

fn last_strikes(seen: &[(&str, u64, &str, bool)]) -> bool {
    last(seen) == Some(Strike::Counts)
}

#[test]
fn the_first_slow_answers_of_an_endpoint_are_strikes() {
    assert!(last_strikes(&[("a", 1, "h", true)]));
    assert!(last_strikes(&[
        ("a", 1, "h", false),
        ("a", 1, "h", false),
        ("a", 1, "h", false),
        ("a", 1, "h", true)
    ]));
    assert!(!last_strikes(&[("a", 1, "h", true), ("a", 1, "h", false)]), "a quick answer is none");
}

#[test]
fn a_slow_answer_among_more_than_four_quick_ones_is_a_doubt() {
    let seen =
        |quick, slow| [vec![("a", 1, "h", false); quick], vec![("a", 1, "h", true); slow]].concat();
    assert!(last_strikes(&seen(4, 1)), "a fifth is slow");
    assert_eq!(last(&seen(5, 1)), Some(Strike::Doubt));
    assert_eq!(last(&seen(9, 2)), Some(Strike::Doubt));
    assert!(last_strikes(&seen(8, 2)));
}

#[test]
fn what_was_seen_a_minute_ago_counts_no_more() {
    let mut evidence = Evidence::default();
    let webhook = key("a", 1);
    let mut note = |took, now| evidence.note(&webhook, "h", took, now);
    for _ in 0..20 {
        note(quick(), at(0));
    }
    assert_eq!(note(SLOW, at(59_999)), Some(Strike::Doubt));
    assert_eq!(note(SLOW, at(60_000)), Some(Strike::Counts));
}

#[test]
fn the_last_hundred_observations_count() {
    let seen = |before, quick, slow| {
        [
            vec![("a", 1, "h", true); before],
            vec![("a", 1, "h", false); quick],
            vec![("a", 1, "h", true); slow],
        ]
        .concat()
    };
    assert_eq!(last(&seen(0, 81, 19)), Some(Strike::Doubt));
    assert!(last_strikes(&seen(1, 80, 19)), "twenty of a hundred are slow");
    assert_eq!(last(&seen(50, 81, 19)), Some(Strike::Doubt), "the first fifty are forgotten");
}

#[test]
fn what_was_seen_ten_seconds_ago_blows_no_fuse() {
    for (now, strike) in [(9_999, None), (10_000, Some(Strike::Counts))] {
        let mut evidence = Evidence::default();
        for (webhook, workspace) in ["a", "b", "c"].into_iter().enumerate() {
            evidence.note(&key(workspace, webhook as u64), workspace, SLOW, at(0));
        }
        assert_eq!(evidence.note(&key("d", 4), "d", SLOW, at(now)), strike, "after {now} ms");
    }
}

#[test]
fn the_fuse_blows_when_most_of_four_workspaces_are_slow() {
    let slow = |workspace| (workspace, 1, "h", true);
    let webhooks = [("a", 1, "x", true), ("b", 2, "y", true), ("c", 3, "z", true)];
    assert!(last_strikes(&webhooks), "three are too few to tell");
    assert!(!last_strikes(&[&webhooks[..], &[("d", 4, "q", true)]].concat()));
    assert!(
        !last_strikes(&[("d", 4, "q", false), webhooks[0], webhooks[1], webhooks[2]]),
        "three of four are most"
    );
    assert!(
        last_strikes(&[("d", 4, "q", false), ("c", 3, "z", false), webhooks[0], webhooks[1]]),
        "two of four are not"
    );
    assert!(last_strikes(&[slow("a")]));
}

#[test]
fn the_hosts_of_a_single_workspace_count_each() {
    let hosts = ["p", "q", "r", "s"];
    let seen: Vec<_> =
        hosts.iter().zip(1..).map(|(host, webhook)| ("a", webhook, *host, true)).collect();
    assert!(!last_strikes(&seen));
    assert!(last_strikes(&seen[..3]));
    let one_host: Vec<_> = (1..=9).map(|webhook| ("a", webhook, "h", true)).collect();
    assert!(last_strikes(&one_host), "many webhooks of one host are one host");
    let reachable = [vec![("a", 20, "p", false), ("a", 21, "q", false)], seen.clone()].concat();
    assert!(last_strikes(&reachable), "a host that answers one of its webhooks can be reached");
}

#[test]
fn a_tenant_with_many_dead_hosts_blows_no_fuse() {
    let names: Vec<String> = (0..50).map(|nth| format!("dead-{nth}")).collect();
    let dead = names.iter().zip(100..).map(|(host, webhook)| ("bad", webhook, host.as_str(), true));
    let well = [("b", 1, "x", false), ("c", 2, "y", false), ("d", 3, "z", false)];
    let seen: Vec<_> = well.into_iter().chain(dead).chain([("b", 1, "x", true)]).collect();
    assert!(last_strikes(&seen), "two of four workspaces are slow, and that is not most");
}

#[test]
fn what_was_quick_a_moment_ago_is_known() {
    let mut evidence = Evidence::default();
    let webhook = key("a", 1);
    assert!(!evidence.was_quick(&webhook, at(0)));
    evidence.note(&webhook, "h", quick(), at(0));
    assert!(evidence.was_quick(&webhook, at(9999)) && !evidence.was_quick(&webhook, at(10_000)));
    evidence.note(&webhook, "h", SLOW, at(1));
    assert!(!evidence.was_quick(&webhook, at(1)));
}

#[test]
fn where_ten_thousand_webhooks_are_remembered_another_one_makes_room() {
    let mut evidence = Evidence::default();
    evidence.note(&key("a", 0), "h", quick(), at(0));
    for webhook in 1..10_000 {
        evidence.note(&key("a", webhook), "h", quick(), at(50_001));
    }
    let remembers =
        |evidence: &Evidence, webhook, now| evidence.was_quick(&key("a", webhook), at(now));
    evidence.note(&key("a", 1), "h", quick(), at(50_001));
    assert!(remembers(&evidence, 0, 1), "one that is known needs no room");
    evidence.note(&key("a", 10_000), "h", quick(), at(60_000));
    assert!(!remembers(&evidence, 0, 1), "it was seen a minute ago");
    assert!(remembers(&evidence, 1, 60_000) && remembers(&evidence, 10_000, 60_000));
    evidence.note(&key("a", 10_001), "h", quick(), at(60_000));
    assert!(!remembers(&evidence, 1, 60_000), "all are young, so all are forgotten");
    assert!(remembers(&evidence, 10_001, 60_000));
}

proptest! {
    /// Whatever else one tenant does, it can't keep another one's slow endpoint from being
    /// sidelined, as long as most other workspaces are well.
    #[test]
    fn no_single_tenant_decides_for_the_others(
        own in prop::collection::vec((100..200_u64, "[a-z]{1,3}", any::<bool>()), 0..80)
    ) {
        let own = own.iter().map(|(webhook, host, is_slow)| (
            "bad", *webhook, host.as_str(), *is_slow
        ));
        let others = [("b", 1, "x1.", false), ("c", 2, "y1.", false), ("d", 3, "z1.", false)];
        let seen: Vec<_> = own.chain(others).chain([("e", 4, "q1.", true)]).collect();
        prop_assert!(last_strikes(&seen));
    }

    #[test]
    fn the_window_stays_in_its_bounds_and_only_failures_shrink_it(
        outcomes in prop::collection::vec(any::<bool>(), 0..400), size in 0..200_u32
    ) {
        let mut window = Window::new(size);
        for succeeded in outcomes {
            let before = window.size();
            let bounds = if succeeded {
                window.succeeded();
                before..=MAX_WINDOW
            } else {
                window.failed();
                1..=before
            };
            prop_assert!(bounds.contains(&window.size()));
        }
    }
}

#[test]
fn the_window_doubles_each_round_until_the_first_failure_and_then_grows_by_one() {
    let mut window = Window::new(1);
    let mut round = |failures: u32| {
        for _ in 0..window.size() - failures {
            window.succeeded();
        }
        (0..failures).for_each(|_| window.failed());
        window.size()
    };
    let sizes: Vec<u32> = [0, 0, 0, 1, 0, 0].into_iter().map(&mut round).collect();
    assert_eq!(sizes, [2, 4, 8, 7, 8, 9]);
    assert_eq!(Window::new(0).size(), 1);
    let mut one = Window::new(1);
    one.failed();
    assert_eq!(one.size(), 1);
}
