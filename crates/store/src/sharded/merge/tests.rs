use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Partitions of items, each with its size and whether the filter leaves it.
type Partitions = Vec<BTreeMap<String, (usize, bool)>>;

const BOUNDS: Bounds = Bounds { items: 10, bytes: usize::MAX, units: 1000.0, is_filtered: false };

/// The cost of a page.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    rounds: usize,
    looked_at: usize,
    units: f64,
}

/// Answers a question as DynamoDB does: what is looked at counts, and a partition whose last item
/// was looked at because of the limit does not say that it is at its end.
fn answer(
    partitions: &Partitions,
    order: Order,
    after: Option<&str>,
    question: &Question,
) -> Given<String> {
    let partition = &partitions[question.partition];
    let after = question.after.as_deref().or(after);
    let mut items: Vec<_> = partition.iter().collect();
    items.sort_by(|a, b| order.compare(a.0, b.0));
    items.retain(|(key, _)| after.is_none_or(|after| order.is_before(after, key)));
    let looked_at: Vec<_> = items.into_iter().take(question.look_at).collect();
    let is_cut = looked_at.len() == question.look_at;
    let entry = |(key, (bytes, _)): &(&String, &(usize, bool))| Entry {
        sort_key: (*key).clone(),
        bytes: *bytes,
        item: (*key).clone(),
    };
    let bytes: usize = looked_at.iter().map(|(_, (bytes, _))| bytes).sum();
    Given {
        partition: question.partition,
        entries: looked_at.iter().filter(|(_, (_, is_wanted))| *is_wanted).map(entry).collect(),
        looked_at: looked_at.len(),
        up_to: looked_at.last().filter(|_| is_cut).map(|(key, _)| (*key).clone()),
        units: f64::from(u32::try_from(bytes.div_ceil(4096).max(1)).unwrap()),
    }
}

fn page(
    partitions: &Partitions,
    order: Order,
    bounds: Bounds,
    after: Option<&str>,
) -> ((Vec<String>, Option<String>), Cost) {
    let mut merge = Merge::new(order, bounds, partitions.len());
    let mut cost = Cost::default();
    loop {
        let questions = merge.questions();
        if questions.is_empty() {
            return (merge.page(), cost);
        }
        let given: Vec<_> =
            questions.iter().map(|question| answer(partitions, order, after, question)).collect();
        cost.rounds += 1;
        cost.looked_at += given.iter().map(|given| given.looked_at).sum::<usize>();
        cost.units += given.iter().map(|given| given.units).sum::<f64>();
        merge.take(given);
    }
}

/// Many items, spread by chance over eight partitions.
fn spread(items: u32, bytes: usize, is_wanted: impl Fn(u32) -> bool) -> Partitions {
    let mut partitions = vec![BTreeMap::new(); 8];
    for nth in 0..items {
        let chance = nth.wrapping_mul(0x9e37_79b1).rotate_left(15).wrapping_mul(0x85eb_ca6b) >> 29;
        partitions[chance as usize].insert(format!("{nth:08}"), (bytes, is_wanted(nth)));
    }
    partitions
}

#[test]
fn a_page_reads_about_as_many_items_as_it_has() {
    let partitions = spread(20_000, 1024, |_| true);
    for (items, most) in [(1, 40), (10, 50), (50, 130), (100, 220), (500, 720)] {
        let bounds = Bounds { items, ..BOUNDS };
        let mut after = None;
        for _ in 0..10 {
            let ((page, next), cost) =
                page(&partitions, Order::Descending, bounds, after.as_deref());
            assert_eq!(page.len(), items);
            assert!(cost.looked_at <= most && cost.rounds <= 3, "{items}: {cost:?}");
            after = next;
        }
    }
}

#[test]
fn a_filter_that_leaves_nothing_reads_no_more_than_it_may_and_goes_on() {
    let partitions = spread(20_000, 1024, |nth| nth == 0);
    let bounds = Bounds { items: 50, is_filtered: true, ..BOUNDS };
    let (mut after, mut pages) = (None, 0);
    loop {
        let ((found, next), cost) = page(&partitions, Order::Descending, bounds, after.as_deref());
        assert!(cost.units < 1100.0, "{cost:?}");
        pages += 1;
        let Some(next) = next else {
            assert_eq!(found, ["00000000"]);
            break;
        };
        assert!(found.is_empty() && after.is_none_or(|after| next < after), "the cursor moves");
        after = Some(next);
    }
    // 20,000 items of 1 KB are 5,000 read units.
    assert!((5..=7).contains(&pages), "{pages} pages");
}

#[test]
fn what_is_left_to_read_is_shared_by_all_partitions_alike() {
    let partitions = spread(20_000, 1024, |_| false);
    let bounds = Bounds { items: 50, is_filtered: true, ..BOUNDS };
    let mut merge = Merge::new(Order::Ascending, bounds, partitions.len());
    for round in 0.. {
        let questions = merge.questions();
        if questions.is_empty() {
            assert!(round > 2);
            break;
        }
        assert_eq!(questions.len(), 8);
        assert!(questions.iter().all(|question| question.look_at == questions[0].look_at));
        merge.take(
            questions
                .iter()
                .map(|question| answer(&partitions, Order::Ascending, None, question))
                .collect(),
        );
    }
}

#[test]
fn a_page_ends_at_its_limit_and_says_where() {
    let one = |keys: &[&str]| vec![keys.iter().map(|key| ((*key).to_owned(), (1, true))).collect()];
    let two = Bounds { items: 2, ..BOUNDS };
    let paged = |partitions: &Partitions| page(partitions, Order::Ascending, two, None).0;
    assert_eq!(paged(&one(&["c", "d", "e"])), (vec!["c".into(), "d".into()], Some("d".into())));
    assert_eq!(paged(&one(&["c", "d"])), (vec!["c".into(), "d".into()], None));
    assert_eq!(paged(&one(&[])), (vec![], None));
}

#[test]
fn a_page_is_bounded_in_bytes_but_has_an_item() {
    let large = |key: &str| (key.to_owned(), (100, true));
    let partitions = vec![BTreeMap::from([large("a"), large("c")]), BTreeMap::from([large("b")])];
    let bounds = Bounds { bytes: 50, ..BOUNDS };
    assert_eq!(
        page(&partitions, Order::Ascending, bounds, None).0,
        (vec!["a".into()], Some("a".into()))
    );
}

proptest! {
    /// The pages of any partitions, put together, are the sorted list of what the filter leaves.
    #[test]
    fn pages_are_the_sorted_list(
        items in proptest::collection::btree_map(
            0_u32..2000, (0_usize..4, 1_usize..60_000, any::<bool>()), 0..300
        ),
        descending in any::<bool>(),
        is_filtered in any::<bool>(),
        limit in 1_usize..40,
        bytes in 1_usize..400_000,
        units in 0.0..200.0_f64,
    ) {
        let order = if descending { Order::Descending } else { Order::Ascending };
        let mut partitions: Partitions = vec![BTreeMap::new(); 4];
        for (nth, (partition, bytes, is_wanted)) in &items {
            partitions[*partition].insert(
                format!("{nth:04}"), (*bytes, *is_wanted || !is_filtered)
            );
        }
        let is_wanted = |(_, _, is_wanted): &(usize, usize, bool)| *is_wanted || !is_filtered;
        let mut expected: Vec<String> =
            items.iter().filter(|(_, item)| is_wanted(item)).map(|(nth, _)| format!("{nth:04}")).collect();
        expected.sort_by(|a, b| order.compare(a, b));

        let bounds = Bounds { items: limit, bytes, units, is_filtered };
        let (mut read, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let ((page, next), _) = page(&partitions, order, bounds, after.as_deref());
            prop_assert!(page.len() <= limit);
            read.extend(page);
            let Some(next) = next else { break };
            prop_assert!(
                after.is_none_or(|after| order.is_before(&after, &next)), "the cursor moves"
            );
            after = Some(next);
        }
        prop_assert_eq!(read, expected);
    }
}
