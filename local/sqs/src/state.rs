//! The state has all queues, and does what happens between them.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use crate::{
    Settings,
    attributes::Attributes,
    error::{ErrorKind, SqsError},
    message::{Handed, Message},
    moves::Task,
    queue::{Next, Queue},
};

/// A queue can be purged again, and a deleted queue be created again, after this time.
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) queues: BTreeMap<String, Queue>,
    /// The move tasks, the newest one last.
    pub(crate) tasks: Vec<Task>,
    deleted: HashMap<String, Instant>,
    next_serial: u64,
}

pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            queues: BTreeMap::new(),
            tasks: Vec::new(),
            deleted: HashMap::new(),
            next_serial: 1,
        }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.settings.base_url.trim_end_matches('/'), self.settings.account)
    }

    pub(crate) fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.settings.region, self.settings.account)
    }

    /// Finds a queue, and lets time pass in it.
    pub(crate) fn queue(&mut self, name: &str) -> Result<&mut Queue, SqsError> {
        let queue = self.queues.get_mut(name).ok_or_else(SqsError::no_such_queue)?;
        queue.advance(Instant::now());
        Ok(queue)
    }

    /// Finds the queue that a `QueueUrl` parameter names. Only the path counts: the server may be
    /// reached under several host names.
    pub(crate) fn queue_at(&mut self, url: Option<&str>) -> Result<&mut Queue, SqsError> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| SqsError::missing("QueueUrl"))?;
        let path = url
            .split_once("://")
            .map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
        match path.trim_start_matches('/').split_once('/') {
            Some((account, name)) if account == self.settings.account => self.queue(name),
            Some(_) => Err(SqsError::no_such_queue()),
            None => {
                let message = format!("The address {url} is not valid for this endpoint.");
                Err(SqsError::new(ErrorKind::InvalidAddress, message))
            }
        }
    }

    /// Finds the name of the queue that has this ARN.
    pub(crate) fn name_of(&self, arn: &str) -> Option<String> {
        let name = arn.rsplit(':').next()?;
        (self.queues.contains_key(name) && self.arn(name) == arn).then(|| name.to_owned())
    }

    /// Creates the queue, unless it is there already with the same values for all attributes given.
    pub(crate) fn create(
        &mut self,
        name: &str,
        given: &BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<(), SqsError> {
        if let Some(queue) = self.queues.get(name) {
            let wanted = queue.attributes.with(given)?;
            if let Some(other) =
                given.keys().find(|key| wanted.get(key) != queue.attributes.get(key))
            {
                let message = format!(
                    "A queue already exists with the same name and a different value for \
                     attribute {other}"
                );
                return Err(SqsError::new(ErrorKind::QueueNameExists, message));
            }
            return Ok(());
        }
        let attributes = Attributes::default().with(given)?;
        self.check_redrive(name, &attributes)?;
        self.deleted.retain(|_, deleted| deleted.elapsed() < MINUTE);
        if self.deleted.contains_key(name) {
            let message = "You must wait 60 seconds after deleting a queue before you can create \
                another with the same name.";
            return Err(SqsError::new(ErrorKind::QueueDeletedRecently, message));
        }
        let mut queue = Queue::new(
            self.next_serial,
            name.to_owned(),
            self.arn(name),
            attributes,
            wall_ms() / 1000,
        );
        queue.tags = tags;
        self.next_serial += 1;
        self.queues.insert(name.to_owned(), queue);
        Ok(())
    }

    pub(crate) fn set_attributes(
        &mut self,
        name: &str,
        changes: &BTreeMap<String, String>,
    ) -> Result<(), SqsError> {
        let attributes = self.queue(name)?.attributes.with(changes)?;
        if changes.contains_key("RedrivePolicy") {
            self.check_redrive(name, &attributes)?;
        }
        let queue = self.queue(name)?;
        queue.attributes = attributes;
        queue.modified_seconds = wall_ms() / 1000;
        Ok(())
    }

    fn check_redrive(&self, source: &str, attributes: &Attributes) -> Result<(), SqsError> {
        let Some(policy) = &attributes.redrive else {
            return Ok(());
        };
        let target =
            self.name_of(&policy.dead_letter_target_arn).and_then(|name| self.queues.get(&name));
        let reason = match target.map(|target| &target.attributes.redrive_allow) {
            None => "Dead letter target does not exist.",
            Some(Some(allow)) if !allow.allows(&self.arn(source)) => {
                "The dead letter target's RedriveAllowPolicy does not allow this source queue."
            }
            Some(_) => return Ok(()),
        };
        Err(SqsError::value(policy.to_json(), "RedrivePolicy", reason))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<(), SqsError> {
        let queue = self.queues.remove(name).ok_or_else(SqsError::no_such_queue)?;
        queue.wake.notify_waiters();
        self.deleted.insert(name.to_owned(), Instant::now());
        Ok(())
    }

    pub(crate) fn purge(&mut self, name: &str) -> Result<(), SqsError> {
        let queue = self.queue(name)?;
        if queue.purged.is_some_and(|purged| purged.elapsed() < MINUTE) {
            let message =
                format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
            return Err(SqsError::new(ErrorKind::PurgeQueueInProgress, message));
        }
        queue.purge(Instant::now());
        Ok(())
    }

    /// Hands out up to `max` visible messages. One that was received from this queue as often as
    /// its redrive policy allows goes to the dead-letter queue instead. It stays if that queue has
    /// been deleted since.
    pub(crate) fn receive(
        &mut self,
        name: &str,
        max: usize,
        visibility: Option<Duration>,
        pick: &dyn Fn(usize) -> usize,
    ) -> Result<Vec<Handed>, SqsError> {
        let now = Instant::now();
        let policy = self.queue(name)?.attributes.redrive.clone();
        let dead_letters = policy.and_then(|policy| {
            Some((self.name_of(&policy.dead_letter_target_arn)?, policy.max_receive_count))
        });
        let max_receives = dead_letters.as_ref().map_or(u32::MAX, |(_, max)| *max);

        let queue = self.queue(name)?;
        let visibility = visibility.unwrap_or_else(|| {
            Duration::from_secs(queue.attributes.visibility_timeout_seconds.into())
        });
        let (mut handed, mut dead, mut visible) = (Vec::new(), Vec::new(), Vec::new());
        while handed.len() < max && !queue.is_full() {
            match queue.receive(visibility, max_receives, now, wall_ms(), pick) {
                Some(Next::Handed(message)) => handed.push(message),
                Some(Next::Visible(message)) => {
                    visible.push(handed.len());
                    handed.push(message);
                }
                Some(Next::Dead(message)) => dead.push(message),
                None => break,
            }
        }
        visible
            .iter()
            .filter_map(|index| handed.get(*index))
            .for_each(|message| queue.line_up(message));
        let source_arn = queue.arn.clone();
        if let Some((target, _)) = dead_letters {
            for message in dead {
                let source_arn = Some(source_arn.clone());
                self.queue(&target)?.put(
                    Message { receives_here: 0, source_arn, ..message },
                    now,
                    Duration::ZERO,
                );
            }
        }
        Ok(handed)
    }
}
