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
    event_type: EventType,
    /// None where only the event itself tells.
    process: Option<Process>,
}

impl Events {
    /// Reads the stored events at these places of a [call](EventId::call). The reads are eventually
    /// consistent, so an event that was stored a moment ago can be missing.
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
        for Read { place, id, event_type, process } in read.into_iter().flatten() {
            match process {
                Some(process) => events.push(CallEvent { place, id, event_type, process }),
                None => untold.push((place, id, event_type)),
            }
        }
        let whole = self.get(untold.iter().map(|(_, id, _)| (workspace.clone(), *id))).await;
        for (place, id, event_type) in untold {
            // An event that can't be read counts as one that is not stored yet.
            if let Some(event) = whole.items.get(&(workspace.clone(), id)) {
                let process = Process::of(event);
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
            for item in &answer.items {
                events.extend(read(item, call, &places)?);
            }
            let Some(last) = answer.next else { break };
            start = Some(key(partition, last.text(SK)?).0);
        }
        Ok(events)
    }
}

/// None for an event of another call.
fn read(item: &Item, call: EventId, places: &Places<usize>) -> Result<Option<Read>, StoreError> {
    let id: EventId = item.parsed(SK)?;
    let Some(place) = id.place_in_call_of(&call).filter(|place| places.contains(place)) else {
        return Ok(None);
    };
    let process = item.optional("process", Item::json)?;
    Ok(Some(Read { place, id, event_type: read_type(item)?, process }))
}
