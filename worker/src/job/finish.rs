//! Stores what was computed, and says how the attempt ended.

use bytes::Bytes;
use stylefleet_engine::{Finished, Outcome};
use stylefleet_model::with_sources;
use stylefleet_proto::lifecycle::{self, ATTEMPTS, Settlement};
use stylefleet_proto::metrics::Reason;
use stylefleet_proto::{Ended, Record, keys};
use stylefleet_transport::store::StoreError;

use super::{Attempt, Computed, Conclusion, Why, finished, is_finished, json};
use crate::failure::Failure;
use crate::metrics;
use crate::record::record;

/// How often to try to write a result.
const CONFIRMATIONS: u32 = 3;

impl Attempt {
    /// Stores what was computed. Returns how the attempt ended; none if another worker has the job
    /// now.
    pub async fn finish(
        &self,
        computed: Result<Computed, Failure>,
        why: Option<Why>,
    ) -> Option<Conclusion> {
        let ended = match computed {
            Ok(computed) => self.keep(computed, why).await,
            Err(failure) => Err(failure),
        };
        let conclusion = match ended {
            Ok(ended) => ended.map(Conclusion::from),
            Err(failure) => Some(self.fail(failure).await),
        };
        if why != Some(Why::Void) {
            let ended = conclusion.as_ref().map(|conclusion| &conclusion.ended);
            self.tidy_up(ended.is_some_and(is_finished)).await;
        } else if self.is_done().await.unwrap_or(false) {
            // The worker that has the job now tidies up, but may have done so before this attempt's
            // last write.
            self.tidy_up(true).await;
        }
        conclusion
    }

    async fn keep(&self, computed: Computed, why: Option<Why>) -> Result<Option<Ended>, Failure> {
        let Computed {
            outcome,
            specification,
            notes,
        } = computed;
        let (checkpoint, steps) = match outcome {
            Outcome::Finished(made) => {
                let record = self.upload(made, specification, notes).await?;
                self.confirm(&record).await?;
                metrics::finished(self.kind(), &record);
                return Ok(Some(finished(&record)));
            }
            Outcome::Interrupted { checkpoint, steps } => (checkpoint, steps),
        };
        // The worker that has the job now may be further.
        if why != Some(Why::Void) || self.is_ahead(steps).await? {
            let key = keys::checkpoint(&self.job.id);
            let bytes = checkpoint.len();
            self.context.store.put(&key, checkpoint.into()).await?;
            metrics::stored(self.kind(), bytes);
        }
        Ok(match why {
            Some(Why::Void) => None,
            Some(Why::Cancelled) => Some(Ended::Cancelled),
            Some(Why::Turn) | None => Some(Ended::Interrupted { steps }),
        })
    }

    /// Whether this many steps are more than the store has.
    async fn is_ahead(&self, steps: u64) -> Result<bool, Failure> {
        if self.is_done().await? {
            return Ok(false);
        }
        let there = self.checkpoint().await?;
        Ok(there.is_none_or(|(_, there)| there < steps))
    }

    /// Whether the job has a result.
    async fn is_done(&self) -> Result<bool, Failure> {
        let key = keys::result(&self.job.id);
        Ok(self.context.store.contains(&key).await?)
    }

    /// Puts the outputs in the store.
    async fn upload(
        &self,
        made: Finished,
        specification: serde_json::Value,
        notes: Vec<String>,
    ) -> Result<Record, Failure> {
        let engine = self.context.engine.description();
        let (record, files) = record(&self.job, specification, made, engine, notes).await?;
        for (output, file) in record.outputs.iter().zip(files) {
            self.context.store.put(&output.key, file).await?;
        }
        Ok(record)
    }

    /// Writes the result, unless there is one: that of another attempt says the same. Replaces one
    /// that is damaged.
    async fn confirm(&self, record: &Record) -> Result<(), Failure> {
        let key = keys::result(&self.job.id);
        let json = Bytes::from(json(&key, record)?);
        let store = &self.context.store;
        for _ in 0..CONFIRMATIONS {
            if store.put_new(&key, json.clone()).await? || self.result().await?.is_some() {
                return Ok(());
            }
        }
        let what = store.locate(&key);
        Err(StoreError::Unreliable { what }.into())
    }

    /// How a failed attempt ended. If no other follows, the reason goes into the store.
    pub(super) async fn fail(&self, failure: Failure) -> Conclusion {
        // People get one line; this has what lies behind it.
        tracing::debug!("{}", with_sources(&failure));
        let because = Some(failure.class());
        let retryable = failure.is_retryable();
        let reason = failure.to_string();
        let failed = Ended::Failed { retryable, reason };
        let settlement = lifecycle::settle(self.job.attempt, &failed);
        let Settlement::SetAside { reason } = settlement else {
            return Conclusion {
                ended: failed,
                reason: because,
            };
        };
        let record = stylefleet_proto::Failure {
            job: self.job.id,
            reason: reason.clone(),
            attempts: self.job.attempt,
        };
        let key = keys::failed(&self.job.id);
        let written = match json(&key, &record) {
            Ok(json) => self.context.store.put(&key, json.into()).await.err(),
            Err(_) => None,
        };
        match written {
            // No job is set aside without its failure in the store: another attempt has to write
            // it.
            Some(error) if error.is_retryable() && self.job.attempt < ATTEMPTS => Conclusion {
                ended: Ended::Failed {
                    retryable: true,
                    reason: error.to_string(),
                },
                reason: Some(Reason::Store),
            },
            Some(error) if error.is_retryable() => {
                self.events.note(error);
                Ended::Interrupted { steps: 0 }.into()
            }
            refused => {
                if let Some(error) = refused {
                    tracing::warn!("{error}");
                }
                Conclusion {
                    ended: Ended::Failed {
                        retryable: false,
                        reason,
                    },
                    reason: because,
                }
            }
        }
    }
}
