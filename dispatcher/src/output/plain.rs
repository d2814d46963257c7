//! Lines of text, where there is no terminal.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use stylefleet_proto::JobId;

use super::words::line;
use super::{News, Output};

/// Progress of a job, or of a video, is told no more often than this.
const PAUSE: Duration = Duration::from_secs(10);

/// Output for logs.
#[derive(Debug, Default)]
pub struct Plain {
    last_told: HashMap<JobId, Instant>,
    last_told_of_video: Option<Instant>,
}

impl Output for Plain {
    fn show(&mut self, news: &News<'_>) {
        match news {
            News::Started { job, .. } => {
                self.last_told.insert(*job, Instant::now());
            }
            News::Progress { job, .. } => {
                let told = self.last_told.entry(*job).or_insert_with(Instant::now);
                if !is_time(told) {
                    return;
                }
            }
            News::Video(_)
                if !is_time(self.last_told_of_video.get_or_insert_with(Instant::now)) =>
            {
                return;
            }
            _ => {}
        }
        line(news).print();
    }
}

/// Whether it is time to tell more, after what was last told; that is now, then.
fn is_time(last_told: &mut Instant) -> bool {
    let is_time = last_told.elapsed() >= PAUSE;
    if is_time {
        *last_told = Instant::now();
    }
    is_time
}
