//! A deployment replaces the processes of a function. As on AWS, an invocation that is under way
//! ends where it is, and every later one goes to a process of the new version.

use super::{Phase, State};

impl State {
    /// Retires all processes: those that are idle end at once, and each other one when it asks for
    /// its next invocation. A process that is just starting serves one invocation before that.
    pub(crate) fn retire(&mut self) {
        for id in self.instances.keys().copied().collect::<Vec<_>>() {
            let Some(instance) = self.instances.get_mut(&id) else { continue };
            instance.retired = true;
            if matches!(instance.phase, Phase::Idle(_)) {
                self.kill(id);
            }
        }
    }

    /// Ends a retired process that asks for an invocation. True if it was one.
    pub(super) fn ends_here(&mut self, id: u64) -> bool {
        let is_over = self.instances.get(&id).is_some_and(|instance| {
            instance.retired && !matches!(instance.phase, Phase::Init { .. })
        });
        is_over && self.kill(id)
    }
}
