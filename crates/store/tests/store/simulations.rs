//! Simulations and their places.

use std::{collections::BTreeMap, time::Duration};

use posthaste_domain::{
    access::workspace::Workspace,
    id::SimulationId,
    simulation::{Simulation, StartSimulation, Status},
};
use posthaste_store::Registry;

use crate::{
    items::{at, stored},
    table,
};

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn workspace() -> Workspace {
    Workspace::parse("acme~test").unwrap()
}

fn simulation(nth: u8, body: &str) -> Simulation {
    let asked = StartSimulation::parse(body.as_bytes()).unwrap();
    let started = at(i64::from(nth));
    let id = SimulationId::new(started, &[nth; 10]);
    Simulation::new(id, workspace(), asked, BTreeMap::new(), 7, started)
}

fn trickle(nth: u8) -> Simulation {
    simulation(nth, r#"{"kind":"trickle","perMinute":2,"minutes":2}"#)
}

async fn places(registry: &Registry) -> Vec<SimulationId> {
    let page = registry.simulations.places(None).await.unwrap();
    assert!(page.next.is_none());
    page.items.into_iter().map(|place| place.unwrap().simulation).collect()
}

#[tokio::test]
async fn simulations_as_they_are_stored() {
    let client = table::create().await;
    let registry = Registry::new(client.clone(), table::NAME);
    let mut own = simulation(1, r#"{"kind":"trickle","types":["invoice.paid"],"seed":3}"#);
    let sample = serde_json::value::RawValue::from_string(r#"{"total":1.0}"#.to_owned()).unwrap();
    own.samples.insert("invoice.paid".to_owned().try_into().unwrap(), sample);
    let event = simulation(2, r#"{"kind":"event","type":"order.created"}"#);
    let run = simulation(3, r#"{"kind":"process_run","speed":60}"#);
    for simulation in [&own, &event, &run] {
        assert!(registry.simulations.begin(simulation, MONTH).await.unwrap());
    }
    assert!(registry.simulations.advance(&own, 12, at(20)).await.unwrap());
    assert!(registry.simulations.advance(&event, 1, at(20)).await.unwrap());
    registry.simulations.cancel(&workspace(), run.id, at(30)).await.unwrap();
    insta::assert_snapshot!(stored(&client).await);
    let read = registry.simulations.get(&workspace(), own.id).await.unwrap().unwrap();
    assert_eq!((read.sent, read.asked, read.samples.len()), (12, own.asked, 1));
}

#[tokio::test]
async fn a_workspace_has_five_places_and_gets_them_back() {
    let registry = Registry::new(table::create().await, table::NAME);
    let simulations = &registry.simulations;
    for nth in 1..=5 {
        assert!(simulations.begin(&trickle(nth), MONTH).await.unwrap());
    }
    assert!(!simulations.begin(&trickle(6), MONTH).await.unwrap());
    assert!(simulations.get(&workspace(), trickle(6).id).await.unwrap().is_none());
    let live = Simulation { workspace: Workspace::parse("other~test").unwrap(), ..trickle(7) };
    assert!(simulations.begin(&live, MONTH).await.unwrap(), "others have their own");

    let ended = simulations.cancel(&workspace(), trickle(2).id, at(60)).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.updated_at), (Status::Cancelled, at(60)));
    let again = simulations.cancel(&workspace(), trickle(2).id, at(70)).await.unwrap().unwrap();
    assert_eq!(again.updated_at, at(60), "what is over stays as it is");
    assert!(simulations.advance(&trickle(3), 4, at(60)).await.unwrap());
    let done = simulations.get(&workspace(), trickle(3).id).await.unwrap().unwrap();
    assert_eq!((done.status, done.sent), (Status::Finished, 4));
    let expected = [1, 4, 5, 7].map(|nth| trickle(nth).id);
    assert_eq!(places(&registry).await, expected);
    for nth in [8, 9] {
        assert!(simulations.begin(&trickle(nth), MONTH).await.unwrap());
    }
    assert!(!simulations.begin(&trickle(10), MONTH).await.unwrap());

    let place = simulations.places(None).await.unwrap().items.remove(0).unwrap();
    simulations.leave(&place).await.unwrap();
    simulations.leave(&place).await.unwrap();
    assert!(simulations.begin(&trickle(10), MONTH).await.unwrap());
    assert!(simulations.leave(&place).await.is_ok(), "another one has the place now");
    assert!(places(&registry).await.contains(&trickle(10).id));
}

#[tokio::test]
async fn what_is_sent_is_counted_once_also_where_it_was_cancelled_meanwhile() {
    let registry = Registry::new(table::create().await, table::NAME);
    let simulations = &registry.simulations;
    simulations.begin(&trickle(1), MONTH).await.unwrap();
    assert!(simulations.advance(&trickle(1), 2, at(60)).await.unwrap());
    assert!(!simulations.advance(&trickle(1), 2, at(61)).await.unwrap(), "another has counted it");
    let read = simulations.get(&workspace(), trickle(1).id).await.unwrap().unwrap();
    simulations.cancel(&workspace(), trickle(1).id, at(62)).await.unwrap();
    assert!(simulations.advance(&read, 4, at(63)).await.unwrap());
    let read = simulations.get(&workspace(), trickle(1).id).await.unwrap().unwrap();
    assert_eq!((read.status, read.sent), (Status::Cancelled, 4));
    assert!(!simulations.advance(&trickle(9), 1, at(64)).await.unwrap());
    assert!(simulations.get(&workspace(), trickle(9).id).await.unwrap().is_none());
    assert!(simulations.cancel(&workspace(), trickle(9).id, at(64)).await.unwrap().is_none());
}

#[tokio::test]
async fn the_newest_simulations_come_first() {
    let registry = Registry::new(table::create().await, table::NAME);
    for nth in 1..=3 {
        registry.simulations.begin(&trickle(nth), MONTH).await.unwrap();
    }
    let page = async |limit, after| {
        let page = registry.simulations.page(&workspace(), limit, after).await.unwrap();
        (page.items.into_iter().map(|item| item.id).collect::<Vec<_>>(), page.next)
    };
    let id = |nth| trickle(nth).id;
    assert_eq!(page(2, None).await, (vec![id(3), id(2)], Some(id(2))));
    assert_eq!(page(2, Some(id(2))).await, (vec![id(1)], None));
    assert_eq!(page(3, None).await, (vec![id(3), id(2), id(1)], None));
}
