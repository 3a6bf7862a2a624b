//! The events of one publishing call, read without their data.
//!
//! The ids of a call's events have their place in the call right after their time. So a query for
//! some places reads, in each partition, the events at these places of all calls of the
//! millisecond, and no others. DynamoDB bills the whole items, whatever is read of them.

use std::ops::Range as Places;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures::future::try_join_all;
use posthaste_domain::{
    access::workspace::Workspace,
    event::{event_type::EventType, process::Process},
    id::EventId,
};

use super::{Events, SHARDS, partition, read_type};
use crate::{
    StoreError,
    item::{Item, SK, key},
    table::{Answer, Range},
};

/// The most pages that are read of one partition, each of up to 1 MB: a call has 4 MiB at most.
const MAX_PAGES: usize = 5;

/// An event of a publishing call, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEvent {
    /// The place of the event in its call.
    pub place: usize,
    /// The id of the event.
    pub id: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// The process that the event belongs to.
    pub process: Process,
}

/// An event of a call as a query answers it.
struct Read {
    place: usize,
    id: EventId,
    /// None where only the event itself tells.
    told: Option<Told>,
}

/// The part of an event that is told beside it.
struct Told {
    event_type: EventType,
    process: Process,
}

impl Events {
    /// Reads the stored events at these places of a [call](EventId::call). The reads are eventually
    /// consistent, so an event that was stored a moment ago can be missing. So is an event that
    /// can't be read: it says nothing about the others, and the log says why.
    pub async fn of_call(
        &self,
        workspace: &Workspace,
        call: EventId,
        places: Places<usize>,
    ) -> Result<Vec<CallEvent>, StoreError> {
        let partitions = (0..SHARDS).map(|shard| partition(workspace, shard));
        let read = try_join_all(partitions.map(|partition| {
            let places = places.clone();
            async move { self.of_call_in(&partition, call, places).await }
        }))
        .await?;
        let mut events = Vec::new();
        let mut untold = Vec::new();
        for Read { place, id, told } in read.into_iter().flatten() {
            match told {
                Some(Told { event_type, process }) => {
                    events.push(CallEvent { place, id, event_type, process });
                }
                None => untold.push((place, id)),
            }
        }
        let whole = self.get(untold.iter().map(|(_, id)| (workspace.clone(), *id))).await;
        for (place, id) in untold {
            // An event that can't be read counts as one that is not stored yet.
            if let Some(event) = whole.items.get(&(workspace.clone(), id)) {
                let (event_type, process) = (event.event_type.clone(), Process::of(event));
                events.push(CallEvent { place, id, event_type, process });
            }
        }
        Ok(events)
    }

    async fn of_call_in(
        &self,
        partition: &str,
        call: EventId,
        places: Places<usize>,
    ) -> Result<Vec<Read>, StoreError> {
        let from = call.first_at_place(places.start).to_string();
        let until = call.first_at_place(places.end).to_string();
        let mut events = Vec::new();
        let mut start = None;
        for _ in 0..MAX_PAGES {
            let query = self
                .table
                .query(partition, Range::Between(&from, &until))
                .consistent_read(false)
                .projection_expression("sk, #type, #process")
                .expression_attribute_names("#type", "type")
                .expression_attribute_names("#process", "process")
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start);
            let answer = Answer::to(query).await?;
            tracing::debug!(units = answer.units, events = answer.items.len(), "read a call");
            events.extend(answer.items.iter().filter_map(|item| read(item, call, &places)));
            let Some(last) = answer.next else { break };
            start = Some(key(partition, last.text(SK)?).0);
        }
        Ok(events)
    }
}

/// None for an event of another call, and for an item whose key is no id of an event.
fn read(item: &Item, call: EventId, places: &Places<usize>) -> Option<Read> {
    let id = item.parsed::<EventId>(SK).inspect_err(log).ok()?;
    let place = id.place_in_call_of(&call).filter(|place| places.contains(place))?;
    let told = told(item).inspect_err(log).ok().flatten();
    Some(Read { place, id, told })
}

/// None where the item says nothing about the process.
fn told(item: &Item) -> Result<Option<Told>, StoreError> {
    let Some(process) = item.optional("process", Item::json)? else { return Ok(None) };
    Ok(Some(Told { event_type: read_type(item)?, process }))
}

fn log(error: &StoreError) {
    tracing::error!(%error, "an item of a call's event can't be read");
}
