use serde::Serialize;

/// How many jobs are in which queue, not counting those that workers hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Depths {
    /// Of high priority.
    pub high: u32,
    /// Of normal priority.
    pub normal: u32,
    /// Of low priority.
    pub low: u32,
    /// Waiting for another attempt.
    pub retrying: u32,
    /// Given up by the broker, and about to be set aside.
    pub abandoned: u32,
    /// Set aside.
    pub dead: u32,
}

impl Depths {
    /// Jobs that wait for an attempt.
    pub fn waiting(&self) -> u32 {
        self.high + self.normal + self.low + self.retrying
    }

    /// Jobs that the broker has and no worker holds, but for those that were set aside.
    pub fn held(&self) -> u32 {
        self.waiting() + self.abandoned
    }
}
