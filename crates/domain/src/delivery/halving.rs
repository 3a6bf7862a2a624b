//! A request with several events is divided when its endpoint finds it too large.
//!
//! An endpoint answers 413 when the body is larger than it takes: the same bytes would get the same
//! answer. So the events go out again in two halves, at once, one after the other, in their order,
//! and each half is a request of its own. A half that is too large is divided again, down to single
//! events. For a single event a 413 is a failure like any other.
//!
//! A halving costs no attempt of the retry schedule, so it also happens where there are no retries.
//! The record of each delivery counts its halvings apart from its attempts, and names its half. So
//! whoever reads the records after a crash sends the same halves. Nothing is remembered about the
//! endpoint.
//!
//! ```text
//!  1 2 3 4 5 ──413──▶ 1 2 3 ──413──▶ 1 2 ──200
//!                     4 5            3   ──200
//!                                    4 5 ──200
//! ```

use crate::{
    delivery::{
        attempt::{Attempt, Failure, Progress, WRONG_STATUS},
        companions::Companions,
        sequence::{Carried, Pending, Sequence},
    },
    id::{BatchId, DeliveryId},
};

/// The code of an attempt that divided its request.
pub const BATCH_HALVED: &str = "batch_halved";
/// The status of an answer to a request that is too large (RFC 9110, section 15.5.14).
const CONTENT_TOO_LARGE: u16 = 413;

impl Progress {
    /// The deliveries that this one can share its next request with, as its record says.
    pub fn companions(&self) -> Companions {
        match self.batch {
            _ if self.halvings == 0 => Companions::Any,
            Some(half) => Companions::Half(half),
            None => Companions::Alone,
        }
    }
}

impl Attempt {
    /// Turns the attempt into one that divides its request, if that had this many events and the
    /// endpoint found it too large.
    pub fn with_events(mut self, count: usize) -> Self {
        let is_refused = self.error.as_ref().is_some_and(|error| error.code == WRONG_STATUS);
        if is_refused && self.http_status == Some(CONTENT_TOO_LARGE) && count > 1 {
            self.error = Some(Failure {
                code: BATCH_HALVED.to_owned(),
                message: format!(
                    "the endpoint answered with status {CONTENT_TOO_LARGE}, so the batch of \
                     {count} events was halved"
                ),
            });
        }
        self
    }

    /// Tells whether the attempt divides its request.
    pub fn is_halving(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.code == BATCH_HALVED)
    }
}

impl Carried {
    /// Divides the deliveries of a request into two halves, of which the first is the larger one.
    pub fn halve(&mut self) {
        let middle = self.deliveries.len().div_ceil(2);
        let (first, second) = self.deliveries.split_at_mut(middle);
        for half in [first, second] {
            let ids: Vec<DeliveryId> = half.iter().map(|pending| pending.id).collect();
            let companions = Companions::of_half(&ids);
            half.iter_mut().for_each(|pending| pending.companions = companions);
        }
    }
}

/// The deliveries that the next request can carry.
#[derive(Debug, Clone, Copy)]
pub struct Upcoming<'a> {
    /// The deliveries, in their order.
    pub deliveries: &'a [Pending],
    /// The request that they shared before, all of them, and share again.
    pub batch: Option<BatchId>,
}

impl Sequence {
    /// The first deliveries, as far as they can share a request.
    pub fn upcoming(&self) -> Upcoming<'_> {
        let Some(first) = self.left.first() else {
            return Upcoming { deliveries: &[], batch: None };
        };
        let others =
            self.left[1..].iter().take_while(|other| other.companions == first.companions).count();
        let count = if first.companions == Companions::Alone { 1 } else { 1 + others };
        // The id of a request that was divided is that of neither half.
        let is_named = match first.companions {
            Companions::Any => true,
            Companions::Half(half) => self.batch == Some(half),
            Companions::Alone => false,
        };
        let is_all = count == self.left.len();
        Upcoming {
            deliveries: &self.left[..count],
            batch: self.batch.filter(|_| is_named && is_all),
        }
    }

    /// Puts the halves of a request that was too large before what is left.
    pub fn put_back(&mut self, halves: Vec<Pending>) {
        self.left.splice(0..0, halves);
    }

    /// Tells whether some of the deliveries are halves.
    pub fn has_halves(&self) -> bool {
        self.left.iter().any(|pending| pending.companions != Companions::Any)
    }
}

#[cfg(test)]
mod tests;
