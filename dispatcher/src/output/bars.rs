//! Live bars on a terminal: one per running job, and one for the whole run.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stylefleet_proto::JobId;

use super::words::{briefly, line, of_video};
use super::{News, Output};

/// Most jobs that have a bar at once.
const ROWS: usize = 10;
/// After so long without news, a bar makes room for another job's.
const STALE: Duration = Duration::from_secs(10);

/// The bars on the terminal, once there are any.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Prints without disturbing the bars on the terminal, if there are any.
pub fn beside_bars<T>(print: impl FnOnce() -> T) -> T {
    match BARS.get() {
        Some(bars) => bars.suspend(print),
        None => print(),
    }
}

/// Output for a terminal.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    jobs: HashMap<JobId, Row>,
}

#[derive(Debug)]
struct Row {
    bar: ProgressBar,
    touched: Instant,
}

impl Bars {
    /// A bar for all results.
    pub fn new(results: usize) -> Self {
        let all = BARS.get_or_init(MultiProgress::new).clone();
        let whole = all.add(ProgressBar::new(results as u64));
        whole.set_style(style("{bar:10} {pos}/{len} results, {msg}{elapsed} so far"));
        whole.enable_steady_tick(Duration::from_secs(1));
        Self {
            all,
            whole,
            jobs: HashMap::new(),
        }
    }

    /// The bar of a job, a new one if there is room.
    fn bar(&mut self, job: JobId) -> Option<&ProgressBar> {
        if !self.jobs.contains_key(&job) {
            if self.jobs.len() >= ROWS {
                let mut rows = self.jobs.iter();
                let (stale, _) = rows.find(|(_, row)| row.touched.elapsed() > STALE)?;
                self.remove(&stale.clone());
            }
            let bar = self.all.insert_before(&self.whole, ProgressBar::new(1));
            bar.set_style(style("{bar:10} {wide_msg}"));
            let touched = Instant::now();
            self.jobs.insert(job, Row { bar, touched });
        }
        let row = self.jobs.get_mut(&job)?;
        row.touched = Instant::now();
        Some(&row.bar)
    }

    fn remove(&mut self, job: &JobId) {
        if let Some(row) = self.jobs.remove(job) {
            row.bar.finish_and_clear();
            self.all.remove(&row.bar);
        }
    }
}

impl Output for Bars {
    fn show(&mut self, news: &News<'_>) {
        match news {
            News::Started {
                job, name, device, ..
            } => {
                self.remove(job);
                if let Some(bar) = self.bar(*job) {
                    bar.set_message(format!("{name}: starting on {device}"));
                }
            }
            News::Progress {
                job,
                name,
                progress,
            } => {
                if let Some(bar) = self.bar(*job) {
                    // Of how much, is not known of every phase: the bar is empty then, not full.
                    bar.set_length(progress.total.max(1));
                    bar.set_position(progress.done.min(progress.total));
                    bar.set_message(format!("{name}  {}", briefly(progress)));
                }
            }
            News::Video(status) => self.whole.set_message(format!("{}, ", of_video(status))),
            News::Note { .. }
            | News::PassedOver { .. }
            | News::LeftOut { .. }
            | News::Previewed { .. }
            | News::Submitted { .. }
            | News::Assembled { .. }
            | News::Stopping => line(news).print(),
            News::Interrupted { job, .. } => {
                self.remove(job);
                line(news).print();
            }
            News::Finished { job, .. } | News::Kept { job, .. } | News::Cancelled { job, .. } => {
                self.remove(job);
                line(news).print();
                self.whole.inc(1);
            }
            News::Failed { job, .. } => {
                if let Some(job) = job {
                    self.remove(job);
                }
                line(news).print();
                self.whole.inc(1);
            }
            News::Summary { .. } => {
                self.whole.finish_and_clear();
                line(news).print();
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
