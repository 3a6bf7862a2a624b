//! Waiting for an answer, and noting what its time says about the endpoint.

use std::time::Duration;

use posthaste_delivery::{Answered, host};
use posthaste_domain::{
    delivery::sequence::AFTERMATH,
    endpoint::lane::{SLOW, Strike},
    webhook::Webhook,
};
use posthaste_runtime::clock;
use tokio::sync::oneshot;

use crate::{run::Surroundings, work::Work};

/// Tells the others of its batch whether they may begin: not if the first request was slow, and
/// that is no trouble of ours.
pub(crate) type Scout = oneshot::Sender<bool>;

impl Surroundings<'_> {
    /// Waits for an answer. One that is not there after a second counts against the endpoint while
    /// it is still awaited.
    pub(crate) async fn watched(
        &self,
        work: &Work<'_>,
        sending: impl Future<Output = Answered>,
        scout: Option<Scout>,
    ) -> Answered {
        let mut sending = std::pin::pin!(sending);
        let webhook = &work.client.webhook;
        if let Ok(answered) = tokio::time::timeout(SLOW, &mut sending).await {
            if matches!(answered, Answered::OurFault) {
                return answered;
            }
            let is_slow = matches!(
                &answered, Answered::Attempt(answer) if answer.attempt.duration_ms >= 1000
            );
            let strike = self.noted(webhook, if is_slow { SLOW } else { Duration::ZERO });
            tell_others(scout, strike.is_none());
            match strike {
                Some(strike) => {
                    self.in_time(self.deliver.strike(webhook, strike, work.lane.clone())).await
                }
                None if !is_slow => self.in_time(self.deliver.trust(webhook, &work.lane)).await,
                None => {}
            }
            return answered;
        }
        let strike = self.noted(webhook, SLOW);
        tell_others(scout, strike.is_none());
        let Some(strike) = strike else { return sending.await };
        let counting = self.in_time(self.deliver.strike(webhook, strike, work.lane.clone()));
        let (answered, ()) = tokio::join!(sending, counting);
        answered
    }

    /// Writes into a lane what a request says of its endpoint, but not into the time that is kept
    /// for recording the attempt.
    async fn in_time(&self, writing: impl Future<Output = ()>) {
        let until = self.deadline.earlier(AFTERMATH).instant();
        if tokio::time::timeout_at(until, writing).await.is_err() {
            tracing::warn!("what a request says of its endpoint could not be written in time");
        }
    }

    fn noted(&self, webhook: &Webhook, took: Duration) -> Option<Strike> {
        let host = host(webhook);
        self.deliver.evidence().note(&webhook.key, &host, took, clock::now())
    }
}

fn tell_others(scout: Option<Scout>, they_may: bool) {
    if let Some(scout) = scout {
        // Nobody may be waiting.
        let _ = scout.send(they_may);
    }
}
