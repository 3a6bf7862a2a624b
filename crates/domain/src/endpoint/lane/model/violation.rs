//! The ways in which a run can be wrong. The numbers are those of the list in the module's
//! documentation.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// 1: a delivery is nowhere.
    Lost,
    /// 2: a backlog has nobody who looks after it.
    Forgotten,
    /// 2: something is not over long after everything is well.
    Unfinished,
    /// 3: two invocations have the turn at the same time.
    TwoTurns,
    /// 3: a write with another one's turn was carried out.
    ForeignWrite,
    /// 3: a request might not end before its invocation.
    PastDeadline,
    /// 4: a message took the turn of an opening that it was not sent for.
    WrongOpening,
    /// 4: messages gather on the turns queue.
    Messages,
    /// 5: a delete removed another residency than the one that was disposed of.
    WrongResidency,
    /// 6: more requests than the limit and its burst allow.
    OverLimit,
    /// 7: more requests under way than the window allows, or than a probe is.
    UnderWay,
    /// 7: a request began the fast way long after the lane was held.
    PastLane,
    /// 10: an attempt before its time, or one too many.
    TooEarly,
    /// 11: something that came to an idle lane has not begun in time.
    Late,
    /// 11: an endpoint that is well has not got its lane closed, or its backlog worked off, in
    /// time.
    NotRecovered,
    /// 12: a lane was left before its endpoint had proven that it is well.
    Flap,
    /// 13: a request to a webhook that is paused or deleted.
    Paused,
    /// 13: a webhook that was changed has waited too long.
    NotNudged,
    /// 14: functions have called each other too often in a row.
    Lineage,
    /// A turn that was handed over met its own lease.
    Handover,
    /// A run takes steps without end.
    Spin,
}

#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) kind: Kind,
    pub(super) text: String,
}
