//! Lines of text, where there is no terminal.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use stylefleet_proto::JobId;

use super::words::line;
use super::{News, Output};

/// Progress of a job is told no more often than this.
const PAUSE: Duration = Duration::from_secs(10);

/// Output for logs.
#[derive(Debug, Default)]
pub struct Plain {
    last_told: HashMap<JobId, Instant>,
}

impl Output for Plain {
    fn show(&mut self, news: &News<'_>) {
        match news {
            News::Started { job, .. } => {
                self.last_told.insert(*job, Instant::now());
            }
            News::Progress { job, .. } => {
                let told = self.last_told.entry(*job).or_insert_with(Instant::now);
                if told.elapsed() < PAUSE {
                    return;
                }
                *told = Instant::now();
            }
            _ => {}
        }
        line(news).print();
    }
}
