//! A queue as SQS has it: at least once, in no order, hidden by visibility timeouts and delays.

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::delivery::task::Task;

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Deliveries of a webhook.
    Task(Box<Task<'static>>),
    /// The turn of a webhook. The opening is the one that it was sent for, which only the model
    /// knows.
    Turn { webhook: usize, token: String, opening: u64 },
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) body: Body,
    pub(super) sent: i64,
    pub(super) visible_at: i64,
    pub(super) receives: u32,
    /// The number of functions that have led to it in a row.
    pub(super) depth: u32,
}

impl Message {
    pub(super) fn id(&self) -> String {
        format!("message-{}", self.number)
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) messages: BTreeMap<u64, Message>,
}

impl Queue {
    /// The time at which the next message can be received.
    pub(super) fn next_at(&self) -> Option<i64> {
        self.messages.values().map(|message| message.visible_at).min()
    }

    /// Any of the messages that can be received now. One copy in so many does not hide the message.
    pub(super) fn receive(
        &mut self,
        visibility: i64,
        copies: u64,
        dice: &mut Dice,
        now: i64,
    ) -> Option<Message> {
        let visible: Vec<u64> = self
            .messages
            .values()
            .filter(|message| message.visible_at <= now)
            .map(|message| message.number)
            .collect();
        if visible.is_empty() {
            return None;
        }
        let message = self.messages.get_mut(&dice.pick(&visible))?;
        message.visible_at =
            if dice.once_in(copies) { now + dice.between(0, 3000) } else { now + visibility };
        message.receives += 1;
        Some(message.clone())
    }
}
