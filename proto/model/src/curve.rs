//! How the loss of a job fell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The output of the role [`Curve::ROLE`]: how the loss fell, oldest first; one entry of each list
/// a point. Losses of different phases are those of different objectives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Curve {
    /// The phase, from 1.
    pub phase: Vec<u32>,
    /// Steps done by then.
    pub steps: Vec<u64>,
    /// The loss.
    pub loss: Vec<f64>,
    /// Its terms, by the names that figures have, as in `loss.content`. Not in curves of older
    /// releases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub terms: BTreeMap<String, Vec<f64>>,
}

impl Curve {
    /// What such an output is to a job of any kind.
    pub const ROLE: &str = "curve";
}
